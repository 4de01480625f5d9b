"""The metrics by family name: one row here, one in `config.metrics_known`, and a function that builds the Metric."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_toolkit import plug
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.schema import MetricRequest, Task
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.stats.metric import Metric

_HERE = "mlops_toolkit.stats.metrics"
TABLE: Mapping[str, str] = {
    "accuracy": f"{_HERE}.classification:accuracy",
    "balanced-accuracy": f"{_HERE}.classification:balanced_accuracy",
    **{
        f"{kind}{average}": f"{_HERE}.classification:by_class"
        for kind in ("precision", "recall", "f1")
        for average in ("", "-macro", "-micro", "-weighted")
    },
    "mcc": f"{_HERE}.classification:mcc",
    "kappa": f"{_HERE}.classification:kappa",
    "roc-auc": f"{_HERE}.ranking:roc_auc",
    "average-precision": f"{_HERE}.ranking:average_precision",
    "log-loss": f"{_HERE}.probability:log_loss",
    "brier": f"{_HERE}.probability:brier",
    "mae": f"{_HERE}.regression:mae",
    "rmse": f"{_HERE}.regression:rmse",
    "median-absolute-error": f"{_HERE}.regression:median_absolute_error",
    "mape": f"{_HERE}.regression:mape",
    "r2": f"{_HERE}.regression:r2",
    "pinball": f"{_HERE}.regression:pinball",
    "mean": f"{_HERE}.columns:mean",
    "quantile": f"{_HERE}.columns:quantile",
}


def resolve(request: MetricRequest, *, labels: tuple[str, ...] = (), where: str | None = None) -> Metric:
    """The Metric that is asked for.

    labels, where known, are checked against the class in `f1:spam`. UsageError `unknown-metric`, `unknown-class`, `needs-class`,
    `needs-column`, `needs-direction`, `bad-quantile`, each at `where`. Its `measure` raises UsageError where the predictions lack
    the class or column, and never for the data's values: an undefined value is None with a named state.
    """
    build = plug.load("metric", TABLE, request.family, where=where)
    if FAMILIES[request.family].argument in ("class", "class?") and labels:
        if request.argument is not None and request.argument not in labels:
            raise UsageError(
                "unknown-class",
                f'{request.name}: there is no class "{request.argument}"',
                where=where,
                hint=did_you_mean(request.argument, labels),
            )
        if request.argument is None and request.family in ("precision", "recall", "f1") and len(labels) > 2:
            from mlops_toolkit.stats.metrics.build import needs_class

            raise needs_class(request.family, labels, where)
    metric: Metric = build(request, where)
    return metric


def default(task: Task, *, binary: bool, scores: bool, probs: bool) -> tuple[MetricRequest, ...]:
    """The task's usual metrics: what is computed where `metrics:` is not said.

    binary  a classification whose positive class is known;  scores, probs  whether the predictions have them
    """
    if task == "regression":
        names = ["mae", "rmse", "r2"]
    else:
        names = ["accuracy", *(["precision", "recall", "f1"] if binary else ["balanced-accuracy", "f1-macro"])]
        names += ["roc-auc", "average-precision"] if (binary and scores) or probs else []
        names += ["log-loss"] if probs else []
    return tuple(MetricRequest(name=name, family=name) for name in names)
