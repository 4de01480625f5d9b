"""Tables for tests, made from rows by way of a real file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.table import Table


def made(columns: Mapping[str, Sequence[object]], *, task: str | None = "classification", name: str = "preds.parquet") -> Table:
    """The table that reading these columns gives."""
    out = io.BytesIO()
    pl.DataFrame(dict(columns)).write_parquet(out)
    return of_bytes(out.getvalue(), task=task, name=name)


def of_bytes(content: bytes, *, task: str | None = "classification", name: str = "preds.parquet") -> Table:
    """The table that reading these bytes gives."""
    with tempfile.NamedTemporaryFile(suffix=".any") as file:
        file.write(content)
        file.flush()
        return read(Path(file.name), task=task, name=name)
