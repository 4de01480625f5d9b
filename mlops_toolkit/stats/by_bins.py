"""The difference of two orders, without sorting either: ROC-AUC and average precision of two models on any number of examples in memory.

A few seconds for a hundred million examples, and some 50 MB beside them. The error is certified (`binned`): the interval is made wider by
the most that the bins can have hidden, so that it holds as the exact one does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.binned import Counted, Curve
from mlops_toolkit.stats.by_rows import Sides, bias
from mlops_toolkit.stats.chunks import ROWS, blocks, by_stretch, in_order
from mlops_toolkit.stats.conclude import Paired, Parts, conclude
from mlops_toolkit.stats.contrast import NOISE, Contrast, Moments, Moved
from mlops_toolkit.stats.contrast import Room as Sums
from mlops_toolkit.stats.layout import FINER, Layout, Room
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import rarer
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import own_longest

_AIMS = 1 << 15, 1 << 18  # bins: the first are quick, since what is looked up stays in the cache; the second near
_HALVES = 2  # each is counted by a thread of its own; fixed, so that sums of weights are the same on every machine

# how the metric is made of counts, and how many times as many bins it needs among the highest scores, which decide average precision
_CURVES: dict[str, tuple[Callable[[Counted], Curve], int]] = {
    "roc-auc": (Counted.roc_auc, 1),
    "average-precision": (Counted.average_precision, FINER),
}


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
    pair = _Pair(*_CURVES[metric.ranked.curve], orders[0][1], orders[1][1], head.target, orders[1][0], head.weight)
    for aim in _AIMS:
        try:
            counted = pair.counted(aim)
        except ValueError:  # a NaN
            return None
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
    found = pair.contrast(curves, share, sign)
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
    finer: int
    before: Floats
    after: Floats
    target: npt.NDArray[Any]
    positive: int
    weight: Floats | None

    def counted(self, aim: int) -> list[Counted]:
        """The first pass over all rows, of both models. ValueError where a score is NaN."""
        layouts, n = [Layout.of(scores, aim, self.finer) for scores in (self.before, self.after)], len(self.target)
        edges = [n * i // _HALVES for i in range(_HALVES + 1)]

        def count(half: int) -> list[Counted]:
            made, room, kind = [Counted(layout) for layout in layouts], Room(ROWS), np.empty(ROWS, bool)

            def add(rows: slice) -> None:
                positive = np.equal(self.target[rows], self.positive, out=kind[: rows.stop - rows.start])
                for one, scores in zip(made, (self.before, self.after), strict=True):
                    one.add(scores[rows], positive, None if self.weight is None else self.weight[rows], room)

            for _ in in_order(blocks(slice(edges[half], edges[half + 1])), add, rows=n):  # one after the other, unless it is told to stop
                pass
            return made

        first, *rest = in_order(range(_HALVES), count, rows=n, workers=_HALVES)
        for other in rest:
            for one, more in zip(first, other, strict=True):
                one.merge(more)
        return first

    def contrast(self, curves: list[Curve], share: float, sign: int) -> Contrast:
        """The second pass: of the differences of the influences; with weights of the head's own too, which else the counts tell."""
        small = NOISE * (curves[0].largest + curves[1].largest + abs(share)) * self.heaviest

        def stretch(rows: slice, room: _Room) -> Contrast:
            return Contrast.total(self._block(some, room, curves, share, sign, small) for some in blocks(rows))

        return Contrast.total(by_stretch(len(self.target), _Room, stretch))

    def _block(self, rows: slice, room: _Room, curves: list[Curve], share: float, sign: int, small: float) -> Contrast:
        n, weight = rows.stop - rows.start, None if self.weight is None else self.weight[rows]
        before, after = self.before[rows], self.after[rows]
        own, pull, difference, square = (one[:n] for one in (room.sums.own, room.sums.pull, room.sums.difference, room.sums.square))
        positive = np.equal(self.target[rows], self.positive, out=room.kind[:n])
        for curve, scores, found in zip(curves, (before, after), (pull, own), strict=True):
            curve.look_up(scores, positive, room.places, found)
            if weight is not None:
                found *= weight
        np.subtract(*((own, pull) if sign > 0 else (pull, own)), out=difference)
        made = Contrast(Moments.of(difference, square))
        if weight is not None:
            made.own = Moments.of(own, square)
            made.contribute = int(np.count_nonzero(np.abs(own, out=own) > small))
        made.count(difference, Moved(share, weight, np.not_equal(before, after, out=room.differs[:n])), small, room.sums)
        return made

    @property
    def heaviest(self) -> float:
        """The largest weight."""
        return 1.0 if self.weight is None else float(self.weight.max())


class _Room:
    """Scratch of one thread for the second pass."""

    def __init__(self) -> None:
        self.places, self.sums = Room(ROWS), Sums(ROWS)
        self.kind, self.differs = (np.empty(ROWS, bool) for _ in range(2))


def _own(counted: Counted, curve: Curve) -> tuple[Moments, int]:
    """The moments of one model's influences and how many are not 0, of rows without weights: from the counts alone."""
    held = np.concatenate([counted.ones, counted.others])
    pull = np.concatenate([curve.of_positive, curve.of_other])[held > 0]
    held = held[held > 0]
    largest = float(np.abs(pull).max())
    share = pull / (largest or 1.0)
    second, third, fourth = (float((held * share**power).sum()) for power in (2, 3, 4))
    least, most = min(0.0, float(pull.min())), max(0.0, float(pull.max()))
    return Moments(int(held.sum()), largest, second, third, fourth, least, most), int(held[pull != 0].sum())


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
    error = made.standard_error + slack
    made = replace(made, low=made.low - down * slack - bound, high=made.high + up * slack + bound, standard_error=error)
    if made.head_low is not None and made.head_high is not None:
        room = curves[1].bound + curves[1].slack * max(down, up)
        made = replace(made, head_low=max(0.0, made.head_low - room), head_high=min(1.0, made.head_high + room))
    return made
