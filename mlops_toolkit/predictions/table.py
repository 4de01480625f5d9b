"""A checked table of predictions: one row per example, sorted by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

RESERVED = ("id", "target", "prediction", "score", "weight", "cluster", "repeat")


@dataclass(frozen=True)
class Table:
    """Predictions that passed every check.

    frame   polars frame sorted by (id, repeat). `id`, `cluster` are text; `target` and `prediction` text (classification) or Float64
            (regression); `score`, `prob:<label>`, `weight` Float64; every other column as it was read (CSV: text; numeric when used).
    task    classification or regression
    labels  classification: all labels of target, prediction and prob: columns, sorted
    source  file name for messages
    """

    frame: pl.DataFrame
    task: str
    labels: tuple[str, ...]
    positive: str | None
    source: str
