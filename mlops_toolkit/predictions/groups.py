"""The groups that the values of a column make: one a value, or quartiles of a column of many numbers or days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.predictions import numbers
from mlops_toolkit.predictions.table import PROB, RESERVED
from mlops_toolkit.stats.sample import Floats

MOST = 50
MISSING = "(missing)"
PARTS = 4
_SOME = 2_000
_DAY = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"


@dataclass(frozen=True)
class Groups:
    """The rows of a column by value.

    codes   (n,) int: into `names`
    names   what a group is called, in order: values as written, or `1.5 to 20` of quartiles; `(missing)` where there is none
    ranges  whether the groups are quartiles
    """

    codes: npt.NDArray[np.intp]
    names: tuple[str, ...]
    ranges: bool = False


@dataclass(frozen=True)
class Grouped:
    """How the examples of a comparison are grouped.

    by        columns by whose groups gaps are judged
    compared  columns of slices and gaps that the baseline has, too;  held: where it has another value, that counts
    """

    by: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    held: bool = False


class Grouping:
    """The groups of a frame's columns, each found once, when it is first asked for.

    labels, codes  of the column `target` (n,), where they are known: they tell its groups without its texts being read again
    """

    def __init__(self, frame: pl.DataFrame, labels: tuple[str, ...] = (), codes: npt.NDArray[np.integer] | None = None) -> None:
        self.frame = frame
        self._labels, self._codes, self._found = labels, codes, dict[str, Groups | None]()

    def of(self, name: str) -> Groups | None:
        """Those of a column, see `of`."""
        if name not in self._found:
            by_label = self._of_target() if name == "target" else None
            self._found[name] = by_label or of(self.frame[name])
        return self._found[name]

    def _of_target(self) -> Groups | None:
        if self._codes is None or not self._labels:
            return None
        occurs = np.bincount(self._codes, minlength=len(self._labels)) > 0
        if np.count_nonzero(occurs) > MOST:
            return None
        names = tuple(label for label, some in zip(self._labels, occurs.tolist(), strict=True) if some)
        return Groups((np.cumsum(occurs) - 1)[self._codes], names)


def as_now(now: pl.Series, before: pl.Series, *, text: bool | None = None) -> tuple[pl.Series, int]:
    """The baseline's column as this run writes it, and how many values of it are others; written otherwise (`1` and `1.0`) is no other.

    text  whether it must be compared as text since not every value is of this run's type (None: look)
    """
    if now.dtype != before.dtype:
        alike = before.cast(now.dtype, strict=False)
        text = alike.null_count() != before.null_count() if text is None else text
        before = before.cast(pl.String, strict=False) if text else alike
    other = now if now.dtype == before.dtype else now.cast(pl.String, strict=False)
    return before, int((~other.eq_missing(before)).sum())


def of(column: pl.Series) -> Groups | None:
    """The groups of a column (n,), at most 50 (and then one for what is missing); None where its values are too many to be groups.

    A column of more than 50 different numbers or days is cut into quartiles, equal values together; texts and ids are not. The column
    may be of any type that can be written as text (see `numbers.wordless`); NaN and the empty text are missing.
    """
    column = column.fill_nan(None) if column.dtype.is_float() else column
    many = column.head(_SOME).n_unique() > MOST + 1  # a million values need not be counted to know that they are too many
    if many and column.dtype == pl.String and _ordered(column.head(_SOME)) is None:
        return None
    if not many and column.dtype == pl.String and (found := _of_first(column)) is not None:
        return found
    values = column.clear() if many else column.unique()
    if many or len(values) > MOST + 1:
        return _quartiles(column) if divisible(column.name) else None
    named = values.cast(pl.String).fill_null("").to_list()
    different = set(named)
    if len(different) > MOST:
        return _quartiles(column) if divisible(column.name) else None
    order = sorted(different)
    if column.dtype == pl.String:
        return _coded(column.fill_null("").cast(pl.Enum(order)), order)
    place = {text: code for code, text in enumerate(order)}
    return _coded(column.replace_strict(values, [place[text] for text in named], return_dtype=pl.UInt8), order)


def _of_first(column: pl.Series) -> Groups | None:
    """Of texts all of which stand among the first already, as they do in a file that is not in their order; else None."""
    column = column.fill_null("")
    order = sorted(column.head(_SOME).unique().to_list())
    if len(order) > MOST:
        return None
    codes = column.cast(pl.Enum(order), strict=False)
    return None if codes.null_count() else _coded(codes, order)


def _coded(codes: pl.Series, order: list[str]) -> Groups:
    return Groups(codes.to_physical().to_numpy().astype(np.intp), tuple(text or MISSING for text in order))


def divisible(name: str) -> bool:
    """Whether a column of many values may be cut into quartiles: not one that is ours, but for the target; it holds what the model answered."""
    return name == "target" or (name not in RESERVED and not name.startswith(PROB))


def _quartiles(column: pl.Series) -> Groups | None:
    rank = _ordered(column)
    if rank is None:
        return None
    known = ~np.isnan(rank)
    cuts = np.unique(np.quantile(rank[known], np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
    part = np.searchsorted(cuts, rank, side="left")
    found, names = np.zeros(len(column), dtype=np.intp), list[str]()
    if not known.all():
        names.append(MISSING)
    for number in np.unique(part[known]).tolist():
        rows = np.flatnonzero(known & (part == number))
        ends = [int(rows[at]) for at in (rank[rows].argmin(), rank[rows].argmax())]
        least, most = column[ends].cast(pl.String).to_list()
        found[rows] = len(names)
        names.append(f"{least} to {most}" if least != most else least)
    return Groups(found, tuple(names), ranges=True)


def _ordered(column: pl.Series) -> Floats | None:
    """Numbers in the order of the values (n,), NaN where one is missing; None where they have no order but the alphabet's."""
    if column.dtype.is_temporal() and not numbers.wordless(column.dtype):
        return _floats(column.to_physical())
    plain = column if column.dtype.is_numeric() else column.cast(pl.String)
    if plain.dtype == pl.String:
        plain = plain.set(plain == "", None)
        if plain.drop_nulls().str.contains(_DAY).all():
            return _floats(plain.rank("dense"))
    parsed = numbers.parse(plain)
    return None if parsed.null_count() > plain.null_count() else _floats(parsed)


def _floats(column: pl.Series) -> Floats:
    values: Floats = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values
