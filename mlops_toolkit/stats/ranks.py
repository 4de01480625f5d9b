"""Examples in the order of their scores, by one sort of whole numbers.

The bits of a float, read as a whole number, are in the order of the floats (once the negative ones are turned over). As many of the
leading bits as fit above the number of the row are sorted together with it as one 64-bit number, which processors sort several times
faster than they sort positions by what they point to. What the bits left off would decide is looked for afterwards: only neighbours
that agree in all leading bits can stand the wrong way round, and only they are sorted again, by the whole scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.sample import Floats

Rows = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


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


def ranking(scores: npt.NDArray[Any]) -> Ranking:
    """The order of scores (n,), float32 or float64, −0.0 being 0.0. ValueError where one is NaN: it has no place in an order."""
    n = len(scores)
    kind = np.int64 if n > np.iinfo(np.int32).max else np.int32
    if n == 0:
        return Ranking(np.zeros(0, kind), None)
    if np.isnan(scores.max()):
        raise ValueError("a score is NaN")
    low = max(1, (n - 1).bit_length())
    below = np.uint64((1 << low) - 1)
    key = _falling(scores)
    key &= ~below
    key |= np.arange(n, dtype=np.uint64)
    key.sort()
    rows = (key & below).astype(kind)
    key &= ~below
    alike = key[1:] == key[:-1]  # as the one before it, in the leading bits
    if not alike.any():
        return Ranking(rows, None)
    return _told_apart(scores, rows, alike)


def _told_apart(scores: npt.NDArray[Any], rows: Rows, alike: Mask) -> Ranking:
    """Sorts anew what the leading bits could not tell apart, and marks where a score ends."""
    places = np.flatnonzero(alike)
    before, after = scores[rows[places]], scores[rows[places + 1]]
    if np.any(before != after):
        among = np.zeros(len(rows), dtype=bool)
        among[places] = among[places + 1] = True
        where = np.flatnonzero(among)
        run = np.cumsum(~np.append(False, alike))[where]
        some = rows[where]
        rows[where] = some[np.lexsort((some, -scores[some], run))]
        before, after = scores[rows[places]], scores[rows[places + 1]]
    same = before == after
    if not same.any():
        return Ranking(rows, None)
    last = np.ones(len(rows), dtype=bool)
    last[places[same]] = False
    return Ranking(rows, last)


def _falling(scores: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64-bit whole numbers in the order opposite to the scores'."""
    bits = (scores + 0.0).astype(np.float64, copy=False).view(np.int64)  # −0.0 + 0.0 is 0.0
    # the bits of a negative number rise as it falls already; those of another are turned over, below the sign
    key: npt.NDArray[np.uint64] = (bits ^ ((~(bits >> 63)) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.uint64)
    return key
