"""The groups of a column whose rows come in blocks, as a gap between them asks (see `stats.gaps`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mlops_toolkit.stats import gaps
from mlops_toolkit.stats.gaps import Group, Interval
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.streamed.block import Block, Part, View, as_it_is
from mlops_toolkit.stats.streamed.measure import Added, Asked, together

SPANS = "its clusters lie in other groups too, which is not told of data that does not fit into memory"


class Blocks(Protocol):
    """What can be gone through again and again."""

    def __iter__(self) -> Iterator[Block]: ...


def _of_head(block: Block) -> Block:
    return Block(block.head, None, block.parts)


def _of_baseline(block: Block) -> Block:
    assert block.baseline is not None  # noqa: S101  # asked only where there is one
    return Block(block.baseline, None, block.parts)


@dataclass(frozen=True)
class InBlocks:
    """A group's rows that were added up. Clusters that lie in several groups are refused before (`SPANS`)."""

    metric: Metric
    name: str
    alone: Added
    both: Added | None = None

    clusters = None

    @property
    def n(self) -> int:
        return self.alone.rows(self.name).n

    @property
    def off(self) -> float:
        return self.alone.off(self.metric, self.name)

    def own(self, confidence: float) -> Interval | None:
        found = self.alone.alone(self.metric, self.name, confidence, gaps.of_share)
        return None if found.head_low is None or found.head_high is None else (found.head_low, found.head_high)

    def by_cluster(self, before: Any = None) -> Floats:
        raise ValueError("the clusters of groups in blocks are not told apart")

    def change(self, before: Any, confidence: float) -> Interval | None:
        if self.both is None:
            return None
        found = self.both.answers(confidence)[self.metric.name][self.name]
        return None if found.low is None or found.high is None else (found.low, found.high)


def groups(
    blocks: Blocks, metric: Metric, parts: Mapping[str, Part], some: Block, clusters: int, *, least: int, had: bool
) -> tuple[Sequence[Group] | None, Sequence[Group]]:
    """The groups of both sides (None: the baseline has no such metric, `had`), as `gaps.groups` tells them.

    parts: name -> the rows. some, clusters: as of `Asked`.
    """

    def alone(view: View) -> tuple[View, Asked]:
        return view, Asked((), (metric,), parts, clusters, view(some))

    asked = [alone(_of_head)]
    if had:
        asked += [(as_it_is, Asked((metric,), (), parts, clusters, some)), alone(_of_baseline)]
    after, *other = together(blocks, asked)
    spans = _span([after.rows(name) for name in parts])
    found = tuple(_group(InBlocks(metric, name, after, other[0] if had else None), least, spans=spans) for name in parts)
    return (tuple(_group(InBlocks(metric, name, other[1]), 0, spans=spans) for name in parts) if had else None), found


def _group(rows: InBlocks, least: int, *, spans: bool) -> Group:
    found = rows.alone.alone(rows.metric, rows.name, 0.95, gaps.of_share)
    why = None
    if rows.n < least:
        why = f"{rows.n:,} of at least {least:,} examples"
    elif found.head is None:
        why = found.head_state.replace("-", " ")
    elif spans:
        why = SPANS
    elif found.head_low is None:
        why = gaps.too_few(rows.n)
    return Group(rows.name, rows, found.head, why)


def _span(parts: Sequence[Any]) -> bool:
    """Whether a cluster has rows in two groups."""
    seen: Any = None
    for rows in parts:
        there = rows.there
        if there is None:
            return False
        if seen is not None and bool(np.any(seen & there)):
            return True
        seen = there if seen is None else seen | there
    return False
