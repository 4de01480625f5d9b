"""How often it was tried: the same inputs trained, one pull request judged. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_toolkit.compare.called import key
from mlops_toolkit.history.base import Entry, same_digest
from mlops_toolkit.records.run import Run


def trained_before(entries: Sequence[Entry], run: Run) -> tuple[str, ...]:
    """Training the same inputs until a run passes is seen by who reads the comment."""
    mine = key(run)
    same = [e for e in entries if e.key == mine and e.status == "succeeded" and same_digest(e.train, run.fingerprints.train)]
    earlier = [e for e in same if e.id < run.id]
    if run.status != "succeeded" or not earlier:
        return ()
    told = "; ".join(f"{_nth(i)}: {e.gate or 'not judged'}" for i, e in list(enumerate(earlier, 1))[-3:])
    return (f"{_nth(len(earlier) + 1)} training of the same inputs; {told}",)


def _nth(number: int) -> str:
    return f"{number}{'th' if number % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def looks(entries: Sequence[Entry], run: Run) -> int:
    """How often this pull request's model was judged, this time included."""
    if run.pull_request is None:
        return 1
    mine = key(run)
    return 1 + sum(1 for e in entries if e.key == mine and e.pull_request == run.pull_request and e.gate is not None and e.id != run.id)
