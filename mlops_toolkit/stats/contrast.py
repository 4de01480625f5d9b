"""What two models' influences on the same examples come to: sums that are added up chunk by chunk, and can be added up anywhere.

`Moments` are of the numbers a unit (row or cluster); `Contrast` holds those of the difference and of the head's own, and counts the rows
on which the models differ. Both merge, so that chunks of a file, slices of an array or machines can each add their part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import ROWS, blocks, by_stretch
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.spread import Spread

_SAFE = 1e-70
NOISE = 1e-12  # a contribution below this share of the largest one is rounding

Moved = tuple[Floats, npt.NDArray[np.bool_]] | None
_SIZE = np.uint64(0x7FFFFFFFFFFFFFFF)  # the bits of a number but its sign


class Room:
    """Scratch of one thread for up to `rows` rows: of those who make the numbers, and of those who count them."""

    def __init__(self, rows: int) -> None:
        self.own, self.pull, self.difference, self.step, self.square = (np.empty(rows) for _ in range(5))
        self.bits, self.more = np.empty(rows, np.uint64), np.empty(rows, bool)


@dataclass
class Moments:
    """Σ x², Σ x³ and Σ x⁴ of `count` numbers, each relative to the largest |x|, so that no power overflows; the ends of where they lie."""

    count: int = 0
    largest: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    least: float = 0.0
    most: float = 0.0

    @classmethod
    def of(cls, x: Floats, room: Floats | None = None) -> Moments:
        """Of some numbers (n,); room: (n,) scratch."""
        if len(x) == 0:
            return cls()
        least, most = float(x.min()), float(x.max())
        largest = max(abs(most), abs(least))
        if not 0 < largest < math.inf:
            return cls(len(x), largest, *([0.0 if largest == 0 else math.nan] * 3))
        scale = largest
        if _SAFE < largest < 1 / _SAFE:
            scale = 1.0  # no power of it leaves the numbers there are
        else:
            x = x / largest
        square = np.multiply(x, x, out=room)
        second, third, fourth = (float(np.einsum("i,i->", one, other)) for one, other in ((x, x), (square, x), (square, square)))
        by = scale / largest
        return cls(len(x), largest, second * by * by, third * by**3, fourth * by**4, min(0.0, least), max(0.0, most))

    def merge(self, other: Moments) -> None:
        """Take in the sums of other numbers."""
        largest = max(self.largest, other.largest) if not math.isnan(other.largest) else other.largest
        if other.largest == 0 or self.largest == 0:
            kept = self if other.largest == 0 else other
            self.second, self.third, self.fourth = kept.second, kept.third, kept.fourth
        elif largest > 0 and math.isfinite(largest):
            one, two = self.largest / largest, other.largest / largest
            self.second = self.second * one**2 + other.second * two**2
            self.third = self.third * one**3 + other.third * two**3
            self.fourth = self.fourth * one**4 + other.fourth * two**4
        elif largest != 0:
            self.second = self.third = self.fourth = math.nan
        self.largest = largest
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.count += other.count

    def spread(self, active: int) -> Spread:
        """As the interval is made of it, `active` of the numbers contributing."""
        if self.largest == 0:
            return Spread(self.count, active, 0.0, 0.0, 0.0)
        if not self.second > 0:
            return Spread(self.count, active, math.nan, 0.0, 0.0)
        root = math.sqrt(self.second)
        size = self.largest * root
        return Spread(
            self.count,
            active,
            size,
            self.third / self.second / root,
            self.fourth / self.second / self.second,
            (-self.least / size, self.most / size),
        )


@dataclass
class Contrast:
    """Of unclustered rows, each of which changed the metric by its step (Σ step is the change): better where step > 0.

    difference, own   of the difference of the influences (+ is better) and of the head's influence
    better, worse     rows that the models answer differently, by the sign of their step
    steps             the smallest |step| ≠ 0 and the largest of these rows
    contribute, pulls  how many own influences are not 0, and the smallest such size
    """

    difference: Moments = field(default_factory=Moments)
    own: Moments = field(default_factory=Moments)
    better: int = 0
    worse: int = 0
    steps: tuple[float, float] = (math.inf, 0.0)
    contribute: int = 0
    pulls: float = math.inf

    @classmethod
    def of(
        cls, difference: Floats, own: Floats, moved: Moved, above: tuple[float, float] = (0.0, 0.0), room: Room | None = None
    ) -> Contrast:
        """Of some rows (n,); moved: their steps and which of them are answered differently, None where there is nothing to compare.

        Steps and own influences up to `above` do not count.
        """
        n, room = len(own), room or Room(len(own))
        made = cls(Moments.of(difference, room.square[:n]), Moments.of(own, room.square[:n]), contribute=n)
        size = np.abs(own, out=room.square[:n])
        made.pulls = float(size.min(initial=math.inf))
        if made.pulls <= above[1]:
            size = size[size > above[1]]
            made.contribute, made.pulls = len(size), float(size.min(initial=math.inf))
        if moved is not None and n:
            made._count(np.multiply(*moved, out=room.square[:n]), above[0], room)
        return made

    def _count(self, steps: Floats, above: float, room: Room) -> None:
        """Steps (n,), 0 where rows are answered alike: picking out the others would take longer than all else."""
        more, bits = room.more[: len(steps)], room.bits[: len(steps)]
        self.better = int(np.count_nonzero(np.greater(steps, above, out=more)))
        self.worse = int(np.count_nonzero(np.less(steps, -above, out=more)))
        np.bitwise_and(steps.view(np.uint64), _SIZE, out=bits)
        largest = float(bits.max().view(np.float64))  # the bits of numbers that are not negative are in their order
        bits -= 1  # of 0 that makes the largest of all
        smallest = np.minimum(bits.min(), _SIZE) + np.uint64(1)
        self.steps = (float(smallest.view(np.float64)) if largest > 0 else math.inf), largest

    @classmethod
    def total(cls, parts: Iterable[Contrast]) -> Contrast:
        """All parts together, added in their order."""
        whole = cls()
        for part in parts:
            whole.difference.merge(part.difference)
            whole.own.merge(part.own)
            whole.better += part.better
            whole.worse += part.worse
            whole.steps = min(whole.steps[0], part.steps[0]), max(whole.steps[1], part.steps[1])
            whole.contribute += part.contribute
            whole.pulls = min(whole.pulls, part.pulls)
        return whole

    @property
    def rounding(self) -> tuple[float, float] | None:
        """The sizes of steps and of own influences up to which they are rounding, where any that was counted is: count again, `above`."""
        limits = NOISE * self.steps[1], NOISE * self.own.largest
        return limits if self.steps[0] <= limits[0] or self.pulls <= limits[1] else None


Part = tuple[Floats, Floats, Moved]  # difference, own, moved: see `Contrast.of`


def contrasts(n: int, many: int, parts: Callable[[slice, Room], Iterable[Part]]) -> list[Contrast]:
    """Of n rows, piece by piece, of which `parts` gives what each of so many metrics is made of, one after the other in the same room."""

    def summed(above: list[tuple[float, float]]) -> list[Contrast]:
        def stretch(rows: slice, room: Room) -> list[Contrast]:
            made = [
                [Contrast.of(*part, limit, room) for part, limit in zip(parts(some, room), above, strict=True)] for some in blocks(rows)
            ]
            return [Contrast.total(one) for one in zip(*made, strict=True)]

        return [Contrast.total(one) for one in zip(*by_stretch(n, lambda: Room(min(n, ROWS)), stretch), strict=True)]

    whole = summed([(0.0, 0.0)] * many)
    above = [one.rounding or (0.0, 0.0) for one in whole]
    return whole if all(one.rounding is None for one in whole) else summed(above)
