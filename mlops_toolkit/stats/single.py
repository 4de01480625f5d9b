"""How sure one model's own value is: its standard error, and the interval that `min:` and `max:` are checked with."""

from __future__ import annotations

import math

import numpy as np

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import wilson
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.tally import dense, even, summed

Interval = tuple[float, float]

FEWEST_CLUSTERS = 10  # below, Student's t on cluster sums passes changes at the margin too often
FEWEST_EXAMPLES = 25  # of each class a metric depends on; below, influence and bootstrap intervals cover 75–90 % instead of 95 %
FEWEST_ACTIVE = 10  # rows (clusters) that contribute at all; below, the few that do say nothing about those that might


def standard_error(measured: Measured, cluster: Codes | None = None) -> float | None:
    """Of a metric's value; None where the value is undefined or there is only one row (or cluster)."""
    if measured.influence is None:
        return None
    sums = by_unit(measured.influence, dense(cluster))
    return spread_error(float((sums * sums).sum()), len(sums))


def by_unit(influence: Floats, cluster: Codes | None) -> Floats:
    """Influence (n,) summed by cluster; as it is where rows are not clustered. `cluster` as `dense` gives it."""
    return influence if cluster is None else summed(cluster, influence, int(cluster.max()) + 1)


def spread_error(sum_of_squares: float, units: int) -> float | None:
    """√(G/(G−1)·Σ influence²) over G independent rows or clusters."""
    return math.sqrt(units / (units - 1) * sum_of_squares) if units > 1 else None


def interval(metric: Metric, sample: Sample, confidence: float = 0.95) -> Interval | None:
    """The two-sided interval of a metric's value; None where it is undefined or there is too little to say.

    Wilson's score interval for shares of right rows (accuracy, recall of a class, the mean of zeros and ones), unweighted
    and unclustered; else Student's t on the influence, under the same least counts as a paired difference.
    """
    measured = metric.measure(sample)
    if measured.value is None or measured.influence is None:
        return None
    cluster = dense(sample.cluster)
    if cluster is None and even(sample.weight) is None:
        share = share_of(metric, sample)
        if share is not None:
            return wilson(*share, confidence)
    sums = by_unit(measured.influence, cluster)
    return own_interval(
        metric,
        measured.value,
        spread_error(float((sums * sums).sum()), len(sums)),
        active=int(np.count_nonzero(sums)),
        clusters=None if cluster is None else len(sums),
        support=measured.support,
        confidence=confidence,
    )


def own_interval(
    metric: Metric, value: float, error: float | None, *, active: int, clusters: int | None, support: int | None, confidence: float
) -> Interval | None:
    """value ± t·error within the metric's bounds, or None where one of the least counts is not met."""
    if not error or active < FEWEST_ACTIVE or (clusters is not None and clusters < FEWEST_CLUSTERS):
        return None
    if support is not None and support < FEWEST_EXAMPLES:
        return None
    reach, (least, most) = critical(confidence, active - 1) * error, metric.bounds
    low, high = value - reach, value + reach
    return low if least is None else max(low, least), high if most is None else min(high, most)


def share_of(metric: Metric, sample: Sample) -> tuple[int, int] | None:
    """(right rows, rows that count) where the metric is their quotient."""
    if metric.rowwise and metric.slope and sample.target is not None and sample.prediction is not None:
        only = metric.only(sample)
        counts = np.ones(sample.n, dtype=bool) if only is None else sample.target == only
        return int(np.count_nonzero(counts & (sample.target == sample.prediction))), int(np.count_nonzero(counts))
    ones = zeros_and_ones(metric, sample)
    return None if ones is None else (int(ones.sum()), sample.n)


def zeros_and_ones(metric: Metric, sample: Sample) -> Floats | None:
    """The column of a `mean` where it holds nothing else: then the mean is a share of rows."""
    values = sample.columns.get(metric.argument or "") if metric.family == "mean" else None
    return values if values is not None and np.all((values == 0) | (values == 1)) else None
