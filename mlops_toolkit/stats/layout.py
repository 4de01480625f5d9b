"""Which bin a score falls into: the bits of the score, cut finer where a sample of the scores says that there are many."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Bins = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float64] | npt.NDArray[np.float32]

BINS = 1 << 16  # aimed at; at most some three times as many are made
_MARGIN = 256  # cells above the highest score that was looked at which are cut as well
_TOP, FINER = 1 / 64, 32  # the highest scores, and how many times as many bins they get
_CELLS = 1 << 16  # by the sign, the exponent and the first seven bits of the fraction of a score in single precision
_REST = 16  # the bits of the fraction below a cell's
_SAMPLE = 1 << 17
_EVENLY = 1.5  # times as many bins where they have equal widths
_CROWDED = 2.0**-15  # that two scores share a bin, or a score: below, no care is needed
_MAGNITUDE, _SIGN = 0x7FFFFFFF, -0x80000000


class Room:
    """Scratch for the bins of up to `rows` scores at a time: arrays of their own would cost more than what is computed in them.

    One thread's at a time; what is found in it lasts until it is used again.
    """

    def __init__(self, rows: int) -> None:
        self.wide, self.near = np.empty(rows), np.empty(rows, np.float32)
        self.key, self.bins, self.cell = (np.empty(rows, np.int32) for _ in range(3))
        self.index = np.empty(rows, np.intp)
        self.more = np.empty(rows, bool)


@dataclass(frozen=True)
class Layout:
    """Which bin a score falls into: a rising step function of the score.

    A score is rounded to single precision (a rising function too), whose bits, read as a whole number, are in the order of the
    scores; the first 16 name a cell, and each cell is cut into 2^k bins of equal width by the bits that follow. Probabilities are
    first folded at a half, p to p − 1 (exact above a half), so that 0.999999 is told from 0.999998 as well as 0.000001 from 0.000002;
    other scores are moved first where they are all alike but for their last digits. A score that many examples share gets a bin of
    its own: their ties are ties, and no doubt. Where it does nearly as well, bins of equal width do, which takes a third of the time.

    cell    (65536,) int32: the number of a cell's first bin, times 32, plus the number of bits that are dropped within it
    bins    how many bins there are
    folded  whether scores are taken for probabilities; what lies outside of [0, 1] then falls into the first and last bin
    shift   is added to a score that is not folded
    even    how many bins there are in a score of 1 where they have equal widths, from −shift on, and `cell` is not asked; else 0
    atom    (bins/3,) None where no score is shared by many: the shared score of every three bins, which hold what is below it, it, and
            what is above it; NaN where there is none
    """

    cell: npt.NDArray[np.int32]
    bins: int
    folded: bool
    shift: float = 0.0
    even: float = 0.0
    atom: npt.NDArray[Any] | None = None

    @classmethod
    def of(cls, scores: Scores, aim: int = BINS, finer: int = FINER) -> Layout:
        """A layout for scores like these (n,), of which an even choice of at most 131,072 is looked at: about `aim` bins, equally full.

        finer: how many times as many bins the highest 1/64 of the scores get; where that is once, they may have equal widths
        """
        some: Any = np.sort(scores[:: max(1, -(-len(scores) // _SAMPLE))])
        if len(some) == 0 or np.isnan(some[-1]):  # a NaN has no place, which is said when it is placed
            return cls._cut(some[:0], aim, finer, folded=False)
        if some[0] >= 0 and some[-1] <= 1:
            cut = cls._cut(some, aim, finer, folded=True)
        else:
            cut, middle = cls._cut(some, aim, finer, folded=False), float(some[len(some) // 2])
            if math.isfinite(middle) and _crowded(cut.place(some)) > _CROWDED:
                moved = cls._cut(some, aim, finer, folded=False, shift=0.0 - middle)  # never −0.0
                cut = min(cut, moved, key=lambda one: _crowded(one.place(some)))
        return (cut._evenly(some, aim) if finer == 1 else cut)._with_atoms(some)

    def _evenly(self, some: Any, aim: int) -> Layout:
        """Of rising scores (m,): with bins of equal width, if no more than twice as many of them share one then."""
        low, high = (0.0, 1.0) if self.folded else (float(some[0]), float(some[-1]))
        per, different = _EVENLY * aim / max(high - low, 1e-300), some[np.append(True, some[1:] != some[:-1])]
        if not (0 < per < 1e30 and abs(low) * per < 1e30):
            return self
        even = replace(self, bins=int(_EVENLY * aim) + 1, folded=False, shift=0.0 - low, even=per)
        return even if _crowded(even.place(different)) <= 2 * _crowded(self.place(different)) else self

    @classmethod
    def _cut(cls, some: Scores, aim: int, finer: int, *, folded: bool, shift: float = 0.0) -> Layout:
        room = Room(len(some))
        held = np.bincount(_keys(some, folded=folded, shift=shift, room=room) >> _REST, minlength=_CELLS)
        share = held / max(1, len(some))
        top = np.cumsum(share[::-1])[::-1] <= _TOP  # where average precision is made
        bits = np.minimum(_REST, np.ceil(np.log2(np.maximum(1.0, share * aim * np.where(top, finer, 1))))).astype(np.int64)
        beyond = int(np.flatnonzero(held)[-1]) + 1 if len(some) else _CELLS  # above the highest of `some` may lie higher ones
        bits[beyond : beyond + _MARGIN] = 4
        empty = (held == 0) & (np.roll(held, 1) == 0) & (np.arange(_CELLS) < beyond)
        many = np.where(empty, 0, np.int64(1) << bits)  # cells without scores share one bin
        many[0] = max(many[0], 1)
        first = np.cumsum(many) - np.maximum(many, 1)
        return cls((first * 32 + (_REST - bits)).astype(np.int32), int(many.sum()), folded, shift)

    def _with_atoms(self, some: Scores) -> Layout:
        """Of rising scores (m,): with bins of their own for those that many share, where that makes a difference."""
        start = np.flatnonzero(np.append(True, some[1:] != some[:-1]))
        many, value = np.diff(np.append(start, len(some))), some[start]
        often = many > 1
        many, value = many[often], value[often]
        if float(((many / len(some)) ** 2).sum()) <= _CROWDED:
            return self
        order = np.argsort(many, kind="stable")  # where a bin holds several, the most frequent stays
        atom = np.full(self.bins, np.nan, some.dtype)
        atom[self.place(value[order])] = value[order]
        return replace(self, bins=3 * self.bins, atom=atom)

    @cached_property
    def single(self) -> Mask:
        """Which bins (bins,) hold one score and no other."""
        shared = np.zeros((self.bins, 1) if self.atom is None else (len(self.atom), 3), dtype=bool)
        if self.atom is not None:
            shared[:, 1] = ~np.isnan(self.atom)
        return shared.ravel()

    def place(self, scores: Scores, room: Room | None = None) -> Bins:
        """The bin (n,) of every score, in `room` where one is given. ValueError where a score is NaN: it has no place in an order."""
        n, room = len(scores), room or Room(len(scores))
        if self.even:
            bins = _spread(scores, self, room)
            if self.atom is not None:
                _beside(self.atom, scores, bins, room)
            return bins
        key = _keys(scores, folded=self.folded, shift=self.shift, room=room)
        bins, cell, index = room.bins[:n], room.cell[:n], room.index[:n]
        np.right_shift(key, _REST, out=bins.view(np.uint32))
        np.copyto(index, bins)
        self.cell.take(index, out=cell, mode="clip")
        np.bitwise_and(key.view(np.int32), (1 << _REST) - 1, out=bins)
        dropped = key.view(np.int32)
        np.bitwise_and(cell, 31, out=dropped)
        bins >>= dropped
        cell >>= 5
        bins += cell
        if self.atom is not None:
            _beside(self.atom, scores, bins, room)
        return bins


def _spread(scores: Scores, layout: Layout, room: Room) -> Bins:
    """The bin (n,) of equal widths; ValueError where a score is NaN."""
    n = len(scores)
    wide: Any = (room.wide if scores.dtype == np.float64 else room.near)[:n]
    low, high = _ends(scores)
    with np.errstate(over="ignore"):
        if layout.shift:
            np.add(scores, layout.shift, out=wide)
            wide *= layout.even
        else:
            np.multiply(scores, layout.even, out=wide)
    most = (layout.bins if layout.atom is None else len(layout.atom)) - 1
    if not (low + layout.shift >= 0 and (high + layout.shift) * layout.even < most):
        np.clip(wide, 0, most, out=wide)
    bins = room.bins[:n]
    np.copyto(bins, wide, casting="unsafe")  # towards 0: none is below
    return bins


def _ends(scores: Scores) -> tuple[float, float]:
    """The least and the largest; ValueError where one is NaN."""
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 0.0)
    if math.isnan(high):
        raise ValueError("a score is NaN")
    return low, high


def _beside(atom: npt.NDArray[Any], scores: Scores, bins: Bins, room: Room) -> None:
    """Of every three bins the one: what is below the shared score, it, and what is above it."""
    n = len(scores)
    shared: npt.NDArray[Any] = (room.wide if atom.dtype == np.float64 else room.near)[:n]
    index, more, side = room.index[:n], room.more[:n], room.key[:n]
    np.copyto(index, bins)
    atom.take(index, out=shared, mode="clip")
    bins *= 3
    bins += 1
    np.greater(scores, shared, out=more)
    np.copyto(side, more)
    bins += side
    np.less(scores, shared, out=more)
    np.copyto(side, more)
    bins -= side


def _keys(scores: Scores, *, folded: bool, shift: float, room: Room) -> npt.NDArray[np.uint32]:
    """Whole numbers in the order of the scores (n,), −0.0 as 0.0; ValueError where one is NaN."""
    n = len(scores)
    near, key = room.near[:n], room.key[:n]
    wide: Any = room.wide[:n] if scores.dtype == np.float64 else near
    low, high = _ends(scores)
    with np.errstate(over="ignore", under="ignore"):  # beyond single precision is infinity: the first or last bin
        if folded:
            inside = scores if low >= 0 and high <= 1 else np.clip(scores, 0, 1)
            np.rint(inside, out=wide)
            wide *= 1 + float(np.finfo(scores.dtype).eps)  # a digit more than 1, so that 1 itself falls below 0 and not on it
            np.subtract(inside, wide, out=wide)
        else:
            np.add(scores, scores.dtype.type(shift), out=wide)
        if wide is not near:
            np.copyto(near, wide, casting="same_kind")
    bits = near.view(np.int32)
    np.right_shift(bits, 31, out=key)
    # negative numbers rise as their bits fall. Folded ones are what lies above a half, and so come last
    if folded:
        key &= _MAGNITUDE
    else:
        key |= _SIGN
    key ^= bits
    return key.view(np.uint32)


def _crowded(place: Bins) -> float:
    """How likely two scores share a bin."""
    share = np.bincount(place) / max(1, len(place))
    return float((share * share).sum())
