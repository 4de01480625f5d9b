"""Which stored models have had their time: pure, so that it can be shown before it is done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlops_toolkit.config.quantities import Duration
from mlops_toolkit.config.schema import Keep
from mlops_toolkit.errors import UsageError
from mlops_toolkit.models.base import Belongs


@dataclass(frozen=True)
class Stored:
    """A model in a store, once for each thing it belongs to. size in bytes.

    group    what a count counts: the model's key and the line it is of ("mlops.yaml|spam-filter| main"); the last 10 of main are of one
             model on one branch, whatever else a repository trains
    foreign  it belongs to another repository that keeps its models in the same place, under its own rules
    """

    digest: str
    belongs: Belongs
    stored_at: datetime
    size: int = 0
    group: str = ""
    foreign: bool = False


def expired(stored: Iterable[Stored], keep: Keep, now: datetime, *, named: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The digests to remove, oldest first: those that nothing they belong to keeps, and that no run record here names."""
    stored = sorted(stored, key=lambda item: (item.stored_at, item.digest))
    kept = set(named) | {item.digest for item in stored if item.foreign}
    for belongs, rule in (("pull-request", keep.pull_request), ("main", keep.main), ("release", keep.release)):
        mine = [item for item in stored if item.belongs == belongs and not item.foreign]
        for group in sorted({item.group for item in mine} or {""}):  # a rule that says nothing is refused even when nothing is stored
            kept |= _kept([item for item in mine if item.group == group], rule, now)
    return tuple(dict.fromkeys(item.digest for item in stored if item.digest not in kept))


def _kept(oldest_first: list[Stored], rule: str, now: datetime) -> set[str]:
    if rule.strip() == "forever":
        return {item.digest for item in oldest_first}
    if re.fullmatch(r"\s*[0-9]+\s*", rule):
        latest = list(dict.fromkeys(item.digest for item in reversed(oldest_first)))
        return set(latest[: int(rule)])
    try:
        age = timedelta(seconds=Duration.parse(rule).seconds)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "bad-keep", f'"{rule}" does not say how long to keep a model', where="models.keep", hint="write 3d, a count (10) or forever"
        ) from error
    return {item.digest for item in oldest_first if now - item.stored_at <= age}
