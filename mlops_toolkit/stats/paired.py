"""The difference of a metric between two models on the same examples: what it consists of; `conclude` makes the interval of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.conclude import Paired, Parts, Share, conclude, undefined
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import zeros_and_ones
from mlops_toolkit.stats.spread import Spread, by_unit
from mlops_toolkit.stats.tally import Cells, Joint, Slope, Tally, dense, distinct, uneven

__all__ = ["Paired", "paired", "paired_many"]

Rows = npt.NDArray[Any]

_NOISE = 1e-12  # a contribution below this share of the largest one is rounding


def paired(metric: Metric, baseline: Sample, head: Sample, *, confidence: float = 0.95, rows: Rows | None = None) -> Paired:
    """Compare `metric` on two aligned Samples (on the subset `rows`, a mask or indices, if given).

    Accuracy and its like, unweighted and unclustered: Tango's score interval, at every n. All else: Student's t on the
    differences of the influences, which decides only with 25 examples of each class the metric depends on, 10 rows that
    contribute and, where rows are clustered, 10 clusters of which 10 contribute. Same inputs, same numbers: nothing is drawn.
    """
    return paired_many([metric], baseline, head, confidence=confidence, rows_by_slice={"": rows})[""][0]


def paired_many(
    metrics: Sequence[Metric],
    baseline: Sample,
    head: Sample,
    *,
    confidence: float = 0.95,
    rows_by_slice: Mapping[str, Rows | None] | None = None,
) -> dict[str, tuple[Paired, ...]]:
    """`paired` for many metrics on many subsets: slice name -> a Paired a metric, in their order. None as rows means all of them.

    Metrics of labels share one count of the (target, baseline, head) table a slice. Without `rows_by_slice`: {"": all rows}.
    """
    baseline = replace(baseline, target=head.target, weight=head.weight, cluster=head.cluster)
    joint = _joint(baseline, head) if any(metric.slope for metric in metrics) else None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite in the end has a named state or no interval
        return {
            name: _on(metrics, baseline, head, joint, rows, confidence)
            for name, rows in ({"": None} if rows_by_slice is None else rows_by_slice).items()
        }


def _on(
    metrics: Sequence[Metric], baseline: Sample, head: Sample, joint: Joint | None, rows: Rows | None, confidence: float
) -> tuple[Paired, ...]:
    cells = joint.cells(rows) if joint else None
    if rows is not None and not all(metric.slope and cells for metric in metrics):
        baseline, head = baseline.take(rows), head.take(rows)
    return tuple(
        _from_cells(metric, metric.slope, cells, confidence) if metric.slope and cells else _from_rows(metric, baseline, head, confidence)
        for metric in metrics
    )


def _joint(baseline: Sample, head: Sample) -> Joint | None:
    if head.target is None or baseline.prediction is None or head.prediction is None or not head.labels:
        return None
    return Joint(head.target, baseline.prediction, head.prediction, head)


# --- the two ways to what a difference consists of


def _from_cells(metric: Metric, slope: Callable[[Tally], Slope], cells: Cells, confidence: float) -> Paired:
    if cells.n == 0:
        return undefined(metric, 0, Measured(None, state="empty"), Measured(None, state="empty"))
    before, after = (slope(side) for side in cells.sides)
    base, head = (Measured(side.value, None, side.state, side.support, side.rare) for side in (before, after))
    if before.value is None or after.value is None:
        return undefined(metric, cells.n, base, head)
    own, step = after.at(cells.target, cells.head), _step(before, after, cells)
    difference = own - before.at(cells.target, cells.baseline)
    moved = _seen(step) & (cells.baseline != cells.head)
    better, worse = (int(cells.count[moved & side].sum()) for side in (step > 0, step < 0))
    parts = Parts(
        clustered=cells.clustered is not None,
        difference=Spread.of_cells(cells, difference, moved),
        own=Spread.of_cells(cells, own, _seen(own)),
        share=_share(metric, cells, after, better, worse),
    )
    return conclude(metric, cells.n, base, head, parts, (better, worse), confidence)


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


def _from_rows(metric: Metric, baseline: Sample, head: Sample, confidence: float) -> Paired:
    baseline, head = (replace(side, weight=uneven(side.weight), cluster=dense(side.cluster)) for side in (baseline, head))
    before, after = metric.measure(baseline), metric.measure(head)
    if before.value is None or after.value is None or before.influence is None or after.influence is None:
        return undefined(metric, head.n, before, after)
    sign = 1 if metric.direction == "higher" else -1
    difference = sign * (after.influence - before.influence)
    weight = np.ones(head.n) if head.weight is None else head.weight
    moved_by = difference + sign * (after.value - before.value) * weight / weight.sum()  # sums to the change, row by row
    moved = _seen(moved_by) & _differs(metric, baseline, head)
    better, worse = (int(np.count_nonzero(moved & side)) for side in (moved_by > 0, moved_by < 0))
    share = None
    if head.cluster is None and head.weight is None:
        ones, others = zeros_and_ones(metric, head), zeros_and_ones(metric, baseline)
        share = None if ones is None or others is None else Share(head.n, better, worse, int(ones.sum()))
    active = int(np.count_nonzero(moved)) if head.cluster is None else distinct(head.cluster[moved])
    own = by_unit(after.influence, head.cluster)
    parts = Parts(
        clustered=head.cluster is not None,
        difference=Spread.of(by_unit(difference, head.cluster), active),
        own=Spread.of(own, int(np.count_nonzero(_seen(own)))),
        share=share,
    )
    return conclude(metric, head.n, before, after, parts, (better, worse), confidence)


def _seen(contribution: Floats) -> npt.NDArray[np.bool_]:
    """Which contributions are more than rounding."""
    size = np.abs(contribution)
    seen: npt.NDArray[np.bool_] = size > _NOISE * size.max(initial=0.0)
    return seen


def _differs(metric: Metric, baseline: Sample, head: Sample) -> npt.NDArray[np.bool_]:
    """Rows (n,) that the two models answer differently, in what the metric reads."""
    if metric.reads == "columns" and metric.argument is not None:
        pairs: list[tuple[Rows | None, Rows | None]] = [(baseline.columns[metric.argument], head.columns[metric.argument])]
    elif metric.reads == "prediction":
        pairs = [(baseline.prediction, head.prediction)]
    else:
        pairs = [(baseline.score, head.score), (baseline.prob, head.prob)]
    differs = np.zeros(head.n, dtype=bool)
    for before, after in pairs:
        if before is not None and after is not None:
            differs |= np.not_equal(before, after).reshape(head.n, -1).any(axis=1)
    return differs
