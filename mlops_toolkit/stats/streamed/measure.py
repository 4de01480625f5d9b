"""Every metric on every subset of examples that come in blocks: the answers of `stats.paired` and, of a head alone, of `stats.single`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats import single, unseen
from mlops_toolkit.stats.conclude import Longest, Paired, endless, of_head
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.paired import from_cells
from mlops_toolkit.stats.proportions import wilson
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.spread import Spread
from mlops_toolkit.stats.streamed.block import Block, Look, Part, View, Work, as_it_is, through
from mlops_toolkit.stats.streamed.pair import Pair
from mlops_toolkit.stats.streamed.rows import Rows
from mlops_toolkit.stats.streamed.sides import RANKED, side
from mlops_toolkit.stats.streamed.table import Table
from mlops_toolkit.stats.tally import Cells, Slope, Tally

T = TypeVar("T")
OfShare = Callable[[int, int, float], tuple[float, float] | None]


@dataclass(frozen=True)
class Asked:
    """What is asked of blocks.

    metrics   against the baseline;  lonely  those that only the head has
    subsets   name -> its part of the blocks, None: all rows
    clusters  how many codes of clusters there can be
    some      a few rows, from which bins of scores are laid out
    """

    metrics: tuple[Metric, ...]
    lonely: tuple[Metric, ...]
    subsets: Mapping[Any, Part | None]
    clusters: int
    some: Block


@dataclass
class _Subset:
    """What is added up of one subset."""

    rows: Rows
    pairs: dict[str, Pair]
    table: Table | None


def measured(blocks: Iterable[Block], asked: Asked, confidence: float) -> tuple[dict[str, dict[Any, Paired]], dict[str, float]]:
    """(metric -> subset -> Paired, metric -> by how much its values may be off, where they may); as `added` says."""
    made = added(blocks, asked)
    return made.answers(confidence), made.errors


@dataclass(frozen=True)
class Added:
    """Everything that was asked, added up: answers at any level of confidence."""

    asked: Asked
    subsets: Mapping[Hashable, _Subset]

    def answers(self, confidence: float) -> dict[str, dict[Any, Paired]]:
        """Metric -> subset -> Paired."""
        return _answers(self.asked, self.subsets, confidence)

    @property
    def errors(self) -> dict[str, float]:
        """Metric -> by how much its values may be off, where they may."""
        return _errors(self.asked, self.subsets)

    def off(self, metric: Metric, subset: Hashable) -> float:
        """By how much a value of the head may be off."""
        pair = self.subsets[subset].pairs.get(metric.name)
        return 0.0 if pair is None else pair.after.error[0]

    def rows(self, subset: Hashable) -> Rows:
        """What is known of the rows of a subset."""
        return self.subsets[subset].rows

    def alone(self, metric: Metric, subset: Hashable, confidence: float, of_share: OfShare = wilson) -> Paired:
        """A metric that only the head was asked for. of_share: the interval of so many right ones of so many."""
        one = self.subsets[subset]
        return _alone(metric, one, _cells(one), confidence, of_share)


def added(blocks: Iterable[Block], asked: Asked) -> Added:
    """Go through `blocks` twice, or a third time where what was counted may be rounding, and a few times more for quantiles.

    UsageError `not-in-blocks` for a metric that cannot be added up.
    """
    return together(blocks, [(as_it_is, asked)])[0]


def together(blocks: Iterable[Block], jobs: Sequence[tuple[View, Asked]]) -> list[Added]:
    """`added` of several things that are asked of one view of the blocks each, in as many passes as the one that needs most."""
    for block in blocks:
        for view, asked in jobs:
            _probe(view(block), asked)
        break
    running = [(view, _added(asked)) for view, asked in jobs]
    made = dict[int, Added]()
    while len(made) < len(running):
        looks = []
        for number, (view, passes) in enumerate(running):
            if number in made:
                continue
            try:
                looks.append(Look(*next(passes), view))
            except StopIteration as end:
                made[number] = end.value
        if looks:
            through(blocks, looks)
    return [made[number] for number in range(len(jobs))]


Passes = Generator[tuple[Mapping[Any, Part | None], Work], None, T]  # the subsets of each pass, and what is done with them


def _added(asked: Asked) -> Passes[Added]:
    """Pass by pass, what is added up."""
    made: dict[Hashable, _Subset] = {name: _subset(asked, whole=part is None) for name, part in asked.subsets.items()}

    def first(name: Hashable, baseline: Sample | None, head: Sample) -> None:
        one = made[name]
        one.rows.see(head, asked.clusters)
        if one.table is not None and head.target is not None and head.prediction is not None:
            before = head.prediction if baseline is None or baseline.prediction is None else baseline.prediction
            one.table.add(head.target, before, head.prediction, head)
        for pair in one.pairs.values():
            pair.see(baseline, head)

    def second(name: Hashable, baseline: Sample | None, head: Sample) -> None:
        one = made[name]
        head = one.rows.plain(head)
        baseline = None if baseline is None else replace(baseline, weight=head.weight, cluster=head.cluster)
        for pair in one.pairs.values():
            if not pair.done:
                pair.add(baseline, head, one.rows)

    yield asked.subsets, first
    for one in made.values():
        for pair in one.pairs.values():
            pair.plan(one.rows)
    yield from _narrowed(asked, made)
    for one in made.values():
        for pair in one.pairs.values():
            pair.settle(one.rows)
    left = set(made) if any(one.pairs for one in made.values()) else set()
    while left:
        for name in left:
            for pair in made[name].pairs.values():
                if not pair.done:
                    pair.start(made[name].rows)
        yield {name: asked.subsets[name] for name in asked.subsets if name in left}, second
        ended = {name: [pair.ended() for pair in made[name].pairs.values()] for name in left}
        left = {name for name, each in ended.items() if not all(each)}
    return Added(asked, made)


def _narrowed(asked: Asked, made: Mapping[Hashable, _Subset]) -> Passes[None]:
    """Pass by pass, what the values of quantiles need beyond the first one: four times at most."""

    def look(name: Hashable, baseline: Sample | None, head: Sample) -> None:
        for pair in made[name].pairs.values():
            if pair.narrowing:
                pair.look(baseline, head)

    while left := {name for name, one in made.items() if any(pair.narrowing for pair in one.pairs.values())}:
        yield {name: asked.subsets[name] for name in asked.subsets if name in left}, look
        for name in left:
            for pair in made[name].pairs.values():
                pair.looked()


def _subset(asked: Asked, *, whole: bool) -> _Subset:
    pairs = {}
    for metric in (*asked.metrics, *asked.lonely):
        if metric.slope is not None and asked.some.head.labels:
            continue
        after = side(metric, asked.some.head, whole=whole)
        alone = metric in asked.lonely or asked.some.baseline is None
        before = None if alone or asked.some.baseline is None else side(metric, asked.some.baseline, whole=whole)
        if after is None or (before is None and not alone):
            raise UsageError(
                "not-in-blocks",
                f"{metric.name} cannot be computed of data that does not fit into memory",
                hint="take it out of the metrics, or evaluate on fewer examples",
            )
        pairs[metric.name] = Pair(metric, before, after)
    labels, positive = asked.some.head.labels, asked.some.head.positive
    ranked = any(metric.family in RANKED for metric in (*asked.metrics, *asked.lonely))
    return _Subset(Rows(ranked), pairs, Table(labels, positive) if labels else None)


def _probe(block: Block, asked: Asked) -> None:
    """What is wrong with what is asked (a class that is not there, a metric of another task) is raised by the metrics themselves."""
    row = np.zeros(min(block.head.n, 1), dtype=np.intp)
    for metric in (*asked.metrics, *asked.lonely):
        if block.baseline is not None and metric in asked.metrics:
            metric.measure(block.baseline.take(row))
        metric.measure(block.head.take(row))


def _errors(asked: Asked, made: Mapping[Hashable, _Subset]) -> dict[str, float]:
    found = {}
    for metric in (*asked.metrics, *asked.lonely):
        pairs = [one.pairs[metric.name] for one in made.values() if metric.name in one.pairs]
        off = max((side.error[0] for pair in pairs for side in (pair.before, pair.after) if side is not None), default=0.0)
        if off > 0:
            found[metric.name] = off
    return found


def _answers(asked: Asked, made: Mapping[Hashable, _Subset], confidence: float) -> dict[str, dict[Any, Paired]]:
    found: dict[str, dict[Any, Paired]] = {metric.name: {} for metric in (*asked.metrics, *asked.lonely)}
    for name, one in made.items():
        rows = one.rows
        cells = _cells(one)
        for metric in asked.metrics:
            if metric.slope is not None and cells is not None:
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    found[metric.name][name] = from_cells(metric, metric.slope, cells, confidence)
            else:
                found[metric.name][name] = one.pairs[metric.name].concluded(rows, confidence)
        for metric in asked.lonely:
            found[metric.name][name] = _alone(metric, one, cells, confidence)
    return found


# --- a head without a baseline


def _cells(one: _Subset) -> Cells | None:
    rows = one.rows
    return one.table.cells(even=rows.even, heaviest=rows.heaviest, clustered=rows.clustered) if one.table else None


def _alone(metric: Metric, one: _Subset, cells: Cells | None, confidence: float, of_share: OfShare = wilson) -> Paired:
    """As `gate.align.alone`."""
    rows, share = one.rows, None
    longest: Longest = endless
    if metric.slope is not None and cells is not None:
        longest = _longest(metric.slope, cells)
        value, spread, share = _of_cells(metric, cells)
    else:
        pair = one.pairs[metric.name]
        value, spread, longest = pair.head, pair.own(rows) if pair.defined else None, pair.longest(rows)
        if spread is not None and not np.isfinite(spread.size):
            value, spread = Measured(None, state="not-finite"), None
        if metric.family == "mean" and pair.shares[0]:
            share = pair.shares[1], rows.n
    own = None
    share = share if rows.even and not rows.clustered else None
    if spread is not None and value.value is not None:
        if share is not None:
            own = of_share(*share, confidence)
        else:
            own = single.own_interval(metric, value, spread, clustered=rows.clustered, confidence=confidence, longest=longest)
    trials = share[1] if share is not None else None
    error, clusters = (None, None) if spread is None else (spread.error, spread.units if rows.clustered else None)
    made = of_head(metric, rows.n, value, own, error, trials, clusters)
    return one.pairs[metric.name].wider(made, rows, confidence) if metric.name in one.pairs else made


def _longest(slope: Callable[[Tally], Slope], cells: Cells) -> Longest:
    return lambda many: single.both_ways(slope, unseen.Table.of_cells(cells)[1], many)


def _of_cells(metric: Metric, cells: Cells) -> tuple[Measured, Spread | None, tuple[int, int] | None]:
    """A metric of labels: its value, the spread of its influences, and of which share of rows it is."""
    if metric.slope is None or not cells.n:
        return Measured(None, state="empty"), None, None
    after = metric.slope(cells.sides[1])
    value = Measured(after.value, None, after.state, after.support, after.rare)
    if after.value is None:
        return value, None, None
    own = after.at(cells.target, cells.head)
    share = None
    if metric.rowwise:
        only = metric.only(cells.sample)
        counts = np.ones(len(own), dtype=bool) if only is None else cells.target == only
        share = int(cells.count[counts & (cells.target == cells.head)].sum()), int(cells.count[counts].sum())
    return value, Spread.of_cells(cells, own, own != 0), share
