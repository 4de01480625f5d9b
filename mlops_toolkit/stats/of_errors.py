"""Metrics that are functions of means of |error|, error² and (target − middle)²: those of two models side by side, each number made once.

Several metrics read the same few numbers of a row, and their influences are sums of multiples of them: so are the differences of the
influences of two models. Both are put together in a room, up to a factor that is left for the sums of the piece to bear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import STRETCH, aligned, by_stretch
from mlops_toolkit.stats.contrast import NOISE, ROUNDED, SAFE, Contrast, Moments, Moved
from mlops_toolkit.stats.metric import Column
from mlops_toolkit.stats.sample import Floats

Mask = npt.NDArray[np.bool_]
Key = tuple[Column, int]  # of the baseline (0) or the head (1); what is of the target alone has 0
COLUMNS: tuple[Key, ...] = (("absolute", 0), ("absolute", 1), ("square", 0), ("square", 1), ("centred", 0))
_RESIDUE = 4e-16
_LINE = 1 << 10


@dataclass(frozen=True)
class Errors:
    """Unclustered rows (n,): targets, predictions of both models, weights (None: all equal), and the middle of the targets."""

    target: Floats
    predictions: tuple[Floats, Floats]
    weight: Floats | None
    middle: float

    def columns(self, rows: slice, desk: Desk, *, centred: bool) -> dict[Key, Floats]:
        """The numbers (n,) of some rows, at the desk; those of the target alone if asked for."""
        n, target = rows.stop - rows.start, self.target[rows]
        absolute, square = desk.columns[:2, :n], desk.columns[2:4, :n]
        for which in (0, 1):
            np.subtract(self.predictions[which][rows], target, out=absolute[which])
        np.multiply(absolute, absolute, out=square)
        np.absolute(absolute, out=absolute)
        made: dict[Key, Floats] = dict(zip(COLUMNS, (*absolute, *square), strict=False))
        if centred:
            apart = np.subtract(target, self.middle, out=desk.columns[4, :n])
            made["centred", 0] = np.multiply(apart, apart, out=apart)
        return made

    def sums(self, *, centred: bool) -> dict[Key, list[float]]:
        """Σ w·number of every stretch; those of the target alone if asked for."""
        many, n = 5 if centred else 4, len(self.target)

        def stretch(rows: slice, desk: Desk) -> list[float]:
            if self.weight is None and (rows.stop - rows.start) % _LINE == 0:
                return self._unwritten(rows, desk.columns[: many - 2, : rows.stop - rows.start])
            self.columns(rows, desk, centred=centred)
            made = desk.columns[:many, : rows.stop - rows.start]
            if self.weight is not None:
                np.multiply(made, self.weight[rows], out=made)
            sums: list[float] = np.add.reduce(made, axis=1).tolist()
            return sums

        found = by_stretch(n, lambda: Desk(min(n, STRETCH), 0), stretch)
        return dict(zip(COLUMNS[:many], map(list, zip(*found, strict=True)), strict=True))

    def _unwritten(self, rows: slice, apart: Floats) -> list[float]:
        """The same where all rows count the same: squares are summed as they are made, a thousand at a time, so that nothing is lost of them."""
        for one, other, middle in zip(apart, (*self.predictions, self.target), (self.target, self.target, None), strict=False):
            np.subtract(other[rows], self.middle if middle is None else middle[rows], out=one)
        lines = apart.reshape(len(apart), -1, _LINE)
        squares = np.add.reduce(np.einsum("ijk,ijk->ij", lines, lines), axis=1)
        absolute = np.add.reduce(np.absolute(apart[:2], out=apart[:2]), axis=1)
        return [*absolute.tolist(), *squares.tolist()]

    def contrasts(self, asked: Sequence[Asked]) -> list[Contrast]:
        """What the metrics' influences come to."""
        n = len(self.target)
        found = by_stretch(n, lambda: Desk(min(n, STRETCH), len(asked)), lambda rows, desk: self._stretch(rows, desk, asked))
        return [Contrast.total(parts) for parts in zip(*found, strict=True)]

    def _stretch(self, rows: slice, desk: Desk, asked: Sequence[Asked]) -> list[Contrast]:
        """The influences of all metrics lie one below the other, so that there are few calls: for each a thread must ask for the interpreter."""
        n, weight = rows.stop - rows.start, None if self.weight is None else self.weight[rows]
        differs = np.not_equal(self.predictions[0][rows], self.predictions[1][rows], out=desk.differs[:n])
        made = self.columns(rows, desk, centred=any(one.centred for one in asked))
        x, square = desk.values[:, :n], desk.squares[:, :n]
        for one, out, scratch in zip(asked, x, square, strict=True):
            one.own.of(made, weight, out, scratch)
        own = Sums.of(x, square)
        smallest, small = np.minimum.reduce(square, axis=1), (NOISE * own.largest) ** 2
        contribute = [n if smallest[j] > small[j] else int(np.count_nonzero(square[j] > small[j])) for j in range(len(asked))]
        for one, out, scratch in zip(asked, x, square, strict=True):
            one.difference.of(made, weight, out, scratch)
        difference = Sums.of(x, square)
        if not (own.safe and difference.safe):
            return self._dearly(made, weight, differs, asked)
        better, worse = self._count(desk, weight, differs, asked, (own, difference))
        return [
            Contrast(difference.moments(n, j, one.difference.scale), own.moments(n, j, one.own.scale), better[j], worse[j], contribute[j])
            for j, one in enumerate(asked)
        ]

    def _count(
        self, desk: Desk, weight: Floats | None, differs: Mask, asked: Sequence[Asked], sums: tuple[Sums, Sums]
    ) -> tuple[list[int], list[int]]:
        """How many rows are better and worse, a metric (see `Contrast`), the differences lying at the desk."""
        (own, difference), n = sums, len(differs)
        step, more, share = desk.values[:, :n], desk.more[:, :n], np.array([one.share for one in asked])
        largest, scale = np.abs(share), np.array([one.own.scale / one.difference.scale for one in asked])
        if weight is not None:
            largest = largest * float(np.maximum.reduce(weight))
            step = np.add(np.multiply(weight, share[:, None], out=desk.squares[:, :n]), step, out=desk.squares[:, :n])
            share = np.zeros(len(asked))
        small = np.maximum(NOISE * np.maximum(difference.largest, largest), ROUNDED * own.largest * scale)

        def count(found: Mask) -> list[int]:
            return [int(np.count_nonzero(one)) for one in np.logical_and(found, differs, out=found)]

        better = count(np.greater(step, (small - share)[:, None], out=more))
        return better, count(np.less(step, (-small - share)[:, None], out=more))

    def _dearly(self, made: Mapping[Key, Floats], weight: Floats | None, differs: Mask, asked: Sequence[Asked]) -> list[Contrast]:
        """The same where numbers are too large or too small to be raised to the fourth power."""
        n, found = len(differs), []
        for one in asked:
            own, difference = (x.of(made, weight, np.empty(n), np.empty(n)) * x.scale for x in (one.own, one.difference))
            found.append(Contrast.of(difference, own, Moved(one.share * one.difference.scale, weight, differs)))
        return found


