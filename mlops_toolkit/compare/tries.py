"""How often it was tried: the same inputs trained, one pull request judged, and what trying with other seeds told."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from mlops_toolkit.compare.called import key
from mlops_toolkit.gate.request import Request
from mlops_toolkit.history.base import Entry, History, same_digest
from mlops_toolkit.history.entry import looked
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


def looks(entries: Sequence[Entry], run: Run) -> tuple[int, int]:
    """How many models of this pull request were judged, this one included; and the how-manieth this one was.

    The same model judged again by the same examples is no look. By other examples it is: whoever changes a test set until a model passes by
    it has tried as often. Nor does the count start anew where the configuration moves. An entry that does not tell (older ones) counts as
    another model.
    """
    if run.pull_request is None:
        return 1, 1
    mine, this = key(run).partition("|")[2], looked(run) or run.id
    known = [
        e.looked or e.id
        for e in sorted(entries, key=lambda e: e.id)
        if e.key.partition("|")[2] == mine and e.pull_request == run.pull_request and e.gate is not None and e.id != run.id
    ]
    told = list(dict.fromkeys([*known, this]))
    return len(told), told.index(this) + 1


def counted(request: Request, entries: Sequence[Entry], run: Run) -> Request:
    """The request with its looks."""
    number, mine = looks(entries, run)
    return replace(request, looks=number, look=mine)


def known(entries: Sequence[Entry], run: Run) -> bool:
    """Whether this very look is recorded: this model, by these examples, in this pull request."""
    return any((e.key, e.pull_request, e.looked) == (key(run), run.pull_request, looked(run)) and e.gate is not None for e in entries)


def spread(history: History, base: Run | None, branches: Container[str | None]) -> Run | None:
    """The newest run on the baseline's line that tells how far the luck of training moves a metric: the baseline itself, if it does."""
    if base is None:
        return None
    if any(value.training is not None for value in base.metrics.values()):
        return base
    told = [e for e in history.entries() if e.key == key(base) and e.branch in branches and (e.seeds or 0) > 1]
    good = [e for e in told if e.pull_request is None and e.status in ("succeeded", "reused") and not (e.fork or e.dirty or e.withdrawn)]
    return history.run(good[-1].id) if good else None
