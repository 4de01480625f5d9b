"""Which stored models have had their time: pure, so that it can be shown before it is done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlops_toolkit.config.schema import Duration, Keep
from mlops_toolkit.errors import UsageError
from mlops_toolkit.models.base import Belongs


@dataclass(frozen=True)
class Stored:
    """A model in a store, once for each thing it belongs to. size in bytes."""

    digest: str
    belongs: Belongs
    stored_at: datetime
    size: int = 0


def expired(stored: Iterable[Stored], keep: Keep, now: datetime, *, named: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The digests to remove, oldest first: those that nothing they belong to keeps, and that no run record here names."""
    stored = sorted(stored, key=lambda item: (item.stored_at, item.digest))
    kept = set(named)
    for belongs, rule in (("pull-request", keep.pull_request), ("main", keep.main), ("release", keep.release)):
        kept |= _kept([item for item in stored if item.belongs == belongs], rule, now)
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
