"""An exact search for the slices on which a model got worse: every value of every column, and of every two columns together.

Each slice is tested for "no change, or a better one": of rows that are right or wrong by the exact sign test on those that changed, else
by Σx/√Σx² of the rows' (clusters') changes x, whose tail is the normal one or lighter where a change up is as likely as one down
(Efron 1969). Slices overlap, but only so that one that looks worse makes others look worse: there Benjamini & Hochberg's procedure (1995)
keeps its promise (Benjamini & Yekutieli 2001). Slices of which too few rows changed to be shown worse at all are no tests (Tarone 1990).

One loss shows in every slice that shares rows with it. So the surest slice is taken, its rows are set aside, and what is left is searched
again, until nothing is found: where all that is true has been taken, what is left finds something false no more often than the rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.sample import Codes, Floats

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Where = tuple[tuple[int, int], ...]  # (column, code into its values): one or two

RATE = 0.05  # the share of false ones among what is found
LEAST = 30  # rows of a slice
FEWEST = 5  # changed rows (clusters): of fewer, 2⁻ᵏ is above the rate
_PLAIN = 3.0  # standard errors that a slice must lie below all other rows to stand out
_EXACT = 5_000  # changed rows up to which the sign test is summed
_SURELY = 4.0  # and a part of it below the rest of it, to be named in its place
_TRIED = 500  # candidates of which one must stand out


@dataclass(frozen=True)
class Column:
    """One column: the code of each row (n,) into so many values."""

    codes: Ints
    values: int


@dataclass(frozen=True)
class Slice:
    """A slice of n rows that is shown to have got worse. p: one-sided; q: the least rate at which it would be among those found."""

    where: Where
    n: int
    p: float
    q: float


@dataclass(frozen=True)
class _Changed:
    """The rows that changed, (m,) each: their row numbers, their weighted changes, and their clusters as codes (None: every row its own)."""

    rows: Ints
    change: Floats
    cluster: Ints | None
    signs: bool

    def only(self, some: Bools) -> _Changed:
        """Some of them."""
        return replace(self, rows=self.rows[some], change=self.change[some], cluster=None if self.cluster is None else self.cluster[some])


def search(
    columns: Sequence[Column],
    change: Floats,
    *,
    weight: Floats | None = None,
    cluster: Codes | None = None,
    least: int = LEAST,
    rate: float = RATE,
    most: int = 20,
) -> tuple[int, tuple[Slice, ...]]:
    """How many slices were looked at, and at most `most` of those on which `change` (n,), + for better, is shown to be a loss; surest first.

    A slice that is no worse than all other rows says nothing of its own and is passed over. O(n) a pair of columns. Nothing is drawn.
    """
    tables = [(where, count, count >= least) for where, count in _tables(columns)]
    alone = {where[0]: count for where, count, _ in tables if len(where) == 1}
    for where, count, eligible in tables:
        if len(where) == 2:  # a value of one column that all its rows share with the other's is that slice again
            first, second = (alone[number] for number in where)
            pairs = count.reshape(len(first), len(second))
            eligible &= ((pairs != first[:, None]) & (pairs != second[None, :])).ravel()
    looked = sum(int(np.count_nonzero(eligible)) for _, _, eligible in tables)
    whole = left = _changed(change, weight, cluster)
    kept, gone = list[Slice](), np.zeros(len(change), dtype=bool)
    aside = np.flatnonzero(gone)
    while len(kept) < most and len(left.rows):
        found = _below([test for table in tables for test in _tested(*table, left, columns)], rate)
        one = next((one for one in found[:_TRIED] if _stands_out(one, left, columns, aside, len(change))), None)
        if one is None:
            break
        one = _narrowed(one, found, whole, columns, len(change))
        kept.append(one)
        gone |= _rows(one, columns)
        aside, left = np.flatnonzero(gone), whole.only(~gone[whole.rows])
    return looked, tuple(kept)


def _changed(change: Floats, weight: Floats | None, cluster: Codes | None) -> _Changed:
    rows = np.flatnonzero(change)
    x = change[rows] if weight is None else change[rows] * weight[rows]
    codes = None if cluster is None else np.unique(cluster[rows], return_inverse=True)[1].astype(np.intp)
    signs = codes is None and weight is None and len(x) > 0 and bool((np.abs(x) == abs(x[0])).all())
    return _Changed(rows, np.sign(x) if signs else x, codes, signs)


def _tables(columns: Sequence[Column]) -> Iterator[tuple[tuple[int, ...], Ints]]:
    """Of each column and pair of columns: which, and how many rows each cell has."""
    for number, column in enumerate(columns):
        yield (number,), np.bincount(column.codes, minlength=column.values)
    for i, j in itertools.combinations(range(len(columns)), 2):
        key = columns[i].codes * columns[j].values + columns[j].codes
        yield (i, j), np.bincount(key, minlength=columns[i].values * columns[j].values)


def _tested(
    where: tuple[int, ...], count: Ints, eligible: Bools, changed: _Changed, columns: Sequence[Column]
) -> list[tuple[Where, int, float]]:
    """(where, rows, p) of every slice of one table that can be shown worse at all."""
    key = columns[where[0]].codes[changed.rows]
    for number in where[1:]:
        key = key * columns[number].values + columns[number].codes[changed.rows]
    total = np.bincount(key, weights=changed.change, minlength=len(count))
    squares, active = _spread(key, changed, len(count))
    cells = np.flatnonzero(eligible & (active >= FEWEST) & (squares > 0))
    if changed.signs:
        worse = ((active - total) / 2).round().astype(np.intp)
        p = _sign_tail(worse[cells], active[cells])
    else:
        z = -total[cells] / np.sqrt(squares[cells])
        p = np.maximum(_normal_tail(z), 0.5 ** active[cells].astype(np.float64))
    found = list[tuple[Where, int, float]]()
    for cell, one in zip(cells.tolist(), p.tolist(), strict=True):
        codes = divmod(cell, columns[where[1]].values) if len(where) == 2 else (cell,)
        found.append((tuple(zip(where, codes, strict=True)), int(count[cell]), one))
    return found


def _spread(key: Ints, changed: _Changed, cells: int) -> tuple[Floats, Ints]:
    """Σ x² by cell, of rows or of sums by cluster, and how many of them there are."""
    if changed.cluster is None:
        squares = np.bincount(key, weights=changed.change**2, minlength=cells).astype(np.float64, copy=False)
        return squares, np.bincount(key, minlength=cells)
    groups = int(changed.cluster.max(initial=0)) + 1
    both, inverse = np.unique(key * groups + changed.cluster, return_inverse=True)
    sums = np.bincount(inverse, weights=changed.change)
    cell = both // groups
    return np.bincount(cell, weights=sums**2, minlength=cells).astype(np.float64, copy=False), np.bincount(cell[sums != 0], minlength=cells)


def _normal_tail(z: Floats) -> Floats:
    return np.array([0.5 * math.erfc(one / math.sqrt(2)) for one in z.tolist()], dtype=np.float64)


def _sign_tail(worse: Ints, active: Ints) -> Floats:
    """P(at least so many of the changed rows got worse) where each is as likely to get better: exact (from 5,000 on the normal one)."""
    p = np.ones(len(worse))
    for many in np.flatnonzero(np.bincount(active)).tolist():
        of = active == many
        if many > _EXACT:
            p[of] = _normal_tail((2 * worse[of] - 1 - many) / math.sqrt(many))
            continue
        k = np.arange(1, many + 1)
        mass = np.exp(np.concatenate([[0.0], np.cumsum(np.log((many - k + 1) / k))]) - many * math.log(2))
        p[of] = np.cumsum(mass[::-1])[::-1][worse[of]]
    return np.minimum(p, 1.0)


def _below(tests: Sequence[tuple[Where, int, float]], rate: float) -> list[Slice]:
    """Those that are found at the rate, the surest first (Benjamini & Hochberg 1995)."""
    ordered = sorted(tests, key=lambda test: (test[2], test[0]))
    found, q = list[Slice](), 1.0
    for rank in range(len(ordered), 0, -1):
        where, n, p = ordered[rank - 1]
        q = min(q, p * len(ordered) / rank)
        if q <= rate:
            found.append(Slice(where, n, p, q))
    return found[::-1]


def _rows(one: Slice, columns: Sequence[Column], rows: Ints | slice = slice(None)) -> Bools:
    """Which of the rows a slice has."""
    inside: Bools = np.logical_and.reduce([columns[column].codes[rows] == code for column, code in one.where])
    return inside


def _stands_out(one: Slice, left: _Changed, columns: Sequence[Column], aside: Ints, many: int) -> bool:
    """Whether, of the rows (of so many) that are not set `aside`, it lost more than all but its own."""
    if one.n == many:  # all rows are no slice
        return False
    n = one.n - int(np.count_nonzero(_rows(one, columns, aside)))
    others = many - len(aside) - n
    inside = _rows(one, columns, left.rows)
    return others == 0 or _below_by(inside, n, ~inside, others, left) > _PLAIN


def _narrowed(one: Slice, found: Sequence[Slice], changed: _Changed, columns: Sequence[Column], n: int) -> Slice:
    """The surest part of a slice that was found too, where all that the slice lost was lost there: the rest of it lost no more than others."""
    part = next((other for other in found if set(other.where) > set(one.where)), None)
    if part is None:
        return one
    inside, within = (_rows(each, columns, changed.rows) for each in (one, part))
    rest, many = inside & ~within, one.n - part.n
    worse = _below_by(within, part.n, rest, many, changed) > _SURELY
    return part if worse and _below_by(rest, many, ~inside, n - one.n, changed) <= _PLAIN else one


def _below_by(one: Bools, n: int, other: Bools, m: int, changed: _Changed) -> float:
    """How many standard errors the mean change of n rows lies below that of m others."""
    (mine, spread), (theirs, around) = (_sums(part, changed) for part in (one, other))
    error = math.sqrt(spread / n**2 + around / m**2)
    return (theirs / m - mine / n) / error if error > 0 else 0.0


def _sums(part: Bools, changed: _Changed) -> tuple[float, float]:
    """Σ x and Σ x², of rows or of sums by cluster."""
    x = changed.change[part]
    if changed.cluster is not None:
        x = np.bincount(changed.cluster[part], weights=x).astype(np.float64, copy=False)
    return float(x.sum()), float((x**2).sum())
