"""Whether a model must be trained, or an equal training is already recorded: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlops_toolkit.history.base import Entry, same_digest
from mlops_toolkit.records.run import Model, Run


@dataclass(frozen=True)
class Train:
    """Train. reason: why, as the end of "training, because …"; trainings: the how-manieth of these very inputs this will be."""

    reason: str
    trainings: int = 1


@dataclass(frozen=True)
class Reuse:
    """Do not train: `source` is the run whose model this is (the one that trained, not one that reused it)."""

    source: Run


def decide(
    *,
    key: str,
    fingerprint: str,
    entries: Sequence[Entry],
    run: Callable[[str], Run | None],
    reachable: Callable[[Model], bool],
    again: bool = False,
    scheduled: bool = False,
    data_declared: bool = False,
    fork: bool = False,
) -> Train | Reuse:
    """What to do about inputs with this fingerprint.

    entries, run: the history. reachable: whether a model can be had from here. scheduled, data_declared: a schedule is meant
    to notice new data, and data that nobody declared is not in the fingerprint. fork: whether this is a fork's head; only
    such a one takes a fork's model.
    """
    equal = [
        entry
        for entry in entries
        if entry.key == key
        and same_digest(entry.train, fingerprint)
        and entry.status != "running"
        and not entry.withdrawn
        and (fork or not entry.fork)
    ]
    # A run whose evaluation failed or was killed is as good as trained: its record tells, an entry does not.
    records = [(entry, run(entry.id) if entry.status in ("failed", "interrupted") else None) for entry in equal]
    whole = [entry for entry, record in records if entry.status in ("succeeded", "reused") or (record and trained(record))]
    trainings = sum(entry.status != "reused" for entry in whole) + 1
    if again:
        return Train("--again asks for it", trainings)
    if scheduled and not data_declared:
        return Train("a schedule looks for new data, and train.data declares none", trainings)
    if not whole:
        return Train("its inputs are new" if any(entry.key == key for entry in entries) else "it is the first run here", trainings)
    missed = None
    for entry in reversed(whole):
        record = run(entry.id)
        if record is None or record.trained is None or not trained(record) or record.fingerprints.train != fingerprint:
            continue
        if all(reachable(model) for model in (record.trained, *(one.model for one in record.seeds if one.model is not None))):
            return Reuse(_origin(record, run))
        missed = missed or record
    if missed is not None and missed.trained is not None:
        where = f" (it is on {missed.trained.host})" if missed.trained.host else ""
        return Train(f"run {missed.id} trained the same, but its model cannot be had from here{where}", trainings)
    return Train("the equal run is recorded, but not its model", trainings)


def trained(record: Run) -> bool:
    """Whether its training is whole, whatever became of its evaluation."""
    return record.trained is not None and all(c.ended in ("ok", "reused") for c in record.commands if c.phase == "train")


def _origin(record: Run, run: Callable[[str], Run | None]) -> Run:
    """The run that trained; a reused one names it, and carries all of it that is needed where its record is gone."""
    if record.status != "reused" or record.source is None:
        return record
    return run(record.source) or record
