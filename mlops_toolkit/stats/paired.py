"""The difference of a metric between two models on the same examples: what it consists of; `conclude` makes the interval of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.by_bins import from_bins
from mlops_toolkit.stats.by_rows import Sides, from_means, from_rows, seen
from mlops_toolkit.stats.chunks import Start, beside
from mlops_toolkit.stats.conclude import Longest, Paired, Parts, Share, conclude, undefined
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import both_ways
from mlops_toolkit.stats.spread import Spread
from mlops_toolkit.stats.tally import Cells, Joint, Slope, Tally, dense, uneven
from mlops_toolkit.stats.unseen import Table, of_table

__all__ = ["Paired", "paired", "paired_many"]

Rows = npt.NDArray[Any]

_BATCH = 1 << 16  # rows: what is copied of them stays in the cache until it is read


def paired(metric: Metric, baseline: Sample, head: Sample, *, confidence: float = 0.95, rows: Rows | None = None) -> Paired:
    """Compare `metric` on two aligned Samples (on the subset `rows`, a mask or indices, if given).

    Accuracy and its like, unweighted and unclustered: Tango's score interval, at every n. All else: Student's t on the differences of
    the influences, and where fewer than 25 examples of a class or 10 rows (clusters) tell of them, the most that one example can do to
    the metric (see `unseen`), or no interval. Same inputs, same numbers: nothing is drawn.
    """
    return paired_many([metric], baseline, head, confidence=confidence, rows_by_slice={"": rows})[""][0]


def paired_many(
    metrics: Sequence[Metric],
    baseline: Sample,
    head: Sample,
    *,
    confidence: float = 0.95,
    rows_by_slice: Mapping[str, Rows | None] | None = None,
    tolerance: Mapping[str, float] | None = None,
) -> dict[str, tuple[Paired, ...]]:
    """`paired` for many metrics on many subsets: slice name -> a Paired a metric, in their order. None as rows means all of them.

    Metrics of labels share one count of the (target, baseline, head) table a slice. Without `rows_by_slice`: {"": all rows}.
    tolerance: by how much the change of a metric on all rows, by name, may be off where that spares sorting (ROC-AUC and average precision; see
    `by_bins`): a tenth of a margin is a good choice for millions of rows. A metric that is not named, or where the certified error would
    be larger, is computed exactly.
    """
    baseline = replace(baseline, target=head.target, weight=head.weight, cluster=head.cluster)
    joint = _joint(baseline, head) if any(metric.slope for metric in metrics) else None
    work = _Work(metrics, baseline, replace(head), joint, confidence, tolerance or {})
    asked = {"": None} if rows_by_slice is None else rows_by_slice
    slices = {name: rows for name, rows in asked.items() if rows is not None}
    several = sum(map(_many, slices.values())) >= head.n
    found: dict[str, tuple[Paired, ...]] = {}
    with (
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),  # what is not finite in the end has a named state or no interval
        beside(head.n if several and work.by_rows else 0) as start,
    ):
        whole = work.whole_of(start) if len(slices) < len(asked) else None  # first: slices look things up in it
        parts = [(batch, start(work.batch, [slices[name] for name in batch])) for batch in _batches(slices)]
        for batch, answers in parts:
            found |= zip(batch, answers(), strict=True)
        of_all = whole() if whole else ()
    found |= {name: of_all for name, rows in asked.items() if rows is None}
    return {name: found[name] for name in asked}


def _many(rows: Rows) -> int:
    return int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)


def _batches(slices: Mapping[str, Rows]) -> Iterator[list[str]]:
    """Slices by name, small ones some together: there are fewer things to ask for."""
    batch, many = list[str](), 0
    for name, rows in slices.items():
        size = _many(rows)
        if batch and many + size > _BATCH:
            yield batch
            batch, many = [], 0
        batch.append(name)
        many += size
    if batch:
        yield batch


@dataclass
class _Work:
    """What is compared, and of all rows, once these have been, what slices of them look up."""

    metrics: Sequence[Metric]
    baseline: Sample
    head: Sample
    joint: Joint | None
    confidence: float
    tolerance: Mapping[str, float]
    whole: Sides | None = None

    @property
    def by_rows(self) -> bool:
        """Whether any metric needs more than the table of labels."""
        return not (self.joint and all(metric.slope for metric in self.metrics))

    def batch(self, slices: Sequence[Rows]) -> list[tuple[Paired, ...]]:
        """The comparisons on each of some slices (masks or indices)."""
        slices = [np.flatnonzero(rows) if rows.dtype == bool else rows for rows in slices]
        if not self.by_rows:
            return [self.on(rows) for rows in slices]
        together, ends = np.concatenate(slices), np.cumsum([len(rows) for rows in slices]).tolist()
        baseline, head = self.baseline.take(together), self.head.take(together)

        def one(which: int) -> tuple[Paired, ...]:
            part = slice(ends[which] - len(slices[which]), ends[which])
            return self.on(slices[which], (baseline.part(part), head.part(part)))

        return [one(which) for which in range(len(slices))]

    def on(self, rows: Rows, sides: tuple[Sample, Sample] | None = None) -> tuple[Paired, ...]:
        """The comparisons on some rows (indices), of which `sides` has the Samples."""
        found = _Found(Sides(*self._counted(*(sides or (self.baseline, self.head))), self.whole, rows), self._cells(rows), self.confidence)
        return found.of(self.metrics)

    def whole_of(self, start: Start) -> Callable[[], tuple[Paired, ...]]:
        """The comparisons on all rows, when they are asked for; slices may be begun before that.

        Orders of all examples take long, and nothing of them is looked up: they are begun first, and remember what they find apart.
        """
        sides, cells = Sides(*self._counted(self.baseline, self.head)), self._cells(None)
        ranked = [metric for metric in self.metrics if metric.ranked is not None]
        rest = [metric for metric in self.metrics if metric.ranked is None]
        for metric in ranked:
            if metric.name not in self.tolerance:  # what is counted by bins keeps nothing of the length of the data
                sides.differ(metric)
        apart = replace(sides, baseline=replace(sides.baseline), head=replace(sides.head), memory=dict(sides.memory))
        answer = start(_Found(apart, cells, self.confidence, self.tolerance).of, ranked)
        known = dict(zip(map(id, rest), _Found(sides, cells, self.confidence, self.tolerance).of(rest), strict=True))
        self.whole = replace(sides, baseline=sides.baseline.lighter(), head=sides.head.lighter(), memory=dict(sides.memory))
        self.baseline.memory.update(self.whole.baseline.memory)
        self.head.memory.update(self.whole.head.memory)

        def all_of_them() -> tuple[Paired, ...]:
            made = known | dict(zip(map(id, ranked), answer(), strict=True))
            return tuple(made[id(metric)] for metric in self.metrics)

        return all_of_them

    def _cells(self, rows: Rows | None) -> Cells | None:
        return self.joint.cells(rows) if self.joint else None

    def _counted(self, baseline: Sample, head: Sample) -> tuple[Sample, Sample]:
        """Both as they are counted by rows: weights that are all equal are none, clusters are 0…G−1."""
        if not self.by_rows:
            return baseline, head
        head = head.counted(uneven(head.weight), dense(head.cluster))
        return baseline.counted(head.weight, head.cluster), head


@dataclass(frozen=True)
class _Found:
    """What metrics come to on some rows. tolerance: see `paired_many`."""

    sides: Sides
    cells: Cells | None
    confidence: float
    tolerance: Mapping[str, float] = field(default_factory=dict)

    def of(self, metrics: Sequence[Metric]) -> tuple[Paired, ...]:
        """Some metrics, in their order."""
        head, cells = self.sides.head, self.cells
        means = [metric for metric in metrics if metric.means and not (metric.slope and cells) and head.cluster is None]
        of_means = dict(zip(map(id, means), from_means(means, self.sides, self.confidence), strict=True))

        def one(metric: Metric) -> Paired:
            if metric.slope and cells:
                return from_cells(metric, metric.slope, cells, self.confidence)
            if id(metric) in of_means:
                return of_means[id(metric)]
            return self._near(metric) or from_rows(metric, self.sides, self.confidence)

        return tuple(one(metric) for metric in metrics)

    def _near(self, metric: Metric) -> Paired | None:
        if metric.name not in self.tolerance:
            return None
        return from_bins(metric, self.sides.baseline, self.sides.head, self.tolerance[metric.name], self.confidence)


def _joint(baseline: Sample, head: Sample) -> Joint | None:
    if head.target is None or baseline.prediction is None or head.prediction is None or not head.labels:
        return None
    return Joint(head.target, baseline.prediction, head.prediction, head)


# --- from the table; from the rows: see `by_rows`


def from_cells(metric: Metric, slope: Callable[[Tally], Slope], cells: Cells, confidence: float) -> Paired:
    """A metric of labels, from the occupied cells of the table."""
    if cells.n == 0:
        return undefined(metric, 0, Measured(None, state="empty"), Measured(None, state="empty"))
    before, after = (slope(side) for side in cells.sides)
    base, head = (Measured(side.value, None, side.state, side.support, side.rare) for side in (before, after))
    if before.value is None or after.value is None:
        return undefined(metric, cells.n, base, head)
    own, step = after.at(cells.target, cells.head), _step(before, after, cells)
    difference = own - before.at(cells.target, cells.baseline)
    moved = seen(step) & (cells.baseline != cells.head)
    better, worse = (int(cells.count[moved & side].sum()) for side in (step > 0, step < 0))
    parts = Parts(
        clustered=cells.clustered is not None,
        difference=Spread.of_cells(cells, difference, moved),
        own=Spread.of_cells(cells, own, seen(own)),
        share=_share(metric, cells, after, better, worse),
        longest=_longest_of_cells(slope, cells),
        own_longest=lambda many: both_ways(slope, Table.of_cells(cells)[1], many),
    )
    return conclude(metric, cells.n, base, head, parts, (better, worse), confidence)


def _longest_of_cells(slope: Callable[[Tally], Slope], cells: Cells) -> Longest:
    """What the head could lose beyond what it has, and what the baseline could, which is a gain of the head."""

    def longest(many: float) -> tuple[float, float] | None:
        down, up = (of_table(slope, table, "lost", many) for table in reversed(Table.of_cells(cells)))
        return None if down is None or up is None else (down, up)

    return longest


def _step(before: Slope, after: Slope, cells: Cells) -> Floats:
    """What it does to the metric, at weight 1, that a row of the cell is answered as the head does and no longer as the baseline does.

    The mean of the two models' slopes: their difference alone would make every row of a class "differ" as soon as one does.
    """
    steps = [side.at(cells.target, cells.head) - side.at(cells.target, cells.baseline) for side in (before, after)]
    return (steps[0] + steps[1]) / 2


def _share(metric: Metric, cells: Cells, after: Slope, better: int, worse: int) -> Share | None:
    if not metric.rowwise or not cells.uniform or cells.clustered:
        return None
    counts = after.hit[cells.target] > 0
    right = counts & (cells.target == cells.head)
    return Share(int(cells.count[counts].sum()), better, worse, int(cells.count[right].sum()))
