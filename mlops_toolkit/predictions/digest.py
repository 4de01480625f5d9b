"""What data a table was computed on, as two digests that do not depend on the order of rows or the format of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import polars as pl

from mlops_toolkit.predictions.table import GIVEN, Table


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def digests(table: Table) -> tuple[str, str]:
    """(data digest, ids digest), both `sha256:<hex>`.

    The data digest covers, over rows sorted by id: id, repeat, target, weight, cluster. Weights that are all 1 count as none. The
    ids digest covers id and repeat alone: with it equal and the other not, labels or weights changed and examples did not.
    """
    frame = table.frame
    even = "weight" in frame.columns and bool((frame["weight"] == 1).all())
    return digests_of(covered(frame.columns, target=table.task_has_target, even=even), frame.height, lambda name: [frame[name]])


def covered(columns: Sequence[str], *, target: bool, even: bool) -> list[str]:
    """The columns that the data digest covers, in its order. target: rows are judged against one; even: all weights are 1."""
    return [c for c in GIVEN if c in columns and (c != "target" or target) and (c != "weight" or not even)]


def digests_of(named: Sequence[str], n: int, column: Callable[[str], Iterable[pl.Series]]) -> tuple[str, str]:
    """The same of n rows whose columns `named` come in pieces, each as often as it is asked for."""
    ids, data = hashlib.sha256(), hashlib.sha256()
    for name in named:
        for digest in (ids, data) if name in ("id", "repeat") else (data,):
            digest.update(f"{name} {n}\n".encode())
            _feed(digest, partial(column, name))
    return f"sha256:{data.hexdigest()}", f"sha256:{ids.hexdigest()}"


def _feed(digest: _Hash, pieces: Callable[[], Iterable[pl.Series]]) -> None:
    """The column's values, unambiguously: text as all lengths and then all bytes, numbers as little-endian doubles (−0 as 0)."""
    words = False
    for piece in pieces():
        words = piece.dtype == pl.String
        if words:
            digest.update(piece.str.len_bytes().to_numpy().astype("<u4").tobytes())
        else:
            digest.update((piece.to_numpy().astype(np.float64) + 0.0).astype("<f8").tobytes())
    for piece in pieces() if words else ():
        digest.update(piece.str.join("")[0].encode())
