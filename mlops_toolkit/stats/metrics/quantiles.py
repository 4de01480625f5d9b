"""Quantiles of one number an example, and their influence.

A sample quantile does not answer smoothly to one example's weight, so its influence is the one of the population's
quantile: (q − [x ≤ quantile])/density. The density is not smoothed with a chosen kernel but read off the order
statistics that bound the quantile's own distribution-free 95 % interval (Woodruff 1952): the standard error is by
construction that interval's half-width over 1.96. It is deterministic, invariant to monotone scale, and honest where
values tie: a run of equal values around the quantile has no width, hence no interval, hence no verdict. But it is an
estimate: of the m spacings between those two order statistics, exponential where the density is even, the sum has a
relative variance of 1/m, its square 4/m, which is that of a variance of m/2 degrees of freedom (`certainty`).
"""

from __future__ import annotations

import math

import numpy as np

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Measured
from mlops_toolkit.stats.metrics.build import independent, total, weighted
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.tally import dense, summed


def linear(values: Floats, sample: Sample, q: float) -> Measured:
    """The q-quantile as numpy's method `linear`.

    With weights: linear between the midpoints of the examples' shares of the cumulative weight, the first and last
    midpoint standing for 0 and 1. Equal weights give numpy's value.
    """
    if sample.weight is None:
        return _with_influence(values, sample, q, float(np.quantile(values, q)))
    return _with_influence(values, sample, q, _at(*_steps(values, sample.weight), q))


def median(values: Floats, sample: Sample) -> Measured:
    """The median; with weights the averaged inverse of the weighted distribution function, as scikit-learn's."""
    if sample.weight is None:
        return _with_influence(values, sample, 0.5, float(np.median(values)))
    order = np.lexsort((sample.weight, values))
    ranked, reached = values[order], np.cumsum(sample.weight[order])
    place = min(int(np.searchsorted(reached, reached[-1] / 2)), len(ranked) - 1)
    exact = reached[place] - reached[-1] / 2 <= np.finfo(np.float64).eps and place + 1 < len(ranked)
    value = (ranked[place] + ranked[place + 1]) / 2 if exact else ranked[place]
    return _with_influence(values, sample, 0.5, float(value))


def _steps(values: Floats, weight: Floats | None) -> tuple[Floats, Floats]:
    """Sorted values (n,) and the probability in [0, 1] that each stands for (n,)."""
    if weight is None:
        return np.sort(values), np.linspace(0.0, 1.0, len(values))
    order = np.lexsort((weight, values))  # by weight within ties: the order of rows must not matter
    by_rank = weight[order]
    middle = np.cumsum(by_rank) - by_rank / 2
    return values[order], (middle - middle[0]) / (middle[-1] - middle[0]) if len(values) > 1 else np.zeros(1)


def _at(ranked: Floats, probability: Floats, q: float) -> float:
    return float(np.interp(q, probability, ranked))


def _with_influence(values: Floats, sample: Sample, q: float, value: float) -> Measured:
    """The quantile with its influence; support is the number of examples on its thinner side."""
    within = (values <= value).astype(np.float64)
    beyond = min(independent(values < value, sample), independent(values > value, sample))
    size = _size(sample)
    low, high = around(q, size)
    ranked, probability = _steps(values, sample.weight)
    spread = (_at(ranked, probability, high) - _at(ranked, probability, low)) / (high - low)
    share = float(weighted(within, sample).sum()) / total(sample)
    influence = weighted((share - within) * spread, sample) / total(sample)
    return Measured(value, influence, support=beyond, rare=f"examples beyond the {q:g}-quantile", df=certainty(q, size))


def around(q: float, size: float) -> tuple[float, float]:
    """Between which probabilities the share of `size` independent examples below their q-quantile lies, 95 times in a hundred."""
    reach = critical(0.95) * math.sqrt(q * (1 - q) / size)
    return max(0.0, q - reach), min(1.0, q + reach)


def certainty(q: float, size: float) -> int:
    """The degrees of freedom of a variance that is made of the density so found."""
    low, high = around(q, size)
    return max(1, int(size * (high - low) / 2))


def _size(sample: Sample) -> float:
    """How many equal, independent rows weigh as much (Kish): (Σw)²/Σw², over the sums of clusters where there are any."""
    weight = np.ones(sample.n) if sample.weight is None else sample.weight
    cluster = dense(sample.cluster)
    if cluster is not None:
        weight = summed(cluster, weight, int(cluster.max()) + 1)
    return float(weight.sum() ** 2 / (weight**2).sum())
