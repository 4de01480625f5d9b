"""A checked table of predictions: one row per example, sorted by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

RESERVED = ("id", "target", "prediction", "score", "weight", "cluster", "repeat")
GIVEN = ("id", "repeat", "target", "weight", "cluster")  # of an example, whoever answers
PROB = "prob:"
COLUMNS_ONLY = "columns"


@dataclass(frozen=True)
class Table:
    """Predictions that passed every check.

    frame     polars frame sorted by (id, repeat). `id`, `cluster`, `repeat` are text; `target` and `prediction` text (classification) or
              Float64 (regression); `score`, `prob:<label>`, `weight` Float64; every other column as it was read (CSV and JSON: text as
              written; numeric when used).
    task      classification, regression, or columns: no target, only numeric columns to take means and quantiles of
    labels    classification: all labels of target, prediction and prob: columns, sorted; () otherwise
    positive  the positive class: as given, or 1 of 0/1, true of false/true; None where there is none or it is not known
    source    file name for messages
    inferred  whether the task was told by the data rather than by the caller
    """

    frame: pl.DataFrame
    task: str
    labels: tuple[str, ...]
    positive: str | None
    source: str
    inferred: bool = False

    @property
    def n(self) -> int:
        """Rows."""
        return self.frame.height

    @property
    def columns(self) -> list[str]:
        """All of them, in the file's order."""
        return self.frame.columns

    @property
    def task_has_target(self) -> bool:
        """Whether rows are judged against a target; else only columns are averaged."""
        return self.task != COLUMNS_ONLY

    @property
    def extra(self) -> tuple[str, ...]:
        """Columns that are the user's own: slices, previews, values to take means of."""
        return tuple(name for name in self.frame.columns if name not in RESERVED and not name.startswith(PROB))
