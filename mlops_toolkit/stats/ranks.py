"""Examples in the order of their scores, by one sort of whole numbers.

The bits of a float, read as a whole number, are in the order of the floats (once the negative ones are turned over). As many of the
leading bits as fit above the number of the row are sorted together with it as one 64-bit number, which processors sort several times
faster than they sort positions by what they point to. What the bits left off would decide is looked for afterwards: only neighbours
that agree in all leading bits can stand the wrong way round, and only they are sorted again, by the whole scores.

`Ranking` is the order itself, for rows of weight; `Standing` is what is needed of it where every row counts once: whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import ROWS
from mlops_toolkit.stats.sample import Floats

Rows = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ALL = 0x7FFFFFFFFFFFFFFF  # the bits below the sign


@dataclass(frozen=True)
class Ranking:
    """n examples by falling score; among equal scores by row, so that sums of weights do not depend on how a sort works.

    rows  (n,) the row of each place
    last  (n,) whether the place is the last one of its score; None where no score occurs twice
    """

    rows: Rows
    last: Mask | None

    @cached_property
    def ends(self) -> npt.NDArray[Any]:
        """The place of the last example of each score, (G,)."""
        return np.arange(len(self.rows), dtype=self.rows.dtype) if self.last is None else np.flatnonzero(self.last)

    def run(self, by_place: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sums (G,) of what stands at each place (n,), over a score and all above it."""
        if by_place.dtype == bool:
            sums = np.cumsum(by_place.view(np.int8), dtype=self.rows.dtype)
        else:
            sums = np.cumsum(by_place)
        return sums if self.last is None else sums[self.ends]

    def by_row(self, positive: Mask, of_positive: Floats, of_other: Floats) -> Floats:
        """For every row (n,) what belongs to its score (G,): the one for those that are `positive` (n,), by place, or the other."""
        if self.last is not None:
            many = np.diff(self.ends, prepend=-1)
            of_positive, of_other = np.repeat(of_positive, many), np.repeat(of_other, many)
        return self.scattered(np.where(positive, of_positive, of_other))

    def scattered(self, by_place: Floats) -> Floats:
        """What stands at each place (n,), for every row."""
        found = np.empty(len(self.rows))
        found[self.rows] = by_place
        return found


@dataclass(frozen=True)
class Standing:
    """Where n examples of two kinds stand, by falling score; G scores are those of a positive.

    positives, others  how many there are of each kind
    above  (n,) by row: how many positives have a higher score
    rows   (m,) the rows whose score a positive has too; without ties these are the positives
    which  (m,) which of the G scores it is; None where they are in order, one row each
    kind   (m,) whether the row is a positive; None where all are
    here, there  (G,) how many positives and how many others have the score; whole numbers, as are all
    upto, over   (G,) how many positives and how many others have it or a higher one
    """

    positives: int
    others: int
    above: Rows
    rows: Rows
    which: npt.NDArray[Any] | None
    kind: Mask | None
    here: npt.NDArray[Any]
    there: npt.NDArray[Any]
    upto: npt.NDArray[Any]
    over: npt.NDArray[Any]

    @cached_property
    def above_rows(self) -> npt.NDArray[Any]:
        """(m,) `above` of each of `rows`, which are in the order of scores: nothing has to be looked up."""
        higher: npt.NDArray[Any] = self.upto - self.here
        return higher if self.which is None else higher[self.which]

    def at(self, of_positive: Floats, of_other: Floats) -> Floats:
        """(m,) what belongs to the score (G,) and the kind of each of `rows`."""
        if self.which is None or self.kind is None:
            return of_positive
        found: Floats = np.where(self.kind, of_positive[self.which], of_other[self.which])
        return found


def standing(scores: npt.NDArray[Any], positive: Mask) -> Standing:
    """Of scores and kinds (n,); ValueError where a score is NaN."""
    key, low = _sorted(scores)
    n, kind, below = len(key), _kind(len(scores)), np.uint64((1 << low) - 1)
    alike, ranked = _alike(key, below), np.empty(n, bool)
    rows: Rows = key.view(np.int64)
    for start in range(0, n, ROWS):  # pieces that stay in the cache; what is left of each whole number is its row
        key[start : start + ROWS] &= below
        positive.take(rows[start : start + ROWS], out=ranked[start : start + ROWS], mode="clip")  # "raise" would copy it first
    if len(alike):
        last = _told_apart(scores, rows, alike)
        if last is not None:
            return _with_ties(Ranking(rows.astype(kind), last), positive[rows])
        again = _and_next(alike)
        ranked[again] = positive[rows[again]]
    at = np.flatnonzero(ranked)
    above: npt.NDArray[Any] = np.empty(n, kind)
    above[rows] = np.repeat(np.arange(len(at) + 1, dtype=kind), np.diff(at, prepend=-1, append=n - 1))
    one, count = np.ones(len(at), np.int64), np.arange(1, len(at) + 1)
    return Standing(len(at), n - len(at), above, rows[at], None, None, one, np.zeros_like(one), count, at + 1 - count)


