"""What data a table was computed on, as two digests that do not depend on the order of rows or the format of the file."""

from __future__ import annotations

import hashlib
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
    ids, data = hashlib.sha256(), hashlib.sha256()
    for name in ("id", "repeat", "target", "weight", "cluster"):
        if name not in table.frame.columns or (name == "target" and not table.task_has_target):
            continue
        column = table.frame[name]
        if name == "weight" and (column == 1).all():
            continue
        for digest in (ids, data) if name in ("id", "repeat") else (data,):
            digest.update(f"{name} {len(column)}\n".encode())
            _feed(digest, column)
    return f"sha256:{data.hexdigest()}", f"sha256:{ids.hexdigest()}"


def _feed(digest: _Hash, column: pl.Series) -> None:
    """The column's values, unambiguously: text as lengths and bytes, numbers as little-endian doubles (−0 as 0)."""
    if column.dtype == pl.String:
        digest.update(column.str.len_bytes().to_numpy().astype("<u4").tobytes())
        digest.update(column.str.join("")[0].encode())
    else:
        digest.update((column.to_numpy().astype(np.float64) + 0.0).astype("<f8").tobytes())
