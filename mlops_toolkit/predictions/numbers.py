"""Text to numbers, strictly: a cell is a finite number written with a point, or it is refused by place."""

from __future__ import annotations

import math

import polars as pl

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.place import Source, shown


def wordless(dtype: pl.DataType) -> bool:
    """Whether values of this type cannot be written as text: lists and structs, bytes, spans of time."""
    return dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration)


def parse(column: pl.Series) -> pl.Series:
    """Float64 of the same length; null where a cell is no finite number (empty, text, true, NaN, infinity, 1,5)."""
    if column.dtype == pl.Boolean or column.dtype.is_nested() or column.dtype.is_temporal():
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    try:
        number: pl.Series = column.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    total = number.sum()  # of NaN or an infinity it is none either; and adding up is quicker than looking at each
    if isinstance(total, float) and math.isfinite(total):
        return number
    finite = number.is_finite()
    return number if finite.all() else number.set(~finite, None)


def are_numbers(column: pl.Series) -> bool:
    """Whether every cell is a finite number."""
    return len(column) > 0 and parse(column).null_count() == 0


def numbers(column: pl.Series, source: Source, rows: pl.Series | None = None) -> pl.Series:
    """Float64 without nulls; InvalidFile `not-a-number` at the first cell that is none.

    rows: for each cell the row of the file it stands in; None: the same order.
    """
    number = parse(column)
    if number.null_count() == 0:
        return number
    bad = number.is_null()
    first = bad.arg_max()
    if first is None:
        return number
    at = first
    if rows is not None:
        broken = rows.filter(bad)
        at = int(broken.min())
        first = int((rows == at).arg_max() or 0)
    raise refusal(column, first, source, at)


def refusal(column: pl.Series, index: int, source: Source, row: int) -> InvalidFile:
    """Why the cell at `index` is no number."""
    value = column[index]
    hint = None
    if value is None or (isinstance(value, str) and not value):
        message = "the cell is empty, a number is needed"
    elif column.dtype.is_nested() or not isinstance(value, str | int | float):
        message = f"a {column.dtype} is not a number"
    elif isinstance(value, bool):
        message = f"{str(value).lower()} is not a number"
    elif isinstance(value, float):
        message = f"{value} is not a finite number"
    else:
        message = f"{shown(value)} is not a number"
        if isinstance(value, str) and parse(pl.Series([value.strip().replace(",", ".")])).null_count() == 0:
            hint = "write numbers with a decimal point and nothing around them: 1.5"
        elif isinstance(value, str) and value.strip().casefold().lstrip("+-") in ("nan", "inf", "infinity"):
            message = f"{shown(value)} is not a finite number"
    return source.refuse("not-a-number", message, row=row, column=column.name, hint=hint)
