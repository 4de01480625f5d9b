"""Predictions of whatever size: read into memory, or in blocks where they are too many; and scored, kept and told apart as they were read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.predictions.table import Table
from mlops_toolkit.system import files

# Whoever asks for a file's predictions may be at it while numpy and polars are loaded: nothing here needs them before.
if TYPE_CHECKING:
    from mlops_toolkit.config.schema import Config
    from mlops_toolkit.predictions.score import Scored
    from mlops_toolkit.predictions.stream.admit import Stream


def answers(
    path: Path,
    *,
    task: str | None,
    positive: str | None,
    name: str | None = None,
    careful: bool = False,
    since: tuple[int, ...] | None = None,
    whole: str | None = None,
) -> Table | Stream:
    """See `read.read`; `careful` is of those that are read into memory.

    since  the state that it was in when its digest was taken (see `files.state`): what is read later, in blocks, is held to it
    whole  what needs all of them in memory, whatever their size: EnvironmentFailure `no-memory` where there is no room
    """
    from mlops_toolkit.predictions.stream.source import is_large

    if is_large(path):
        if whole is None:
            from mlops_toolkit.predictions.stream.admit import read_stream

            return read_stream(path, task=task, positive=positive, name=name, since=since)
        from mlops_toolkit.predictions.stream.whole import fits

        fits(path, name or str(path), why=whole)
    from mlops_toolkit.predictions.read import read

    return read(path, task=task, positive=positive, name=name, careful=careful)


def score(found: Table | Stream, config: Config, name: str = "") -> Scored:
    """See `score.score`."""
    if isinstance(found, Table):
        from mlops_toolkit.predictions.score import score as in_memory

        return in_memory(found, config, name)
    from mlops_toolkit.predictions.stream.score import score as in_blocks

    return in_blocks(found, config, name)


def keep(found: Table | Stream, path: Path) -> tuple[str, int]:
    """Write all of them to `path`, whole or not at all: the file's sha256 and size. OSError where the disk does not take it."""
    if isinstance(found, Table):
        from mlops_toolkit.predictions.anonymous import whole

        content = whole(found)
        files.write_atomic(path, content)
        return hashlib.sha256(content).hexdigest(), len(content)
    from mlops_toolkit.predictions.stream.keep import keep as in_blocks

    in_blocks(found, path)
    return files.sha256(path), path.stat().st_size


def digests(found: Table | Stream) -> tuple[str, str]:
    """See `digest.digests`."""
    if isinstance(found, Table):
        from mlops_toolkit.predictions.digest import digests as in_memory

        return in_memory(found)
    from mlops_toolkit.predictions.stream.keep import digests as in_blocks

    return in_blocks(found)
