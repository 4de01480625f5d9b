"""Subsets of the examples that are judged too: one a value of a column, or one a named condition."""

from __future__ import annotations

from collections.abc import Sequence

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


def masks(frame: pl.DataFrame, requests: tuple[SliceRequest, ...], grouping: groups.Grouping | None = None) -> list[tuple[str, Mask]]:
    """(name, (n,) bool) of every slice asked for, in order; of a column, `language=de`, `language=en`, … by value.

    A column of more than 50 numbers or days is cut into quartiles: `length=3 to 120`, … UsageErrors: unknown-column, too-many-slices
    (more than 50 texts), bad-slice, empty-slice, duplicate-slice.
    """
    found: list[tuple[str, Mask]] = []
    grouping = grouping or groups.Grouping(frame)
    for request in requests:
        if request.column is not None:
            parts = by_value(grouping, request.column)
            codes = parts.codes.astype(np.uint8)  # there are few: bytes are compared eight times as quickly
            found += [(f"{request.column}={value}", codes == code) for code, value in enumerate(parts.names)]
            continue
        rows = conditions.mask(frame, request.where or "", f"slice {request.name}")
        if not rows.any():
            raise empty(request)
        found.append((request.name, rows))
    refuse_twice([name for name, _ in found])
    return found


def refuse_twice(names: Sequence[str]) -> None:
    """No two slices of one name."""
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise UsageError("duplicate-slice", f"two slices are called {shown(twice)}", where="slices")


def empty(request: SliceRequest) -> UsageError:
    """That no row fulfils a condition."""
    hint = "a slice without rows proves nothing: remove it"
    return UsageError("empty-slice", f"no row fulfils {shown(request.where)}", where=f"slice {request.name}", hint=hint)


def unknown(name: str, known: Sequence[str]) -> UsageError:
    """That there is no such column."""
    return UsageError(
        "unknown-column", f"there is no column {shown(name)} to slice by", where=f"slice {name}", hint=did_you_mean(name, known)
    )


def too_many(name: str, values: str) -> UsageError:
    """That a column has so many values."""
    return UsageError(
        "too-many-slices",
        f"the column {shown(name)} has {values} values, at most {groups.MOST} can be slices",
        where=f"slice {name}",
        hint=f'name conditions instead: slices: [{{long: "{name} > 512"}}]',
    )


def columns(requests: tuple[SliceRequest, ...], known: Sequence[str]) -> tuple[str, ...]:
    """The columns that the slices need: those that are kept with the predictions in the history."""
    named = {request.column for request in requests if request.column}
    texts = [request.where for request in requests if request.where]
    return tuple(c for c in known if c in named or any(c in text for text in texts))


def by_value(grouping: groups.Grouping, name: str) -> groups.Groups:
    """The groups of a column, which is one of `slices` or of a gap check.

    UsageErrors: unknown-column, bad-slice (values that are no text), too-many-slices (more than 50 texts; numbers and days are cut).
    """
    frame = grouping.frame
    if name not in frame.columns:
        raise unknown(name, [c for c in frame.columns if not c.startswith(PROB)])
    column = frame[name]
    if numbers.wordless(column.dtype):
        raise UsageError("bad-slice", f"a {column.dtype} column cannot be sliced by", where=f"slice {name}")
    found = grouping.of(name)
    if found is None:
        raise too_many(name, f"{column.n_unique():,}")
    return found
