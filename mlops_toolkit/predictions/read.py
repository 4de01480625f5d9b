"""Read a predictions file: any of three formats in, one checked Table out, or one error that says where and why."""

from __future__ import annotations

from pathlib import Path

from mlops_toolkit.predictions import check, formats
from mlops_toolkit.predictions.table import Table


def read(path: Path, *, task: str | None = None, positive: str | None = None, name: str | None = None, careful: bool = False) -> Table:
    """The predictions in a CSV, Parquet or JSON (lines or array) file, recognised by content.

    task      classification, regression, or (of a table stored before) columns; None: told by the data (`Table.inferred`), or refused as `task-unclear`
    positive  the positive class of binary metrics
    name      what messages call the file (default: the path)
    careful   for a file that nobody has read yet: a Parquet file is tried in a process of its own (0.2 s), since damage can crash the reader

    InvalidFile names: no-file, not-a-file, empty-file, not-predictions, duplicate-column, ragged-row, bad-quotes, missing-column,
    no-rows, missing-value, cell-too-long, not-text, not-a-number, bad-weight, bad-probability, unknown-label-column, labels-differ,
    task-unclear, duplicate-id, bad-cluster. UsageError: unknown-positive. EnvironmentFailure: unreadable-file.
    """
    frame, source = formats.load(path, name, careful=careful)
    return check.check(frame, source, task=task, positive=positive)
