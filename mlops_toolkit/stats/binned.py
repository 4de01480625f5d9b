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
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import ROWS
from mlops_toolkit.stats.sample import Floats

Mask = npt.NDArray[np.bool_]
Bins = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float64] | npt.NDArray[np.float32]

BINS = 1 << 16  # aimed at; at most some three times as many are made
_MARGIN = 256  # cells above the highest score that was looked at which are cut as well
_TOP, _FINER = 1 / 64, 32  # the highest scores, and how many times as many bins they get
_CELLS = 1 << 16  # by the sign, the exponent and the first seven bits of the fraction of a score in single precision
_REST = 16  # the bits of the fraction below a cell's
_SAMPLE = 1 << 18
_CROWDED = 2.0**-15  # that two scores share a bin, or a score: below, no care is needed


@dataclass(frozen=True)
class Layout:
    """Which bin a score falls into: a rising step function of the score.

    A score is rounded to single precision (a rising function too), whose bits, read as a whole number, are in the order of the
    scores; the first 16 name a cell, and each cell is cut into 2^k bins of equal width by the bits that follow. Probabilities are
    first folded at a half, p to 1 − p (exact above a half), so that 0.999999 is told from 0.999998 as well as 0.000001 from 0.000002;
    other scores are moved first where they are all alike but for their last digits. A score that many examples share gets a bin of
    its own: their ties are ties, and no doubt.

    cell    (65536,) int32: the number of a cell's first bin, times 32, plus the number of bits that are dropped within it
    bins    how many bins there are
    folded  whether scores are taken for probabilities; what lies outside of [0, 1] then falls into the first and last bin
    shift   is added to a score that is not folded
    atom    (bins/3,) None where no score is shared by many: the shared score of every three bins, which hold what is below it, it, and
            what is above it; NaN where there is none
    """

    cell: npt.NDArray[np.int32]
    bins: int
    folded: bool
    shift: float = 0.0
    atom: Floats | None = None

    @classmethod
    def of(cls, scores: Scores, aim: int = BINS) -> Layout:
        """A layout for scores like these (n,), of which an even choice of at most 262,144 is looked at: about `aim` bins, equally full."""
        some = np.sort(scores[:: max(1, -(-len(scores) // _SAMPLE))]).astype(np.float64)
        if len(some) == 0:
            return cls._cut(some, aim, folded=False)
        if some[0] >= 0 and some[-1] <= 1:
            return cls._cut(some, aim, folded=True)._with_atoms(some)
        plain, middle = cls._cut(some, aim, folded=False), float(some[len(some) // 2])
        if math.isfinite(middle) and _crowded(plain.place(some)) > _CROWDED:
            moved = cls._cut(some, aim, folded=False, shift=-middle)
            plain = min(plain, moved, key=lambda one: _crowded(one.place(some)))
        return plain._with_atoms(some)

    @classmethod
    def _cut(cls, some: Floats, aim: int, *, folded: bool, shift: float = 0.0) -> Layout:
        held = np.bincount((_keys(some, folded=folded, shift=shift) >> _REST) + _CELLS // 2, minlength=_CELLS)
        share = held / max(1, len(some))
        top = np.cumsum(share[::-1])[::-1] <= _TOP  # where average precision is made
        bits = np.minimum(_REST, np.ceil(np.log2(np.maximum(1.0, share * aim * np.where(top, _FINER, 1))))).astype(np.int64)
        beyond = int(np.flatnonzero(held)[-1]) + 1 if len(some) else _CELLS  # above the highest of `some` may lie higher ones
        bits[beyond : beyond + _MARGIN] = 4
        empty = (held == 0) & (np.roll(held, 1) == 0) & (np.arange(_CELLS) < beyond)
        many = np.where(empty, 0, np.int64(1) << bits)  # cells without scores share one bin
        many[0] = max(many[0], 1)
        first = np.cumsum(many) - np.maximum(many, 1)
        return cls((first * 32 + (_REST - bits)).astype(np.int32), int(many.sum()), folded, shift)

    def _with_atoms(self, some: Floats) -> Layout:
        """Of rising scores (m,): with bins of their own for those that many share, where that makes a difference."""
        start = np.flatnonzero(np.append(True, some[1:] != some[:-1]))
        many, value = np.diff(np.append(start, len(some))), some[start]
        often = many > 1
        many, value = many[often], value[often]
        if float(((many / len(some)) ** 2).sum()) <= _CROWDED:
            return self
        order = np.argsort(many, kind="stable")  # where a bin holds several, the most frequent stays
        atom = np.full(self.bins, np.nan)
        atom[self.place(value[order])] = value[order]
        return replace(self, bins=3 * self.bins, atom=atom)

    @cached_property
    def single(self) -> Mask:
        """Which bins (bins,) hold one score and no other."""
        shared = np.zeros((self.bins, 1) if self.atom is None else (len(self.atom), 3), dtype=bool)
        if self.atom is not None:
            shared[:, 1] = ~np.isnan(self.atom)
        return shared.ravel()

    def place(self, scores: Scores) -> Bins:
        """The bin (n,) of every score; the scores are no NaN (see `Counted.add`)."""
        key = _keys(scores, folded=self.folded, shift=self.shift)
        at = self.cell.take((key >> _REST) + _CELLS // 2)
        key &= (1 << _REST) - 1
        key >>= at & 31
        at >>= 5
        key += at
        if self.atom is not None:
            shared = self.atom.take(key)
            key *= 3
            key += 1
            key += scores > shared
            key -= scores < shared
        return key


def _keys(scores: Scores, *, folded: bool, shift: float) -> Bins:
    """Whole numbers from −2³¹ to 2³¹ − 1 in the order of the scores, −0.0 as 0.0."""
    with np.errstate(over="ignore"):  # beyond single precision is infinity: the first or last bin
        if folded:
            near = np.subtract(1, scores)
            bits = np.minimum(near, scores, out=near).astype(np.float32, copy=False).view(np.int32)
            # of what is negative (below 0, above 1, −0.0) the sign bit makes a negative number; above a half, the other way round
            return np.asarray(np.maximum(bits, 0) ^ np.multiply(scores > 0.5, np.int32(0x7FFFFFFF)), dtype=np.int32)
        moved: Scores = scores + scores.dtype.type(shift)
        bits = moved.astype(np.float32, copy=False).view(np.int32)
    return np.asarray(bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF)), dtype=np.int32)


def _crowded(place: Bins) -> float:
    """How likely two scores share a bin."""
    share = np.bincount(place) / max(1, len(place))
    return float((share * share).sum())


@dataclass
class Counted:
    """What the first pass adds up for one model: weights of positives and of others by bin, and how many rows these are.

    Add the chunks, or `merge` what others have added with the same layout; the order changes nothing but the rounding of weights.

    sums  (2·bins,): of each bin first the others, then the positives
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
        return self.sums[1::2]

    @property
    def others(self) -> Floats:
        """The weight of the others, (bins,)."""
        return self.sums[::2]

    def add(self, scores: Scores, positive: Mask, weight: Floats | None = None) -> None:
        """Add examples (n,). ValueError where a score is NaN: it has no place in an order."""
        if len(scores) == 0:
            return
        key = np.empty(len(scores), np.intp)
        for start in range(0, len(scores), ROWS):
            rows = slice(start, start + ROWS)
            if np.isnan(scores[rows].max()):
                raise ValueError("a score is NaN")
            place = self.layout.place(scores[rows])
            place *= 2
            np.add(place, positive[rows], out=key[rows])
        self.sums += np.bincount(key, weights=weight, minlength=2 * self.layout.bins)
        positives = int(np.count_nonzero(positive))
        self.positives += positives
        self.negatives += len(scores) - positives
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
        key = self.layout.place(scores)
        key *= 2
        key += positive
        found: Floats = self._table.take(key)
        return found if weight is None else found * weight

    @cached_property
    def _table(self) -> Floats:
        return np.stack([self.of_other, self.of_positive], axis=1).ravel()


def _over(top: Floats, bottom: Floats) -> Floats:
    """top / bottom, 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _down(values: Floats) -> Floats:
    """Sums from each place to the end."""
    return np.cumsum(values[::-1])[::-1]
