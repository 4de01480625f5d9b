"""The metrics that can be asked for, as plain data: what configuration checks and what `stats.metrics` implements, row by row.

A row says everything that can be known of a metric without computing it. A new metric is a row here and a row in
`stats.metrics.TABLE`; a test holds the two tables to the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.config.quantities import Better
from mlops_toolkit.config.schema import Task

Argument = Literal["none", "class", "class?", "quantile", "column"]
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Family:
    """What is known of a metric before it is computed.

    better    None where the user must say (the mean of a column that only the user knows)
    unit      "fraction" (shown in percentage points) or "" (a plain number, or in the unit of the target)
    bounds    least and largest value, None where there is none
    argument  what stands after the colon: "class" (required or, with "?", not), "quantile" (`pinball:0.9`), "column", or "none"
    """

    name: str
    better: Better | None
    unit: str
    bounds: Bounds
    tasks: tuple[Task, ...]
    doc: str
    argument: Argument = "none"

    @property
    def fraction(self) -> bool:
        """Whether a change of 0.1 is a tenth of its useful range: margins of that size are taken for a slip of the pen."""
        return self.unit == "fraction"


CLASSIFICATION: tuple[Task, ...] = ("classification",)
REGRESSION: tuple[Task, ...] = ("regression",)
SHARE: Bounds = (0.0, 1.0)
POSITIVE: Bounds = (0.0, None)


def _share(name: str, doc: str, argument: Argument = "none", *, bounds: Bounds = SHARE, tasks: tuple[Task, ...] = CLASSIFICATION) -> Family:
    return Family(name, "higher", "fraction", bounds, tasks, doc, argument)


def _loss(
    name: str, doc: str, tasks: tuple[Task, ...], argument: Argument = "none", *, unit: str = "", bounds: Bounds = POSITIVE
) -> Family:
    return Family(name, "lower", unit, bounds, tasks, doc, argument)


def _averaged(name: str, what: str) -> tuple[Family, ...]:
    return (
        _share(name, f"{what}; of one class (`{name}:spam`), or of the positive one in a binary task.", "class?"),
        _share(f"{name}-macro", f"{what}; the plain mean over classes."),
        _share(f"{name}-micro", f"{what}; over the decisions of all classes pooled."),
        _share(f"{name}-weighted", f"{what}; the mean over classes weighted by their size."),
    )


_ROWS: tuple[Family, ...] = (
    _share("accuracy", "The share of examples predicted right."),
    _share("balanced-accuracy", "The plain mean of every class's recall."),
    *_averaged("precision", "How many of the predictions of a class are right"),
    *_averaged("recall", "How many examples of a class are found"),
    *_averaged("f1", "The harmonic mean of precision and recall"),
    _share("mcc", "Matthews' correlation coefficient.", bounds=(-1.0, 1.0)),
    _share("kappa", "Cohen's kappa: agreement beyond chance.", bounds=(-1.0, 1.0)),
    _share(
        "roc-auc", "The area under the ROC curve; `roc-auc:spam` is one class against the rest, bare it is the mean over classes.", "class?"
    ),
    _share("average-precision", "The area under the precision-recall curve as a sum; `average-precision:spam` as for roc-auc.", "class?"),
    _loss("log-loss", "The mean negative logarithm of the probability given to the target.", CLASSIFICATION),
    _loss("brier", "The mean squared error of the probabilities.", CLASSIFICATION, bounds=(0.0, 2.0)),
    _loss("mae", "The mean absolute error.", REGRESSION),
    _loss("rmse", "The root of the mean squared error.", REGRESSION),
    _loss("median-absolute-error", "The median of the absolute errors.", REGRESSION),
    _loss("mape", "The mean absolute error relative to the target (0.1 is 10 %).", REGRESSION),
    _share("r2", "The share of the target's variance that is explained.", bounds=(None, 1.0), tasks=REGRESSION),
    _loss("pinball", "The pinball loss of a predicted quantile (`pinball:0.9`).", REGRESSION, "quantile"),
    Family("mean", None, "", (None, None), (*CLASSIFICATION, *REGRESSION), "The mean of a numeric column.", "column"),
    Family("quantile", None, "", (None, None), (*CLASSIFICATION, *REGRESSION), "A quantile of a numeric column.", "column"),
)

FAMILIES: Mapping[str, Family] = {row.name: row for row in _ROWS}
