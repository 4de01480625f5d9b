"""The difference of two orders, without sorting either: ROC-AUC and average precision of two models on any number of examples in memory.

A few seconds for a hundred million examples, and some 50 MB beside them. The error is certified (`binned`): the interval is made wider by
the most that the bins can have hidden, so that it holds as the exact one does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.binned import Counted, Curve, Layout
from mlops_toolkit.stats.by_rows import Sides, bias
from mlops_toolkit.stats.conclude import Paired, Parts, conclude
from mlops_toolkit.stats.contrast import Moments, contrasts
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import rarer
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import own_longest

_AIMS = 1 << 15, 1 << 18  # bins: the first are quick, since what is looked up stays in the cache; the second near
_BLOCK = 1 << 19  # rows that are counted at once
_HALVES = 2  # each is counted by a thread of its own; fixed, so that sums of weights are the same on every machine

_CURVES: dict[str, Callable[[Counted], Curve]] = {"roc-auc": Counted.roc_auc, "average-precision": Counted.average_precision}


def from_bins(metric: Metric, baseline: Sample, head: Sample, tolerance: float, confidence: float) -> Paired | None:
    """The comparison of two aligned, unclustered Samples, with its certified error (`Paired.bound`); weights are None where all are equal.

    None where this cannot be done: the metric is not of one score's order, it is undefined, or the error of the change may be more
    than `tolerance`, or the interval would become a quarter wider by it. Then it must be computed exactly.
    """
    if metric.ranked is None or head.cluster is not None or head.n == 0 or head.target is None:
        return None
    orders = [metric.ranked.of(side) for side in (baseline, head)]
    if orders[0] is None or orders[1] is None:
        return None
    pair = _Pair(_CURVES[metric.ranked.curve], orders[0][1], orders[1][1], head.target, orders[1][0], head.weight)
    for aim in _AIMS:
        counted = [pair.counted(scores, aim) for scores in (pair.before, pair.after)]
        if min(counted[1].positives, counted[1].negatives) == 0:
            return None
        curves = [pair.curve(one) for one in counted]
        if curves[0].bound + curves[1].bound <= tolerance:
            made = _compared(metric, pair, counted[1], curves, (baseline, head), confidence)
            if made is not None:
                return made
    return None


def _compared(
    metric: Metric, pair: _Pair, counted: Counted, curves: list[Curve], sides: tuple[Sample, Sample], confidence: float
) -> Paired | None:
    """The second pass, and what comes of it."""
    baseline, head = sides
    sign, weight = (1 if metric.direction == "higher" else -1), head.weight
    share = sign * (curves[1].value - curves[0].value) / (head.n if weight is None else float(weight.sum()))
    found = contrasts(head.n, lambda at: [pair.part(at, curves, share, sign)])[0]
    fewer, rare = rarer(counted.positives, counted.negatives, head.labels[pair.positive])
    measured = [Measured(one.value, support=fewer, rare=rare) for one in curves]
    own, contribute = (found.own, found.contribute) if weight is not None else _own(counted, curves[1])
    difference = found.difference.spread(found.better + found.worse)
    parts = Parts(
        clustered=False,
        difference=difference,
        own=own.spread(contribute),
        share=None,
        longest=own_longest(metric, head),
        guard=True,
        bias=bias(metric, Sides(baseline, head)),
    )
    made = conclude(metric, head.n, measured[0], measured[1], parts, (found.better, found.worse), confidence)
    return _widened(made, curves)


@dataclass(frozen=True)
class _Pair:
    """Scores of two models (n,), the codes of the targets, which of them is the positives', and weights."""

    curve: Callable[[Counted], Curve]
    before: Floats
    after: Floats
    target: npt.NDArray[Any]
    positive: int
    weight: Floats | None

    def counted(self, scores: Floats, aim: int) -> Counted:
        """The first pass over all rows of one model."""
        layout, n = Layout.of(scores, aim), len(scores)
        edges = [n * i // _HALVES for i in range(_HALVES + 1)]

        def count(half: int) -> Counted:
            made = Counted(layout)
            for start in range(edges[half], edges[half + 1], _BLOCK):
                rows = slice(start, min(start + _BLOCK, edges[half + 1]))
                made.add(scores[rows], self.target[rows] == self.positive, None if self.weight is None else self.weight[rows])
            return made

        with ThreadPoolExecutor(_HALVES) as pool:
            first, *rest = pool.map(count, range(_HALVES))
        for other in rest:
            first.merge(other)
        return first

    def part(self, at: slice, curves: list[Curve], share: float, sign: int) -> tuple[Floats, Floats, Floats]:
        """Of some rows: difference, own influence (needed with weights only), step of those that differ."""
        heavy, positive = None if self.weight is None else self.weight[at], self.target[at] == self.positive
        before, after = self.before[at], self.after[at]
        pull, own = curves[0].influence(before, positive, heavy), curves[1].influence(after, positive, heavy)
        difference = own - pull if sign > 0 else pull - own
        differs = before != after
        step = difference + (share if heavy is None else share * heavy)
        return difference, own if heavy is not None else own[:0], step if differs.all() else step[differs]


def _own(counted: Counted, curve: Curve) -> tuple[Moments, int]:
    """The moments of one model's influences and how many are not 0, of rows without weights: from the counts alone."""
    held = np.concatenate([counted.ones, counted.others])
    pull = np.concatenate([curve.of_positive, curve.of_other])[held > 0]
    held = held[held > 0]
    largest = float(np.abs(pull).max())
    share = pull / (largest or 1.0)
    sums = (float((held * share**power).sum()) for power in (2, 3, 4))
    return Moments(int(held.sum()), largest, *sums), int(held[pull != 0].sum())


def _widened(made: Paired, curves: list[Curve]) -> Paired | None:
    """With room for what the bins hide: in the values, and in the standard error (`Curve.slack`)."""
    bound, slack = curves[0].bound + curves[1].bound, curves[0].slack + curves[1].slack
    made = replace(made, bound=bound)
    if made.low is None or made.high is None or made.standard_error is None:
        return made
    if slack > made.standard_error / 4:
        return None
    change = made.change or 0.0
    down, up = ((change - made.low) / made.standard_error, (made.high - change) / made.standard_error)
    made = replace(made, low=made.low - down * slack - bound, high=made.high + up * slack + bound)
    if made.head_low is not None and made.head_high is not None:
        room = curves[1].bound + curves[1].slack * max(down, up)
        made = replace(made, head_low=max(0.0, made.head_low - room), head_high=min(1.0, made.head_high + room))
    return made
