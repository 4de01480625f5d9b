"""Where a large file must be read as a whole all the same: whether there is memory for it."""

from __future__ import annotations

from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.predictions.read import read as read_any
from mlops_toolkit.predictions.stream.source import is_large, rows
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.system import memory

_ROW, _BYTE = 300, 6  # bytes that a row of Parquet takes while it is read and judged, and those that one of text does


def needed(path: Path) -> int:
    """Bytes, about, that a large file takes in memory."""
    with path.open("rb") as file:
        return rows(path) * _ROW if file.read(4) == b"PAR1" else path.stat().st_size * _BYTE


def fits(path: Path, name: str, *, why: str, times: int = 1) -> None:
    """EnvironmentFailure `no-memory` where so many large files like this need more memory than there is. why: what needs all of it at once."""
    if not is_large(path):
        return
    free, takes = memory.available(), times * needed(path)
    if free is not None and takes > free:
        raise EnvironmentFailure(
            "no-memory",
            f"{why} needs all predictions in memory: about {takes / 1e9:.0f} GB, and {free / 1e9:.1f} GB are left",
            where=name,
            hint="evaluate fewer examples, do without that, or take a machine with more memory",
        )


def read(path: Path, *, why: str, task: str | None, positive: str | None, name: str | None = None, times: int = 1) -> Table:
    """See `read.read`; EnvironmentFailure as of `fits`, before anything is read."""
    fits(path, name or str(path), why=why, times=times)
    return read_any(path, task=task, positive=positive, name=name)
