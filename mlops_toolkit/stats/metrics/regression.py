"""Metrics of predicted numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import average, mean_and_influence, mean_of, metric, numbers, total, weighted
from mlops_toolkit.stats.metrics.quantiles import median
from mlops_toolkit.stats.sample import Floats, Sample

Formula = Callable[[Floats, Floats, Sample], Measured]  # (target, prediction, sample)


def _over(formula: Formula) -> Callable[[Sample], Measured]:
    def measure(sample: Sample) -> Measured:
        target, prediction = numbers(sample.target), numbers(sample.prediction)
        if target is None or prediction is None:
            return Measured(None, state="no-predictions")
        return formula(target, prediction, sample)

    return measure


def mae(request: MetricRequest, where: str | None) -> Metric:
    """The mean of |prediction − target|."""
    return metric(request, "mae/1", _over(lambda y, f, sample: mean_of(np.abs(f - y), sample)), where=where)


def rmse(request: MetricRequest, where: str | None) -> Metric:
    """√ of the mean of (prediction − target)²."""
    return metric(request, "rmse/1", _over(_rmse), where=where)


def _rmse(target: Floats, prediction: Floats, sample: Sample) -> Measured:
    square, influence = mean_and_influence((prediction - target) ** 2, sample)
    root = float(np.sqrt(square))
    return Measured(root, influence / (2 * root) if root > 0 else influence)


def r2(request: MetricRequest, where: str | None) -> Metric:
    """1 − Σw·(prediction − target)² / Σw·(target − mean target)²."""
    return metric(request, "r2/1", _over(_r2), where=where)


def _r2(target: Floats, prediction: Floats, sample: Sample) -> Measured:
    if target.min() == target.max():
        return Measured(None, state="constant-target")
    residual, centred = (prediction - target) ** 2, target - average(target, sample)
    unexplained, spread = average(residual, sample), average(centred * centred, sample)
    if spread == 0:
        return Measured(None, state="constant-target")
    ratio = unexplained / spread
    return Measured(1 - ratio, weighted(ratio * centred * centred - residual, sample) / (spread * total(sample)))


def mape(request: MetricRequest, where: str | None) -> Metric:
    """The mean of |prediction − target| / max(|target|, 2⁻⁵²): a fraction, huge where a target is 0."""
    tiny = float(np.finfo(np.float64).eps)
    signature = "mape floor=2^-52/1"
    return metric(request, signature, _over(lambda y, f, sample: mean_of(np.abs(f - y) / np.maximum(np.abs(y), tiny), sample)), where=where)


def pinball(request: MetricRequest, where: str | None) -> Metric:
    """The mean of max(q·(target − prediction), (q − 1)·(target − prediction)) for a predicted q-quantile, 0 < q < 1."""
    q = _level(request, where)

    def formula(target: Floats, prediction: Floats, sample: Sample) -> Measured:
        over = target - prediction
        return mean_of(np.maximum(q * over, (q - 1) * over), sample)

    return metric(request, f"pinball q={q!r}/1", _over(formula), where=where)


def _level(request: MetricRequest, where: str | None) -> float:
    try:
        q = float(request.argument) if request.q is None and request.argument is not None else request.q
    except ValueError:
        q = None
    if q is None or not 0 < q < 1:
        shown = request.argument if request.q is None else request.q
        raise UsageError(
            "bad-quantile", f"{request.name}: {shown} is not a quantile between 0 and 1", where=where, hint="write pinball:0.9"
        )
    return q


def median_absolute_error(request: MetricRequest, where: str | None) -> Metric:
    """The median of |prediction − target|; with weights the averaged inverse of the weighted distribution function."""
    signature = "median-absolute-error weighted=averaged-inverted-cdf/1"
    return metric(request, signature, _over(lambda y, f, sample: median(np.abs(f - y), sample)), where=where)
