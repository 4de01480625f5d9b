"""Subsets of the examples that are judged too: one a value of a column, or one a named condition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import conditions, numbers
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.table import PROB

MOST = 50
MISSING = "(missing)"

Mask = npt.NDArray[np.bool_]


def masks(frame: pl.DataFrame, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Mask]]:
    """(name, (n,) bool) of every slice asked for, in order; of a column, `language=de`, `language=en`, … by value.

    UsageErrors: unknown-column, too-many-slices (a column of more than 50 values), bad-slice, empty-slice, duplicate-slice.
    """
    found: list[tuple[str, Mask]] = []
    for request in requests:
        if request.column is not None:
            found += _by_value(frame, request.column)
            continue
        where = f"slice {request.name}"
        rows = conditions.mask(frame, request.where or "", where)
        if not rows.any():
            raise UsageError(
                "empty-slice", f"no row fulfils {shown(request.where)}", where=where, hint="a slice without rows proves nothing: remove it"
            )
        found.append((request.name, rows))
    names = [name for name, _ in found]
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise UsageError("duplicate-slice", f"two slices are called {shown(twice)}", where="slices")
    return found


def columns(requests: tuple[SliceRequest, ...], frame: pl.DataFrame) -> tuple[str, ...]:
    """The columns that the slices need: those that are kept with the predictions in the history."""
    named = {request.column for request in requests if request.column}
    texts = [request.where for request in requests if request.where]
    return tuple(c for c in frame.columns if c in named or any(c in text for text in texts))


def _by_value(frame: pl.DataFrame, name: str) -> list[tuple[str, Mask]]:
    if name not in frame.columns:
        known = [c for c in frame.columns if not c.startswith(PROB)]
        raise UsageError(
            "unknown-column", f"there is no column {shown(name)} to slice by", where=f"slice {name}", hint=did_you_mean(name, known)
        )
    column = frame[name]
    if numbers.wordless(column.dtype):
        raise UsageError("bad-slice", f"a {column.dtype} column cannot be sliced by", where=f"slice {name}")
    column = column.fill_nan(None) if column.dtype.is_float() else column
    values = column.unique()
    named = values.cast(pl.String).fill_null("").to_list()
    if len(set(named)) > MOST:
        raise UsageError(
            "too-many-slices",
            f"the column {shown(name)} has {len(set(named)):,} values, at most {MOST} can be slices",
            where=f"slice {name}",
            hint=f'name conditions instead: slices: [{{long: "{name} > 512"}}]',
        )
    order = sorted(set(named))
    codes = column.replace_strict(values, [order.index(text) for text in named], return_dtype=pl.UInt8).to_numpy()
    return [(f"{name}={text or MISSING}", codes == code) for code, text in enumerate(order)]
