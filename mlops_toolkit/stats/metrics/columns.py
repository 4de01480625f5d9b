"""Metrics of a number that the user's evaluation writes for every example: a judge's score, a latency, a cost."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.stats.metric import Means, Metric, Order
from mlops_toolkit.stats.metrics import quantiles
from mlops_toolkit.stats.metrics.build import from_means, metric, plain_mean
from mlops_toolkit.stats.sample import Floats, Sample


def mean(request: MetricRequest, where: str | None) -> Metric:
    """The mean of a column."""
    column = _column(request, where)

    def about(sample: Sample) -> tuple[str, float]:
        _values(column, sample, where)
        return "ok", 0.0

    means = Means(lambda sample, _: (_values(column, sample, where),), plain_mean, about)
    return from_means(request, f"mean column={column}/1", means, where=where, reads="columns")


def quantile(request: MetricRequest, where: str | None) -> Metric:
    """The q-quantile of a column, 0 < q < 1."""
    column, q = _column(request, where), request.q
    if q is None or not 0 < q < 1:
        raise UsageError(
            "bad-quantile",
            f"{request.name}: q is {q}, not between 0 and 1",
            where=where,
            hint=f"write {{quantile: {column}, q: 0.95, better: lower}}",
        )
    level = q
    signature = f"quantile column={column} q={q!r} method=linear weighted=midpoints/1"
    made = metric(
        request,
        signature,
        lambda sample: quantiles.linear(_values(column, sample, where), sample, level),
        where=where,
        reads="columns",
    )
    return replace(made, order=Order(lambda sample: _values(column, sample, where), level))


def _column(request: MetricRequest, where: str | None) -> str:
    if not request.argument:
        raise UsageError(
            "needs-column", f"{request.name}: of which column?", where=where, hint=f"write {{{request.family}: COLUMN, better: higher}}"
        )
    return request.argument


def _values(column: str, sample: Sample, where: str | None) -> Floats:
    if column not in sample.columns:
        known = sorted(sample.columns)
        hint = did_you_mean(column, known) if known else "the evaluation must write it, one number an example"
        raise UsageError("unknown-column", f'the predictions have no numeric column "{column}"', where=where, hint=hint)
    return sample.columns[column]
