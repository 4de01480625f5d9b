"""What two models' influences on the same examples come to: sums that are added up chunk by chunk, and can be added up anywhere.

`Moments` are of the numbers a unit (row or cluster); `Contrast` holds those of the difference and of the head's own, and counts the rows
on which the models differ. Both merge, so that chunks of a file, slices of an array or machines can each add their part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import ROWS, aligned, blocks, by_stretch
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.spread import Spread

SAFE = 1e-70  # no power up to the fourth of numbers from here to its inverse overflows, or vanishes beside the largest
NOISE = 1e-12  # a contribution below this share of the largest one is rounding
ROUNDED = 4e-15  # and a difference, below this share of what it is the difference of


class Moved(NamedTuple):
    """What tells the step of a row from the difference: its share of the whole change, of weight 1, its weight (n,) (None: 1); and which
    rows (n,) are answered differently."""

    share: float
    weight: Floats | None
    differs: npt.NDArray[np.bool_]


class Room:
    """Scratch of one thread for up to `rows` rows: of those who make the numbers, and of those who count them."""

    def __init__(self, rows: int) -> None:
        self.own, self.pull, self.difference, self.step, self.square = aligned(rows, 5)
        self.more = np.empty(rows, bool)


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
        if SAFE < largest < 1 / SAFE:
            scale = 1.0
        else:
            x = x / largest
        square = np.multiply(x, x, out=room)
        second, third, fourth = (float(square.sum()), float(np.einsum("i,i->", square, x)), float(np.einsum("i,i->", square, square)))
        by = scale / largest
        return cls(len(x), largest, second * by * by, third * by**3, fourth * by**4, min(0.0, least), max(0.0, most))

    @classmethod
    def summed(cls, count: int, least: float, most: float, powers: Iterable[float], scale: float) -> Moments:
        """Of numbers that are `scale` > 0 times others: from the least and the most of those and Σ x², Σ x³ and Σ x⁴ (see `SAFE`)."""
        largest = max(most, -least)
        if largest == 0:
            return cls(count)
        second, third, fourth = (sum_ / largest**power for power, sum_ in enumerate(powers, 2))
        return cls(count, largest * scale, second, third, fourth, min(0.0, least) * scale, max(0.0, most) * scale)

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
    contribute        how many own influences are not 0

    Steps and influences that are but the rounding of the numbers beside them (`NOISE`) are not counted.
    """

    difference: Moments = field(default_factory=Moments)
    own: Moments = field(default_factory=Moments)
    better: int = 0
    worse: int = 0
    contribute: int = 0

    @classmethod
    def of(cls, difference: Floats, own: Floats, moved: Moved | None, room: Room | None = None) -> Contrast:
        """Of some rows (n,); moved: None where there is nothing to compare."""
        n, room = len(own), room or Room(len(own))
        square = room.square[:n]
        made = cls(Moments.of(difference, square), Moments.of(own, square), contribute=n)
        small = NOISE * made.own.largest
        if SAFE < made.own.largest < 1 / SAFE:
            size, small = square, small * small  # the squares of the influences are what was left there
        else:
            size = np.abs(own)
        if n and not float(size.min()) > small:
            made.contribute = int(np.count_nonzero(size > small))
        if n and moved is not None:
            largest = abs(moved.share) * (1.0 if moved.weight is None else float(moved.weight.max()))
            made.count(difference, moved, max(NOISE * max(made.difference.largest, largest), ROUNDED * made.own.largest), room)
        return made

    def count(self, difference: Floats, moved: Moved, small: float, room: Room) -> None:
        """The signs of the steps that are larger than `small`; picking out those of the rows that differ would take longer than all else."""
        n, share, step = len(difference), moved.share, difference
        if moved.weight is not None:
            step = np.multiply(moved.weight, share, out=room.step[:n])
            step += difference
            share = 0.0
        more = room.more[:n]
        np.greater(step, small - share, out=more)
        self.better = int(np.count_nonzero(np.logical_and(more, moved.differs, out=more)))
        np.less(step, -small - share, out=more)
        self.worse = int(np.count_nonzero(np.logical_and(more, moved.differs, out=more)))

    @classmethod
    def total(cls, parts: Iterable[Contrast]) -> Contrast:
        """All parts together, added in their order."""
        whole = cls()
        for part in parts:
            whole.difference.merge(part.difference)
            whole.own.merge(part.own)
            whole.better += part.better
            whole.worse += part.worse
            whole.contribute += part.contribute
        return whole


Part = tuple[Floats, Floats, Moved]  # difference, own, moved: see `Contrast.of`


def contrasts(n: int, parts: Callable[[slice, Room], Iterable[Part]]) -> list[Contrast]:
    """Of n rows, piece by piece, of which `parts` gives what each metric is made of, one after the other in the same room."""

    def stretch(rows: slice, room: Room) -> list[Contrast]:
        made = [[Contrast.of(*part, room) for part in parts(some, room)] for some in blocks(rows)]
        return [Contrast.total(one) for one in zip(*made, strict=True)]

    return [Contrast.total(one) for one in zip(*by_stretch(n, lambda: Room(min(n, ROWS)), stretch), strict=True)]
