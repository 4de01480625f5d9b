"""What of large predictions may be kept: as `predictions.anonymous`, a block of rows at a time and in the file's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.stream import scratch
from mlops_toolkit.predictions.stream.admit import Stream, admit
from mlops_toolkit.predictions.stream.extras import head_view
from mlops_toolkit.predictions.stream.source import FileSource, Opened
from mlops_toolkit.predictions.table import PROB


def hashed(side: Stream, salt: str) -> Stream:
    """The same rows with hashes for ids and clusters."""
    parts = tuple(pieces(side, salt, side.columns))
    rows = Opened(parts, FileSource(side.source, "parquet"), pl.Schema(pl.read_parquet_schema(parts[0])), side.n)
    return admit(rows, task=side.task, positive=side.positive)


def anonymise(side: Stream, salt: str | None, keep: Iterable[str], path: Path) -> None:
    """Write to `path` the Parquet file that `predictions.anonymous.anonymise` makes, but for the order of its rows."""
    wanted = {"id", "repeat", "score", "weight", "cluster", *keep} | ({"target", "prediction"} if side.task_has_target else set())
    columns = [c for c in side.columns if c in wanted or c.startswith(PROB)]
    parts = list(pieces(side, salt, columns))
    with scratch.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.scan_parquet(parts, glob=False).sink_parquet(path, compression="zstd", statistics=False, mkdir=True)
    for part in parts:
        part.unlink()


def pieces(side: Stream, salt: str | None, columns: Sequence[str]) -> Iterable[Path]:
    """These columns as a Table holds them, in Parquet files in the temporary folder, one a block."""
    folder = scratch.place("anonymous")
    for index, block in enumerate(side.opened.blocks(columns)):
        frame = head_view(side, block).with_columns(block["id"].cast(pl.String))
        if salt is not None:
            frame = frame.with_columns([hash_ids(frame[c], salt) for c in ("id", "cluster") if c in frame.columns])
        with scratch.writing():
            frame.write_parquet(folder / f"{index:06}", compression="lz4", statistics=False)
        yield folder / f"{index:06}"
