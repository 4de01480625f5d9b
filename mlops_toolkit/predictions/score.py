"""From predictions to the numbers of a record: every metric with its standard error, overall and on slices. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config import measures, requests
from mlops_toolkit.config.schema import Config, MetricRequest, Suite, Task
from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.slices import masks
from mlops_toolkit.predictions.table import PROB, Table
from mlops_toolkit.records.run import MetricValue
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import default, resolve
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import standard_error

FEW = 2  # rows below which a slice has a value and no standard error


@dataclass(frozen=True)
class Scored:
    """The numbers of one suite, by the names that mlops.yaml and the comment use (`safety/refusal-rate`).

    slices: slice -> metric -> value.  units: metric -> unit, for showing
    """

    metrics: Mapping[str, MetricValue]
    slices: Mapping[str, Mapping[str, MetricValue]]
    units: Mapping[str, str]


def score(table: Table, config: Config, name: str = "") -> Scored:
    """Compute what the suite `name` ("" where there are no suites) asks for; an undefined metric has no value and a named state.

    UsageError for a metric or slice that these predictions cannot have, InvalidFile for a column that holds no numbers.
    """
    suite = suite_of(config, name)
    where = f"metrics of {name}" if name else "evaluate.metrics"
    wanted = wanted_metrics(config, name, table)
    columns = requests.read_by(wanted)
    rows = sample(table, columns)
    metrics = [resolve(request, labels=rows.labels, where=where) for request in wanted]
    named = [(f"{name}/{metric.name}" if name else metric.name, metric) for metric in metrics]
    return Scored(
        metrics=_values(named, rows),
        slices={label: _values(named, rows.take(mask)) for label, mask in _slices(suite, table)},
        units={full: metric.unit for full, metric in named},
    )


def suite_of(config: Config, name: str) -> Suite:
    """The suite's configuration."""
    assert config.evaluate is not None  # noqa: S101  # nobody scores without one
    return config.evaluate.suites[name] if name else config.evaluate


class Answers(Protocol):
    """What of predictions, of whatever size, tells which metrics they can have."""

    @property
    def task(self) -> str: ...
    @property
    def task_has_target(self) -> bool: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def extra(self) -> tuple[str, ...]: ...
    @property
    def positive(self) -> str | None: ...
    @property
    def source(self) -> str: ...


def wanted_metrics(config: Config, name: str, table: Answers) -> tuple[MetricRequest, ...]:
    """The metrics listed; where none are, the task's usual ones and those that the gate names. UsageError `no-metrics` where that is none."""
    asked = suite_of(config, name).metrics
    if asked:
        return tuple(request for request in asked if not request.own)
    columns = table.columns
    probs = any(column.startswith(PROB) for column in columns)
    usual: tuple[MetricRequest, ...] = ()
    if table.task_has_target:
        task: Task = "regression" if table.task == "regression" else "classification"
        usual = default(task, binary=table.positive is not None, scores=probs or "score" in columns, probs=probs)
    found = (
        *usual,
        *(request for request in requests.gated(config, name) if request.name not in {r.name for r in usual} and _here(request, table)),
    )
    if not found:
        numeric = next(iter(table.extra), "COLUMN")
        raise UsageError(
            "no-metrics",
            f"{table.source} has no target, and no metric is asked for",
            where="evaluate.metrics",
            hint=f"say what to compute: metrics: [{{mean: {numeric}, better: higher}}]",
        )
    return found


def _here(request: MetricRequest, table: Answers) -> bool:
    """Whether a metric that only the gate names is one: `mean:latency-ms` may be of a measure."""
    return request.family != "mean" or request.argument in table.columns


def _slices(suite: Suite, table: Table) -> Sequence[tuple[str, npt.NDArray[np.bool_]]]:
    return masks(table.frame, suite.slices) if suite.slices else ()


def _values(named: Sequence[tuple[str, Metric]], rows: Sample) -> dict[str, MetricValue]:
    return {full: _value(metric, rows) for full, metric in named}


def _value(metric: Metric, rows: Sample) -> MetricValue:
    measured = metric.measure(rows)
    error = standard_error(measured, rows.cluster) if rows.n >= FEW else None
    return MetricValue(measured.value, rows.n, metric.signature, metric.direction, error, measured.state)


def reported(values: Mapping[str, float], config: Config, name: str = "") -> dict[str, MetricValue]:
    """The numbers of a metrics file: without examples behind them, so n is 0 and there is no signature and no error.

    One whose direction nobody says is kept as `higher` and never judged by it: compare asks the configuration again.
    """
    return {
        full: MetricValue(value, 0, "", measures.direction(full, config) or "higher")
        for full, value in ((f"{name}/{key}" if name else key, value) for key, value in values.items())
    }
