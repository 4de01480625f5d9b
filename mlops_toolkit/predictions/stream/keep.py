"""Predictions of any size as a run keeps them: one Parquet file in the order in which they were written, and the digests of their data."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.predictions.digest import covered, digests_of
from mlops_toolkit.predictions.stream import scratch
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.stream.anonymous import pieces
from mlops_toolkit.predictions.stream.extras import head_view
from mlops_toolkit.system.files import beside

ROWS = 1_000_000  # about so many are put in order at a time
_KEYS = ("id", "repeat")


def keep(side: Stream, path: Path) -> None:
    """Write everything, previews included, to `path`: whole, or not at all. OSError where that disk does not take it."""
    made = list(pieces(side, None, side.columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    new = beside(path)
    try:
        pl.scan_parquet(made, glob=False).sink_parquet(new, compression="zstd", statistics=False, sync_on_close="all")
        new.replace(path)
    except pl.exceptions.ComputeError as error:
        full = os.strerror(errno.ENOSPC) in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
    finally:
        new.unlink(missing_ok=True)
        for piece in made:
            piece.unlink()


def digests(side: Stream) -> tuple[str, str]:
    """(data digest, ids digest), as `predictions.digest.digests` of the same rows in memory."""
    named = covered(side.columns, target=side.task_has_target, even=side.even)
    keys: list[str] = [c for c in _KEYS if c in named]
    parts = _ordered(side, named, keys)

    def column(name: str) -> Iterator[pl.Series]:
        return (pl.read_parquet(part, columns=[name])[name] for part in parts)

    return digests_of(named, side.n, column)


def _ordered(side: Stream, named: list[str], keys: list[str]) -> list[Path]:
    """Files of these columns, which one after another hold the rows by rising (id, repeat)."""
    folder = scratch.place("digest")
    place = _ranges(side)
    many = 0
    files: dict[int, list[Path]] = {}
    held: list[pl.DataFrame] = []

    def deal() -> None:
        nonlocal many
        frame = pl.concat(held)
        held.clear()
        by = frame.with_columns(pl.Series("\0part", place(frame["id"])))
        for (number,), part in by.partition_by("\0part", as_dict=True, include_key=False).items():
            path = folder / f"{number}-{many}"
            many += 1
            with scratch.writing():
                part.write_ipc(path, compression="lz4")
            files.setdefault(int(number), []).append(path)

    for block in side.opened.blocks(named):
        held.append(head_view(side, block).with_columns(block["id"].cast(pl.String)))
        if sum(frame.height for frame in held) >= ROWS:
            deal()
    if held:
        deal()
    made = []
    for number in sorted(files):
        part = pl.concat([pl.read_ipc(path) for path in files[number]]).sort(keys)
        for path in files[number]:
            path.unlink()
        made.append(folder / f"ordered-{number}")
        with scratch.writing():
            part.write_parquet(made[-1], compression="lz4", statistics=False)
    return made


def _ranges(side: Stream) -> Callable[[pl.Series], npt.NDArray[np.int64]]:
    """Of ids which of the parts, in order, each belongs to: about equally many rows a part, the same id always the same part."""
    many = -(-side.n // ROWS)
    if many == 1:
        return lambda ids: np.zeros(len(ids), np.int64)
    step = max(1, side.n // (many * 200))
    some = pl.concat([block["id"].cast(pl.String).gather_every(step) for block in side.opened.blocks(["id"])]).sort()
    ends = some.gather(np.linspace(0, len(some) - 1, many + 1)[1:-1].astype(np.int64)).unique(maintain_order=True)
    return lambda ids: ends.search_sorted(ids, side="right").to_numpy().astype(np.int64)
