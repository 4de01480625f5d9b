"""Predictions of whatever size: read into memory, or in blocks where they are too many, and scored as they were read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config.schema import Config
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.score import Scored
from mlops_toolkit.predictions.score import score as in_memory
from mlops_toolkit.predictions.table import Table

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream


def answers(path: Path, *, task: str | None, positive: str | None, name: str, careful: bool = False) -> Table | Stream:
    """See `read.read`; `careful` is of those that are read into memory."""
    from mlops_toolkit.predictions.stream.source import is_large

    if path.is_file() and is_large(path):
        from mlops_toolkit.predictions.stream.admit import read_stream

        return read_stream(path, task=task, positive=positive, name=name)
    return read(path, task=task, positive=positive, name=name, careful=careful)


def score(found: Table | Stream, config: Config, name: str = "") -> Scored:
    """See `score.score`."""
    if isinstance(found, Table):
        return in_memory(found, config, name)
    from mlops_toolkit.predictions.stream.score import score as in_blocks

    return in_blocks(found, config, name)
