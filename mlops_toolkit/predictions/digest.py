"""What data a table was computed on, as two digests that do not depend on the order of rows or the format of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from mlops_toolkit.predictions.table import Table


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def digests(table: Table) -> tuple[str, str]:
    """(data digest, ids digest), both `sha256:<hex>`.

    The data digest covers, over rows sorted by id: id, repeat, target, weight, cluster. Weights that are all 1 count as none. The
    ids digest covers id and repeat alone: with it equal and the other not, labels or weights changed and examples did not.
    """
    frame = table.frame
    named = [c for c in ("id", "repeat", "target", "weight", "cluster") if c in frame.columns and (c != "target" or table.task_has_target)]
    named = [c for c in named if c != "weight" or not (frame[c] == 1).all()]
    return digests_of(named, frame.height, lambda name: [frame[name]])


def digests_of(named: Sequence[str], n: int, column: Callable[[str], Iterable[pl.Series]]) -> tuple[str, str]:
    """The same of n rows whose columns `named` come in pieces, each as often as it is asked for."""
    ids, data = hashlib.sha256(), hashlib.sha256()
    for name in named:
        for digest in (ids, data) if name in ("id", "repeat") else (data,):
            digest.update(f"{name} {n}\n".encode())
            _feed(digest, lambda name=name: column(name))  # type: ignore[misc]
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