@dataclass(frozen=True)
class Sums:
    """Of k kinds of numbers: the least and the most (k,), and Σ x², Σ x³ and Σ x⁴ (3, k)."""

    least: Floats
    most: Floats
    powers: Floats
    largest: Floats
    safe: bool

    @classmethod
    def of(cls, x: Floats, square: Floats) -> Sums:
        """Of numbers (k, n), whose squares are left in `square`."""
        np.multiply(x, x, out=square)
        powers = np.array([np.einsum("ij->i", square), np.einsum("ij,ij->i", square, x), np.einsum("ij,ij->i", square, square)])
        least, most = np.minimum.reduce(x, axis=1), np.maximum.reduce(x, axis=1)
        largest = np.maximum(-least, most)
        return cls(least, most, powers, largest, bool(np.all((largest == 0) | ((largest > SAFE) & (largest < 1 / SAFE)))))

    def moments(self, n: int, j: int, scale: float) -> Moments:
        """Of the j-th kind, times its scale."""
        return Moments.summed(n, float(self.least[j]), float(self.most[j]), self.powers[:, j].tolist(), scale)


class Desk:
    """Scratch of one thread, for up to `rows` rows of `many` metrics."""

    def __init__(self, rows: int, many: int) -> None:
        held = aligned(rows, 5 + 2 * many)
        self.columns, self.values, self.squares = held[:5], held[5 : 5 + many], held[5 + many :]
        self.differs, self.more = np.empty(rows, bool), np.empty((many, rows), bool)


@dataclass(frozen=True)
class Linear:
    """`scale`, which is positive, times (Σ factor·number − `mean`), which sums to 0 over all rows.

    The first factor is 1 where there is a positive one, and the next −1 if it can be: what is the same in all rows need not be multiplied
    row by row.
    """

    factors: dict[Key, float]
    mean: float
    scale: float

    @classmethod
    def of_slopes(cls, slopes: Mapping[Key, float], means: Mapping[Key, float], heavy: float) -> Linear:
        """Of Σ slope·(number − mean) / heavy."""
        factors, scale = {key: slope for key, slope in slopes.items() if slope != 0} or dict(slopes), 1.0
        alike = [abs(slope) for slope in factors.values()]
        positive = [key for key, slope in factors.items() if 0 < slope < math.inf]
        first = max(positive, key=lambda key: alike.count(factors[key]), default=None)
        if first is not None and all(map(math.isfinite, found := [slope / factors[first] for slope in factors.values()])):
            scale = factors[first]
            factors = dict(sorted(zip(factors, found, strict=True), key=lambda one: (one[0] != first, abs(one[1]) != 1)))
        terms = [factor * means[key] for key, factor in factors.items()]
        mean = sum(terms)
        return cls(factors, 0.0 if abs(mean) <= _RESIDUE * sum(map(abs, terms)) else mean, scale / heavy)

    def of(self, columns: Mapping[Key, Floats], weight: Floats | None, out: Floats, scratch: Floats) -> Floats:
        """(n,) weight · (Σ factor·number − mean), written to `out`."""
        (first, by), *others = self.factors.items()
        made = columns[first] if by == 1 else np.multiply(columns[first], by, out=out)
        for key, factor in others:
            if abs(factor) == 1:
                made = (np.add if factor > 0 else np.subtract)(made, columns[key], out=out)
            else:
                made = np.add(made, np.multiply(columns[key], factor, out=scratch), out=out)
        if self.mean != 0 or made is not out:
            made = np.subtract(made, self.mean, out=out)
        return made if weight is None else np.multiply(made, weight, out=out)


@dataclass(frozen=True)
class Asked:
    """A metric: the head's influence, its difference of the baseline's (+ is better), and a row's share of the change, over that one's scale."""

    own: Linear
    difference: Linear
    share: float

    @property
    def centred(self) -> bool:
        return any(column == "centred" for column, _ in (*self.own.factors, *self.difference.factors))
