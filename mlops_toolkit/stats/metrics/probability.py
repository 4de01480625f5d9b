"""Metrics of predicted probabilities: log-loss and the Brier score, means over examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.chunks import by_chunk
from mlops_toolkit.stats.metric import Means, Measured, Metric
from mlops_toolkit.stats.metrics.build import from_means, plain_mean, sum_of
from mlops_toolkit.stats.sample import Codes, Floats, Sample

_TINY = float(np.finfo(np.float64).eps)
_SUM_TOLERANCE = float(np.sqrt(_TINY))


def log_loss(request: MetricRequest, where: str | None) -> Metric:
    """The mean of −ln p(target), p clipped to [ε, 1 − ε] with ε = 2⁻⁵²."""
    return from_means(request, "log-loss base=e clip=2^-52/1", _mean(_log_loss), where=where, reads="scores")


def brier(request: MetricRequest, where: str | None) -> Metric:
    """The mean over examples of Σ over classes (p − [class is the target])²; half of it with two classes, i.e. (p(positive) − y)²."""
    return from_means(request, "brier two-classes=half more-classes=sum/1", _mean(_brier), where=where, reads="scores")


def _mean(loss: Callable[[Floats, Codes], Floats]) -> Means:
    def numbers(sample: Sample, _: float) -> tuple[Floats]:
        if sample.prob is None or sample.target is None:
            raise ValueError("no probabilities")
        return (loss(sample.prob, sample.target),)

    def about(sample: Sample) -> tuple[str, float] | Measured:
        if sample.target is None:
            return Measured(None, state="no-target")
        if sample.prob is None:
            return Measured(None, state="no-probabilities")
        prob, n = sample.prob, sample.n
        near = sample.once(
            "sums to one",
            lambda: max(by_chunk(n, lambda rows: float(np.abs(_sums(prob[rows]) - 1).max(initial=0.0)))) <= _SUM_TOLERANCE,
        )
        return "ok" if near else "probabilities-do-not-sum-to-one", 0.0

    return Means(numbers, plain_mean, about, dear=True)


def _sums(rows: Floats) -> Floats:
    """By row; columns are added one to the other, which is quicker than adding within short rows."""
    return sum_of(rows[:, c] for c in range(rows.shape[1]))


def _at_target(prob: Floats, target: Codes) -> Floats:
    """The probability (n,) of each target."""
    found: Floats = prob[np.arange(len(target)), target]
    return found


def _log_loss(prob: Floats, target: Codes) -> Floats:
    return -np.log(np.clip(_at_target(prob, target), _TINY, 1 - _TINY))


def _brier(prob: Floats, target: Codes) -> Floats:
    at_target = _at_target(prob, target)
    squares = _sums(prob * prob) - at_target * at_target + (1 - at_target) ** 2
    halved: Floats = squares / 2 if prob.shape[1] <= 2 else squares
    return halved
