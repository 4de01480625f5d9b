"""How sure one model's own value is: its standard error, and the interval that `min:` and `max:` are checked with."""

from __future__ import annotations

import numpy as np

from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import wilson
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, by_unit, reach
from mlops_toolkit.stats.tally import dense, uneven

Interval = tuple[float, float]


def standard_error(measured: Measured, cluster: Codes | None = None) -> float | None:
    """Of a metric's value; None where the value is undefined or there is only one row (or cluster)."""
    if measured.influence is None:
        return None
    return Spread.of(by_unit(measured.influence, dense(cluster))).error


def interval(metric: Metric, sample: Sample, confidence: float = 0.95) -> Interval | None:
    """The two-sided interval of a metric's value; None where it is undefined or there is too little to say.

    Wilson's score interval for shares of right rows (accuracy, recall of a class, the mean of zeros and ones), unweighted
    and unclustered; else Student's t on the influence, under the same least counts as a paired difference.
    """
    measured = metric.measure(sample)
    if measured.value is None or measured.influence is None:
        return None
    cluster = dense(sample.cluster)
    if cluster is None and uneven(sample.weight) is None:
        share = share_of(metric, sample)
        if share is not None:
            return wilson(*share, confidence)
    spread = Spread.of(by_unit(measured.influence, cluster))
    return own_interval(metric, measured, spread, clustered=cluster is not None, confidence=confidence)


def own_interval(metric: Metric, measured: Measured, spread: Spread, *, clustered: bool, confidence: float) -> Interval | None:
    """The interval of a value within the metric's bounds, or None where one of the least counts is not met."""
    if measured.value is None or spread.error is None or spread.flat(measured.value):
        return None
    if spread.active < FEWEST_ACTIVE or (clustered and spread.units < FEWEST_CLUSTERS):
        return None
    if measured.support is not None and measured.support < FEWEST_EXAMPLES:
        return None
    (down, up), (least, most) = reach(confidence, spread.df, spread.skew), metric.bounds
    low, high = measured.value - down * spread.error, measured.value + up * spread.error
    return low if least is None else max(low, least), high if most is None else min(high, most)


def share_of(metric: Metric, sample: Sample) -> tuple[int, int] | None:
    """(right rows, rows that count) where the metric is their quotient."""
    if metric.rowwise and sample.target is not None and sample.prediction is not None:
        only = metric.only(sample)
        counts = np.ones(sample.n, dtype=bool) if only is None else sample.target == only
        return int(np.count_nonzero(counts & (sample.target == sample.prediction))), int(np.count_nonzero(counts))
    ones = zeros_and_ones(metric, sample)
    return None if ones is None else (int(ones.sum()), sample.n)


def zeros_and_ones(metric: Metric, sample: Sample) -> Floats | None:
    """The column of a `mean` where it holds nothing else: then the mean is a share of rows."""
    values = sample.columns.get(metric.argument or "") if metric.family == "mean" else None
    return values if values is not None and np.all((values == 0) | (values == 1)) else None
