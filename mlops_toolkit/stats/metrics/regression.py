"""Metrics of predicted numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.chunks import ROWS, STRETCH, aligned, by_stretch
from mlops_toolkit.stats.metric import Column, Level, Means, Measured, Metric, Order
from mlops_toolkit.stats.metrics.build import from_means, metric, numbers, plain_mean
from mlops_toolkit.stats.metrics.quantiles import median
from mlops_toolkit.stats.sample import Floats, Sample

Number = Callable[[Sample], Floats]  # a number an example


def _pair(sample: Sample) -> tuple[Floats, Floats]:
    """Target and prediction, which are there."""
    target, prediction = numbers(sample.target), numbers(sample.prediction)
    if target is None or prediction is None:
        raise ValueError("no predictions")
    return target, prediction


def _without(sample: Sample) -> Measured | None:
    """That a metric is undefined without predictions."""
    return Measured(None, state="no-predictions") if sample.target is None or sample.prediction is None else None


def _mean(number: Number, at: Callable[[tuple[float, ...]], Level] = plain_mean, *columns: Column) -> Means:
    """A function of the mean of one number an example."""

    def of(sample: Sample, _: float) -> tuple[Floats]:
        return (number(sample),)

    def about(sample: Sample) -> tuple[str, float] | Measured:
        return _without(sample) or ("ok", 0.0)

    return Means(of, at, about, columns=columns)


def mae(request: MetricRequest, where: str | None) -> Metric:
    """The mean of |prediction − target|."""
    return from_means(request, "mae/1", _mean(_absolute, plain_mean, "absolute"), where=where)


def _error(sample: Sample) -> Floats:
    """(n,) prediction − target."""

    def error() -> Floats:
        target, prediction = _pair(sample)
        return prediction - target

    return _once(sample, "error", error)


def _once(sample: Sample, what: str, number: Callable[[], Floats]) -> Floats:
    """A number that several metrics read, computed once of a piece that stays in the cache; more would only fill memory."""
    if sample.n > ROWS:
        return number()
    found: Floats = sample.once(what, number)
    return found


def _absolute(sample: Sample) -> Floats:
    return np.abs(_error(sample))


def _square(sample: Sample) -> Floats:
    def square() -> Floats:
        error = _error(sample)
        return error * error

    return _once(sample, "square", square)


def rmse(request: MetricRequest, where: str | None) -> Metric:
    """√ of the mean of (prediction − target)²."""
    return replace(from_means(request, "rmse/1", _mean(_square, _root, "square"), where=where), sized="value")


def _root(mean: tuple[float, ...]) -> Level:
    root = math.sqrt(mean[0]) if math.isfinite(mean[0]) else math.inf
    return Level(root, (1 / (2 * root) if root > 0 else 1.0,))


def r2(request: MetricRequest, where: str | None) -> Metric:
    """1 − Σw·(prediction − target)² / Σw·(target − mean target)²."""

    def of(sample: Sample, middle: float) -> tuple[Floats, Floats]:
        centred = _pair(sample)[0] - middle
        centred *= centred
        return _square(sample), centred

    means = Means(of, _explained, _middle, columns=("square", "centred"))
    return replace(from_means(request, "r2/1", means, where=where), sized="rest")


def _middle(sample: Sample) -> tuple[str, float] | Measured:
    """The mean target: it only has to be near, since (target − mean)² has its least sum there."""
    if without := _without(sample):
        return without
    middle: float | None = sample.once(("of targets", "middle"), lambda: _middle_of_all(sample))
    return Measured(None, state="constant-target") if middle is None else ("ok", middle)


def _middle_of_all(sample: Sample) -> float | None:
    """None where all targets are the same."""
    (target, _), weight = _pair(sample), sample.weight
    first = float(target[0])

    def stretch(rows: slice, room: Floats) -> tuple[float, float, bool]:
        """Σ w·(target − first), Σ w, and whether they differ: differences, since the targets may be large and near each other."""
        apart = np.subtract(target[rows], first, out=room[: rows.stop - rows.start])
        varied, heavy = bool(apart[-1] != 0) or bool(apart.any()), float(len(apart))
        if weight is not None:
            heavy = float(weight[rows].sum())
            apart *= weight[rows]
        return float(np.add.reduce(apart)), heavy, varied

    parts = list(by_stretch(sample.n, lambda: aligned(min(sample.n, STRETCH), 1)[0], stretch))
    if not any(varied for _, _, varied in parts):
        return None
    return first + _fsum(part[0] for part in parts) / math.fsum(part[1] for part in parts)


def _fsum(parts: Iterable[float]) -> float:
    """Their exact sum; infinite where one is."""
    held = list(parts)
    return math.fsum(held) if all(map(math.isfinite, held)) else math.inf


def _explained(mean: tuple[float, ...]) -> Level:
    unexplained, spread = mean
    if spread == 0:
        return Level(None, state="constant-target")
    ratio = unexplained / spread
    return Level(1 - ratio, (-1 / spread, ratio / spread))


def mape(request: MetricRequest, where: str | None) -> Metric:
    """The mean of |prediction − target| / max(|target|, 2⁻⁵²): a fraction, huge where a target is 0."""
    tiny = float(np.finfo(np.float64).eps)
    means = _mean(lambda sample: _absolute(sample) / np.maximum(np.abs(_pair(sample)[0]), tiny))
    return from_means(request, "mape floor=2^-52/1", means, where=where)


def pinball(request: MetricRequest, where: str | None) -> Metric:
    """The mean of max(q·(target − prediction), (q − 1)·(target − prediction)) for a predicted q-quantile, 0 < q < 1."""
    q = _level(request, where)

    def number(sample: Sample) -> Floats:
        over = -_error(sample)
        return np.maximum(q * over, (q - 1) * over)

    return from_means(request, f"pinball q={q!r}/1", _mean(number), where=where)


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

    def measure(sample: Sample) -> Measured:
        return _without(sample) or median(_absolute(sample), sample)

    made = metric(request, "median-absolute-error weighted=averaged-inverted-cdf/1", measure, where=where)
    return replace(made, order=Order(lambda sample: _without(sample) or _absolute(sample), 0.5))