def _with_ties(order: Ranking, ranked: Mask) -> Standing:
    """Of an order in which scores occur twice, and the kinds (n,) by place."""
    upto, many = order.run(ranked).astype(np.int64), np.diff(order.ends, prepend=-1)
    here, shared = np.diff(upto, prepend=0), np.empty(len(ranked), bool)
    shared[:] = np.repeat(here > 0, many)
    above = np.empty(len(ranked), order.rows.dtype)
    above[order.rows] = np.repeat(upto - here, many)
    held = here > 0
    all_ones = int(upto[-1])
    return Standing(
        positives=all_ones,
        others=len(ranked) - all_ones,
        above=above,
        rows=order.rows[shared],
        which=np.repeat(np.arange(int(np.count_nonzero(held))), many[held]),
        kind=ranked[shared],
        here=here[held],
        there=(many - here)[held],
        upto=upto[held],
        over=(order.ends + 1 - upto)[held],
    )


def _sorted(scores: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], int]:
    """Sorted whole numbers: the leading bits of the score, and the row; and how many bits are the row's."""
    n = len(scores)
    low = max(1, (n - 1).bit_length())
    key, below = np.empty(n, np.uint64), np.uint64((1 << low) - 1)
    rows = np.arange(min(n, ROWS), dtype=np.uint64)
    for start in range(0, n, ROWS):
        some, part = scores[start : start + ROWS], key[start : start + ROWS]
        _falling(some, below, part)
        part |= rows[: len(some)]  # within the piece: what comes before it stands in bits of its own
        part |= np.uint64(start)
    key.sort()
    return key, low


def _kind(n: int) -> Any:
    """The whole numbers that can name n rows."""
    return np.int64 if n > np.iinfo(np.int32).max else np.int32


def ranking(scores: npt.NDArray[Any]) -> Ranking:
    """The order of scores (n,), float32 or float64, −0.0 being 0.0. ValueError where one is NaN: it has no place in an order."""
    key, low = _sorted(scores)
    below = np.uint64((1 << low) - 1)
    rows = (key & below).astype(_kind(len(scores)))
    alike = _alike(key, below)
    return Ranking(rows, _told_apart(scores, rows, alike) if len(alike) else None)


def _alike(key: npt.NDArray[np.uint64], below: np.uint64) -> npt.NDArray[np.intp]:
    """The places whose leading bits are those of the place that follows."""
    found = []
    for start in range(0, len(key), ROWS):
        after = key[start + 1 : start + ROWS + 1]
        found.append(np.flatnonzero((key[start : start + len(after)] ^ after) <= below) + start)
    return np.concatenate(found or [np.zeros(0, np.intp)])


def _told_apart(scores: npt.NDArray[Any], rows: Rows, places: npt.NDArray[np.intp]) -> Mask | None:
    """Sorts anew what the leading bits could not tell apart; which places (n,) are the last ones of a score, None where no two agree."""
    before, after = scores[rows[places]], scores[rows[places + 1]]
    if np.any(before != after):
        where = _and_next(places)
        run = np.cumsum(np.isin(where - 1, places, assume_unique=True, invert=True))
        some = rows[where]
        rows[where] = some[np.lexsort((some, -scores[some], run))]
        before, after = scores[rows[places]], scores[rows[places + 1]]
    same = before == after
    if not same.any():
        return None
    last = np.ones(len(rows), dtype=bool)
    last[places[same]] = False
    return last


def _and_next(places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Places in rising order, with those that follow them, each once; numpy's own union would load its masked arrays first."""
    both = np.sort(np.concatenate([places, places + 1]), kind="stable")
    once: npt.NDArray[np.intp] = both[np.append(True, both[1:] != both[:-1])]
    return once


def _falling(scores: npt.NDArray[Any], below: np.uint64, out: npt.NDArray[np.uint64]) -> None:
    """64-bit whole numbers in the order opposite to the scores', without the bits of `below`, written to `out`."""
    least = scores.min()
    if np.isnan(least):
        raise ValueError("a score is NaN")
    bits = (scores if least > 0 else scores + 0.0).astype(np.float64, copy=False)  # −0.0 + 0.0 is 0.0
    if least >= 0:  # the bits of a number that is not negative are turned over, below the sign; those that are left out end as 0
        np.bitwise_or(bits.view(np.uint64), below, out=out)
        out ^= np.uint64(_ALL)
        return
    # those of a negative one fall as it rises already
    signed = bits.view(np.int64)
    np.bitwise_and((signed ^ (~(signed >> 63) & np.int64(_ALL))).view(np.uint64), ~below, out=out)
