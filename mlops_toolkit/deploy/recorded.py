"""Saying in the history where a run's model runs, and which release was taken back: such a one is no baseline any more.

Nothing here raises for a history that cannot be written: the release runs all the same, and what was not recorded is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_toolkit.deploy.find import entry_of
from mlops_toolkit.deploy.targets import Outcome
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history import upkeep
from mlops_toolkit.history.base import Entry, History, Recorded
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.records.publication import Deployed
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Release

Trouble = tuple[str, str | None]


@dataclass(frozen=True)
class Change:
    """What is to be said of a release's run. withdrawn: why it was taken back, None where it was not."""

    release: Release
    live: bool
    withdrawn: str | None = None


def changes(kind: str, outcome: Outcome, wanted: Release | None, *, blamed: bool, reason: str) -> tuple[Change, ...]:
    """What an outcome means for the runs that are in it. Pure. blamed: the release itself was at fault, not the place where it was to run."""
    if outcome.result == "deployed" and outcome.live is not None:
        gone = outcome.before if outcome.before and outcome.before.id != outcome.live.id else None
        why = (reason or "rolled back") if kind == "rollback" else None
        return (Change(outcome.live, True), *([Change(gone, False, why)] if gone else []))
    if outcome.result == "rolled-back" and wanted is not None and blamed and kind == "deploy":
        return (Change(wanted, False, outcome.reason or "rolled back"),)
    return ()


def record(made: tuple[Change, ...], history: History | None, environment: str, name: str, now: str) -> Iterator[Trouble]:
    """Say it; what could not be said, as sentences."""
    for change in made:
        entry = entry_of(change.release, history)
        if entry is None or not isinstance(history, LocalHistory):
            yield f"the history does not say that {called(change.release)} {what(change)}: it is not known here", None
            continue
        try:
            kept = _record(change, history, entry, environment, name, now)
        except (MlopsError, OSError) as error:
            kept = Recorded(False, reason=str(error), hint=error.hint if isinstance(error, MlopsError) else None)
        if not kept.pushed:
            reason = kept.reason or "the remote did not take it"
            yield f"the history does not say that {called(change.release)} {what(change)}: {reason}", kept.hint


def what(change: Change) -> str:
    """The rest of a sentence that begins with the release."""
    return "is live" if change.live else "was taken back" if change.withdrawn else "was replaced"


def _record(change: Change, history: LocalHistory, entry: Entry, environment: str, name: str, now: str) -> Recorded:
    if change.live:
        digest = change.release.image.rpartition("@")[2]
        return upkeep.deployed(history, entry, Deployed(environment, name, digest, now))
    return upkeep.replaced(history, entry, environment, name, now, withdrawn=change.withdrawn)
