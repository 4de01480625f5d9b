"""Metrics of predicted probabilities: log-loss and the Brier score, means over examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import mean_of, metric
from mlops_toolkit.stats.sample import Codes, Floats, Sample

_TINY = float(np.finfo(np.float64).eps)
_SUM_TOLERANCE = float(np.sqrt(_TINY))


def log_loss(request: MetricRequest, where: str | None) -> Metric:
    """The mean of −ln p(target), p clipped to [ε, 1 − ε] with ε = 2⁻⁵²."""
    return metric(request, "log-loss base=e clip=2^-52/1", _mean(_log_loss), where=where, reads="scores")


def brier(request: MetricRequest, where: str | None) -> Metric:
    """The mean over examples of Σ over classes (p − [class is the target])²; half of it with two classes, i.e. (p(positive) − y)²."""
    return metric(request, "brier two-classes=half more-classes=sum/1", _mean(_brier), where=where, reads="scores")


def _mean(loss: Callable[[Floats, Codes], Floats]) -> Callable[[Sample], Measured]:
    def measure(sample: Sample) -> Measured:
        if sample.target is None:
            return Measured(None, state="no-target")
        if sample.prob is None:
            return Measured(None, state="no-probabilities")
        sums_to_one = np.abs(sample.prob.sum(axis=1) - 1).max() <= _SUM_TOLERANCE
        return mean_of(loss(sample.prob, sample.target), sample, state="ok" if sums_to_one else "probabilities-do-not-sum-to-one")

    return measure


def _log_loss(prob: Floats, target: Codes) -> Floats:
    at_target: Floats = np.clip(prob[np.arange(len(target)), target], _TINY, 1 - _TINY)
    return -np.log(at_target)


def _brier(prob: Floats, target: Codes) -> Floats:
    at_target = prob[np.arange(len(target)), target]
    squares = (prob * prob).sum(axis=1) - at_target * at_target + (1 - at_target) ** 2
    halved: Floats = squares / 2 if prob.shape[1] <= 2 else squares
    return halved
