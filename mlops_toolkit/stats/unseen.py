"""How far one example that nobody has seen could move a metric: what is left to fear where few or no examples tell.

Three flips among 100,000 examples have hardly any spread, and a model without an error has none at all; that is no proof. But where a
metric is bounded, one example can move it by no more than a longest step s. Then any change that adds up to d is made of d/s examples
or more, and that so many are expected while none is seen is a matter of chance that can be computed: `spread.reach` turns s into an end
of the interval (z²·s away where nothing was seen at all, which for a share of n rows is Wilson's z²/n).

Steps are finite, not slopes: it is asked what the metric would be after so many of the worst examples, and their mean step is taken,
since the second error of a class costs more F1 than the first. Where examples have weights or stand in clusters, the step is that of the
heaviest one (cluster). Metrics without bounds (errors of numbers, log-loss, the mean of a column) have no longest step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import by_chunk
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.tally import Cells, Slope, Tally, summed, tally, thin

Side = Literal["lost", "gained"]  # in the metric's value, whichever of the two is better
Mask = npt.NDArray[np.bool_]

_ANSWERS = 4  # labels, those that the slope pulls most towards, that examples are given instead
_TRIED = 12  # kinds of errors, those of the steepest slope, whose finite steps are compared


def units(confidence: float, seen: int) -> float:
    """How many more units than those `seen` may be expected at most while no more are seen (the upper score limit of a count)."""
    z = critical(confidence)
    return z * (z / 2 + math.sqrt(z * z / 4 + seen))


@dataclass(frozen=True)
class Table:
    """What a model answers: the mass (m,) of the occupied cells (target, prediction), its sums, and the mass of the heaviest unit."""

    tally: Tally
    target: Codes
    prediction: Codes
    mass: Floats
    unit: float

    @classmethod
    def of(cls, sample: Sample) -> Table | None:
        """Of a Sample; None where it has no labels."""
        if sample.target is None or sample.prediction is None or not sample.labels or sample.n == 0:
            return None
        return cls._of(tally(sample.target, sample.prediction, sample), sample.target, sample.prediction, sample.weight, _heaviest(sample))

    @classmethod
    def of_cells(cls, cells: Cells) -> tuple[Table, Table]:
        """Of the two models of a joint table, baseline and head."""
        unit = 1.0
        if cells.clustered is not None:
            unit = float(summed(cells.clustered.cluster, cells.clustered.weight, cells.units).max())
        elif not cells.uniform:
            unit = 1.0  # weights are relative to the largest
        before, after = cells.sides
        return (
            cls._of(before, cells.target, cells.baseline, cells.weight, unit),
            cls._of(after, cells.target, cells.head, cells.weight, unit),
        )

    @classmethod
    def _of(cls, sums: Tally, target: Codes, prediction: Codes, weight: Floats | None, unit: float) -> Table:
        k = len(sums.true)
        occupied, cell = np.unique(target.astype(np.int64) * k + prediction, return_inverse=True)
        mass = summed(cell.ravel(), weight, len(occupied))
        return cls(sums, (occupied // k).astype(np.int32), (occupied % k).astype(np.int32), mass, unit)


def _heaviest(sample: Sample) -> float:
    """The weight of the heaviest example (cluster)."""
    if sample.cluster is not None:
        return float(summed(sample.cluster, sample.weight, int(sample.cluster.max()) + 1).max())
    return 1.0 if sample.weight is None else float(sample.weight.max())


def of_table(slope: Callable[[Tally], Slope], table: Table, side: Side, many: float) -> float | None:
    """The mean step of so `many` units that all go the worst (or best) way; None where that leaves the metric undefined, or says nothing."""
    now = slope(table.tally)
    if now.value is None or now.thin:
        return None
    sign = -1.0 if side == "lost" else 1.0
    longest = 0.0
    for cell, to in _steepest(now, table, sign):
        mass = min(many * table.unit, float(table.mass[cell]))
        after = slope(_moved(table, cell, to, mass)).value
        if after is None:
            return None
        longest = max(longest, sign * (after - now.value) / max(mass / table.unit, 1.0))
    return longest


def _steepest(slope: Slope, table: Table, sign: float) -> list[tuple[int, int]]:
    """The cells, and the label that their examples would be given instead, whose step is longest at first order."""
    targets, given = table.target, table.prediction
    largest = max(float(np.abs(one).max(initial=0.0)) for one in (slope.predicted, slope.hit)) or 1.0
    # To nine digits: which of two equal steps comes first must not hang on the order in which weights were added up.
    predicted, hit = (np.round(one / largest, 9) for one in (slope.predicted, slope.hit))
    here = predicted[given] + np.where(targets == given, hit[targets], 0.0)
    kinds = []
    for to in (targets, *np.argsort(-sign * predicted, kind="stable")[:_ANSWERS]):  # the right answer, and those that pull most
        there = predicted[to] + np.where(targets == to, hit[to], 0.0)
        gain = np.where(given == to, -np.inf, np.round(sign * (there - here), 9))
        answers = np.broadcast_to(to, len(targets))
        kinds += [
            (float(gain[cell]), int(cell), int(answers[cell])) for cell in np.argsort(-gain, kind="stable")[:_TRIED] if gain[cell] > 0
        ]
    return [(cell, to) for _, cell, to in sorted(kinds, reverse=True)[:_TRIED]]


def _moved(table: Table, cell: int, to: int, mass: float) -> Tally:
    target, given, sums = int(table.target[cell]), int(table.prediction[cell]), table.tally
    predicted, hit = sums.predicted.copy(), sums.hit.copy()
    predicted[given] = _less(predicted[given], mass)
    predicted[to] += mass
    if given == target:
        hit[target] = _less(hit[target], mass)
    if to == target:
        hit[target] += mass
    return replace(sums, predicted=predicted, hit=hit)


def _less(whole: float, part: float) -> float:
    """What is left; nothing where that is rounding, which would make a metric that is undefined without it look defined."""
    left = float(whole - part)
    return left if left > 1e-12 * whole else 0.0


# --- metrics of scores


def _of_auc(positives: float, others: float, many: float) -> float:
    """One positive that falls below all others loses 1/P of the pairs; one of the others that rises above all, 1/N."""
    return 1 / max(min(positives, others), 1.0)


def _of_precision_at_rank(positives: float, others: float, many: float) -> float:
    """So `many` others above all positives: the mean over ranks r of many/(r + many), which is (many/P)·ln((P + many)/many)."""
    return max(math.log((positives + many) / many), 1.0) / max(positives, 1.0)


_RANKED: Mapping[str, Callable[[float, float, float], float]] = {"roc-auc": _of_auc, "average-precision": _of_precision_at_rank}


def of_scores(metric: Metric, sample: Sample, many: float) -> float | None:
    """Of ROC-AUC, average precision and the Brier score; None for metrics that have no longest step, and averages over thin classes."""
    target = sample.target

    def all_rows() -> float:
        return (float(sample.n) if sample.weight is None else float(sample.weight.sum())) / _heaviest(sample)

    def of_class(c: int) -> tuple[float, float]:
        found: tuple[float, float] = sample.once(("sizes", c), lambda: counted(c))
        return found

    def counted(c: int) -> tuple[float, float]:
        if sample.cluster is None:
            return _of_rows(target, c, sample.weight, sample.n)
        return _size(sample, np.asarray(target == c)), _size(sample, np.asarray(target != c))

    return None if target is None else of_sizes(metric, sample, all_rows, of_class, many)


def of_sizes(
    metric: Metric, shape: Sample, all_rows: Callable[[], float], of_class: Callable[[int], tuple[float, float]], many: float
) -> float | None:
    """`of_scores` of rows that are known by their sizes alone: as how many of the heaviest units they weigh, all of them or, of a class,
    its positives and all others. shape: any Sample with the same labels, positive class and kinds of scores."""
    if metric.family == "brier":
        return (1.0 if len(shape.labels) <= 2 else 2.0) / all_rows()
    formula = _RANKED.get(metric.family)
    if formula is None:
        return None
    if metric.argument is None and len(shape.labels) > 2 and shape.prob is not None:
        classes, share = list(range(len(shape.labels))), 1 / len(shape.labels)
    else:
        classes, share = [shape.labels.index(metric.argument) if metric.argument is not None else int(shape.positive or 0)], 1.0
    sizes = [of_class(c) for c in classes]
    if thin(np.array([positives for positives, _ in sizes])):
        return None
    return max(share * formula(*size, many) for size in sizes)


def _of_rows(target: Any, c: int, weight: Floats | None, n: int) -> tuple[float, float]:
    """As how many of the heaviest of their own the rows of class c weigh, and all others; unclustered. Nothing of n rows is made of it."""

    def chunk(rows: slice) -> list[tuple[float, float]]:
        kind = target[rows] == c
        if weight is None:
            ones = int(np.count_nonzero(kind))
            return [(ones, float(ones > 0)), (len(kind) - ones, float(ones < len(kind)))]
        heavy = [weight[rows] * one for one in (kind, ~kind)]
        return [(float(one.sum()), float(one.max())) for one in heavy]

    ones, others = zip(*by_chunk(n, chunk), strict=True)
    sizes = [(sum(one[0] for one in parts), max(one[1] for one in parts)) for parts in (ones, others)]
    first, second = (whole / heaviest if heaviest > 0 else 0.0 for whole, heaviest in sizes)
    return first, second


def _size(sample: Sample, rows: Mask) -> float:
    """How many of the heaviest units weigh as much as these rows."""
    weight = rows.astype(np.float64) if sample.weight is None else rows * sample.weight
    heaviest = weight.max() if sample.cluster is None else summed(sample.cluster, weight, int(sample.cluster.max()) + 1).max()
    return float(weight.sum() / heaviest) if heaviest > 0 else 0.0
