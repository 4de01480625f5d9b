"""ROC-AUC and average precision of any number of examples without sorting them: counts by bins of the score, and how wrong that can be.

A bin holds an interval of scores, so that only the order *within* bins is unknown. What is computed is the metric with each bin taken
for one score, and beside it the most by which any order within the bins could change the value (`Curve.bound`) and the influences
(`Curve.slack`). Both are proven below, of these very counts, and hold for every placing of bins: what decides where the bins lie
(`Layout.of`, from some of the scores) can only make them wide, never wrong.

Two passes over the examples, in chunks of any size and order, on any number of machines: the first adds up a `Counted` a model
(`Counted.merge` joins two), the second looks up every example's influence (`Curve.influence`). 4–6 MB a model whatever the size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import ROWS
from mlops_toolkit.stats.layout import Layout, Mask, Room, Scores
from mlops_toolkit.stats.sample import Floats


@dataclass
class Counted:
    """What the first pass adds up for one model: weights of positives and of others by bin, and how many rows these are.

    Add the chunks, or `merge` what others have added with the same layout; the order changes nothing but the rounding of weights.

    sums  (2·bins,): of the others by bin, then of the positives
    """

    layout: Layout
    sums: Floats = field(default_factory=lambda: np.zeros(0))
    positives: int = 0
    negatives: int = 0
    heaviest: float = 0.0
    lightest: float = math.inf

    def __post_init__(self) -> None:
        if len(self.sums) != 2 * self.layout.bins:
            self.sums = np.zeros(2 * self.layout.bins)

    @property
    def ones(self) -> Floats:
        """The weight of the positives, (bins,)."""
        return self.sums[self.layout.bins :]

    @property
    def others(self) -> Floats:
        """The weight of the others, (bins,)."""
        return self.sums[: self.layout.bins]

    def add(self, scores: Scores, positive: Mask, weight: Floats | None = None, room: Room | None = None) -> None:
        """Add examples (n,). ValueError where a score is NaN: it has no place in an order. room: scratch of `ROWS` rows."""
        n = len(scores)
        room = room or Room(min(n, ROWS))
        for start in range(0, n, ROWS):
            rows = slice(start, min(start + ROWS, n))
            index = _slots(self.layout, scores[rows], positive[rows], room)
            np.add.at(self.sums, index, 1.0 if weight is None else weight[rows])
        positives = int(np.count_nonzero(positive))
        self.positives += positives
        self.negatives += n - positives
        if n:
            self.heaviest = max(self.heaviest, 1.0 if weight is None else float(weight.max()))
            self.lightest = min(self.lightest, 1.0 if weight is None else float(weight.min()))

    def merge(self, other: Counted) -> None:
        """Take in what another has counted with the same layout."""
        self.sums += other.sums
        self.positives += other.positives
        self.negatives += other.negatives
        self.heaviest = max(self.heaviest, other.heaviest)
        self.lightest = min(self.lightest, other.lightest)

    def roc_auc(self) -> Curve:
        """The share of (positive, other) pairs in the right order, pairs of one bin half. There is one of each at least.

        Within a bin of p positives and q others, in shares of all, any order counts between 0 and all of its p·q pairs, and half of
        them are counted here: |error| ≤ ½·Σ p·q over the bins that hold more than one score. A positive's placement value (the share of others below it) is wrong by at most
        q/2, an other's by p/2, and the influence is that less the value, over the weight of its class.
        """
        all_ones, all_others = float(self.ones.sum()), float(self.others.sum())
        p, q = self.ones / all_ones, self.others / all_others
        below, above = np.cumsum(q) - q / 2, 1 - np.cumsum(p) + p / 2
        doubt = np.where(self._single, 0.0, 0.5)
        value, bound = float((p * below).sum()), float((p * q * doubt).sum())
        wrong = (q * doubt + bound) / all_ones, (p * doubt + bound) / all_others
        return Curve(self.layout, value, bound, self._slack(*wrong), (below - value) / all_ones, (above - value) / all_others)

    def average_precision(self) -> Curve:
        """Σ over bins from the top of (gained positives)·(precision there) / positives. There is a positive at least.

        Above a bin lie T positives and F others, in it t and f (weights). At a positive in it stand T + x positives and F + y others,
        0 ≤ x ≤ t, 0 ≤ y ≤ f: the precision lies between T/(T + F + f) and (T + t)/(T + t + F). The value is a mean of precisions;
        the same mean of these ends bounds it. The influence of a row is made of the precision there (of a positive), of A = Σ w/N and
        of B = Σ w·precision/N over the positives from there down, N = T + F + x + y. A bin's part of A is at least t/(T + F + t + f) and
        at most ∫ dN/N over T + F … T + F + t, one positive after the other; in the first bin, whose first positive has w/N ≤ 1,
        1 + ln(t / lightest weight). B's are these times the ends of the precision. Of the row's own bin, none or all may lie below it.
        A bin of a single score has neither doubt: all of its rows stand at its bottom.
        """
        ones, others = self.ones[::-1], self.others[::-1]
        found, missed = np.cumsum(ones), np.cumsum(others)
        above, over = found - ones, found - ones + missed - others
        all_ones, seen = float(found[-1]), found + missed
        precision = _over(found, seen)
        low, high = np.where(missed > 0, _over(above, above + missed), 1.0), _over(found, found + missed - others)
        single = self._single[::-1]
        low, high = np.where(single, precision, low), np.where(single, precision, high)
        value, least, most = (float((ones * one).sum()) / all_ones for one in (precision, low, high))
        bound = max(value - least, most - value, 0.0)
        part = _over(ones, seen)
        raises, lowers = _down(part), _down(part * precision)
        first = 1 + np.log(np.maximum(ones / self.lightest, 1.0))
        largest = np.where(ones > 0, np.where(over > 0, np.log1p(_over(ones, over)), first), 0.0)
        largest, own = np.where(single, part, largest), np.where(single, 0.0, part)
        off_raises = np.maximum(_down(largest) - raises, own)
        off_lowers = np.maximum(_down(largest * high) - lowers, lowers - _down(part * low) + own * low)
        off = np.maximum(high - precision, precision - low)
        wrong = (off + off_raises + off_lowers + bound) / all_ones, off_lowers / all_ones
        by_positive, by_other = (precision + raises - lowers - value) / all_ones, -lowers / all_ones
        return Curve(self.layout, value, bound, self._slack(*(one[::-1] for one in wrong)), by_positive[::-1], by_other[::-1])

    @property
    def _single(self) -> Mask:
        """Which bins (bins,) hold one score only, by the layout or because they hold one row: two weigh twice the lightest at least."""
        single: Mask = self.layout.single | (self.ones + self.others < 2 * self.lightest)
        return single

    def _slack(self, of_positive: Floats, of_other: Floats) -> float:
        return float(np.sqrt(self.heaviest * (self.ones * of_positive**2 + self.others * of_other**2).sum()))


@dataclass(frozen=True)
class Curve:
    """A metric of one model's bins.

    value        of the metric, each bin taken for one score
    bound        |value − the metric of the unbinned scores| is at most this (and rounding, 1e-12)
    slack        at most this is √(Σ over rows of (influence − that of the unbinned scores)²), and so the difference of their standard
                 errors, but for the factor n/(n − 1). Where rows are clustered, times the root of the largest number of rows of a cluster
    of_positive, of_other  (bins,) the influence, at weight 1, of a positive and of another row in the bin
    """

    layout: Layout
    value: float
    bound: float
    slack: float
    of_positive: Floats
    of_other: Floats

    def influence(self, scores: Scores, positive: Mask, weight: Floats | None = None) -> Floats:
        """The influence (n,) of examples that were counted: w·∂value/∂w."""
        n, room = len(scores), Room(min(len(scores), ROWS))
        found = np.empty(n)
        for start in range(0, n, ROWS):
            rows = slice(start, min(start + ROWS, n))
            self.look_up(scores[rows], positive[rows], room, found[rows])
        if weight is not None:
            found *= weight
        return found

    def look_up(self, scores: Scores, positive: Mask, room: Room, out: Floats) -> None:
        """Write the influence at weight 1 of examples (n,), as many as the room has place for at most."""
        self._table.take(_slots(self.layout, scores, positive, room), out=out, mode="clip")

    @cached_property
    def largest(self) -> float:
        """The largest influence that a row of weight 1 can have."""
        return float(np.abs(self._table).max())

    @cached_property
    def _table(self) -> Floats:
        return np.concatenate([self.of_other, self.of_positive])


def _slots(layout: Layout, scores: Scores, positive: Mask, room: Room) -> npt.NDArray[np.intp]:
    """The places (n,) of examples in a table of the others by bin, then of the positives; ValueError where a score is NaN."""
    n = len(scores)
    bins, of_kind, index = layout.place(scores, room), room.cell[:n], room.index[:n]
    np.copyto(of_kind, positive)
    of_kind *= layout.bins
    bins += of_kind
    np.copyto(index, bins)
    return index


def _over(top: Floats, bottom: Floats) -> Floats:
    """top / bottom, 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _down(values: Floats) -> Floats:
    """Sums from each place to the end."""
    return np.cumsum(values[::-1])[::-1]
