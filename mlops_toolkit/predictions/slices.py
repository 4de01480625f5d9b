"""Subsets of the examples that are judged too: one a value of a column, or one a named condition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import conditions, groups, numbers
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.table import PROB

Mask = npt.NDArray[np.bool_]


def masks(frame: pl.DataFrame, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Mask]]:
    """(name, (n,) bool) of every slice asked for, in order; of a column, `language=de`, `language=en`, … by value.

    A column of more than 50 numbers or days is cut into quartiles: `length=3 to 120`, … UsageErrors: unknown-column, too-many-slices
    (more than 50 texts), bad-slice, empty-slice, duplicate-slice.
    """
    found: list[tuple[str, Mask]] = []
    for request in requests:
        if request.column is not None:
            parts = by_value(frame, request.column)
            found += [(f"{request.column}={value}", parts.codes == code) for code, value in enumerate(parts.names)]
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


def by_value(frame: pl.DataFrame, name: str) -> groups.Groups:
    """The groups of a column, which is one of `slices` or of a gap check.

    UsageErrors: unknown-column, bad-slice (values that are no text), too-many-slices (more than 50 texts; numbers and days are cut).
    """
    if name not in frame.columns:
        known = [c for c in frame.columns if not c.startswith(PROB)]
        raise UsageError(
            "unknown-column", f"there is no column {shown(name)} to slice by", where=f"slice {name}", hint=did_you_mean(name, known)
        )
    column = frame[name]
    if numbers.wordless(column.dtype):
        raise UsageError("bad-slice", f"a {column.dtype} column cannot be sliced by", where=f"slice {name}")
    found = groups.of(column)
    if found is None:
        many = column.n_unique()
        raise UsageError(
            "too-many-slices",
            f"the column {shown(name)} has {many:,} values, at most {groups.MOST} can be slices",
            where=f"slice {name}",
            hint=f'name conditions instead: slices: [{{long: "{name} > 512"}}]',
        )
    return found
