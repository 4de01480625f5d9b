"""How sure one model's own value is: its standard error, and the interval that `min:` and `max:` are checked with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlops_toolkit.stats import unseen
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import wilson
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, by_unit, distance, guarded
from mlops_toolkit.stats.tally import Slope, Tally, dense, uneven
from mlops_toolkit.stats.unseen import units

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
    longest = own_longest(metric, replace(sample, cluster=cluster))
    return own_interval(metric, measured, spread, clustered=cluster is not None, confidence=confidence, longest=longest)


def own_longest(metric: Metric, sample: Sample) -> Callable[[float], tuple[float, float] | None]:
    """The longest steps of the value of a model; the sample's clusters are dense."""

    def longest(many: float) -> tuple[float, float] | None:
        if metric.slope is None:
            step = unseen.of_scores(metric, sample, many)
            return None if step is None else (step, step)
        table = unseen.Table.of(sample)
        return None if table is None else both_ways(metric.slope, table, many)

    return longest


def both_ways(slope: Callable[[Tally], Slope], table: unseen.Table, many: float) -> tuple[float, float] | None:
    """The longest steps down and up of a metric of labels."""
    down, up = unseen.of_table(slope, table, "lost", many), unseen.of_table(slope, table, "gained", many)
    return None if down is None or up is None else (down, up)


def own_interval(
    metric: Metric,
    measured: Measured,
    spread: Spread,
    *,
    clustered: bool,
    confidence: float,
    longest: Callable[[float], tuple[float, float] | None] = lambda many: None,
) -> Interval | None:
    """The interval of a value within the metric's bounds, or None where one of the least counts is not met and no step has a bound.

    longest: so many units -> the mean of their longest steps, down and up (see `unseen`).
    """
    if measured.value is None or spread.error is None or not math.isfinite(spread.error) or (clustered and spread.units < FEWEST_CLUSTERS):
        return None
    few = spread.active < FEWEST_ACTIVE or (measured.support is not None and measured.support < FEWEST_EXAMPLES)
    t, steps = critical(confidence, least_certain(spread, measured.df)), spread.steps
    if few or spread.flat(measured.value):
        bounds = longest(units(confidence, spread.active))
        if bounds is None:
            return None
        t, steps = critical(confidence, spread.units - 1 if clustered else None), bounds
    elif metric.ranked is not None and (bounds := longest(units(confidence, spread.active))) is not None:
        steps = _of_scores(metric, spread, bounds)
    down, up = (distance(t, spread.error, step) for step in steps)
    if not math.isfinite(down + up):
        return None
    if metric.sized == "value":
        up = further(up, measured.value)
    elif metric.sized == "rest":
        down = further(down, 1 - measured.value)
    least, most = metric.bounds
    low, high = measured.value - down, measured.value + up
    return low if least is None else max(low, least), high if most is None else min(high, most)


def _of_scores(metric: Metric, spread: Spread, longest: Interval) -> Interval:
    """The steps of a value that is one of an order, as those of a change (see `conclude`): how long they may be at most is known.

    What stands out among thousands of examples tells nothing where thirty positives make up the spread: all of them do. Half the longest
    step at least it is of average precision, of which one example that rises above all positives takes many of them down.
    """
    down, up = guarded(spread.skewed, spread.error or 0.0, longest)
    least = 0.5 if metric.family == "average-precision" else 0.0
    return max(down, least * longest[0]), max(up, least * longest[1])


def least_certain(spread: Spread, *found: int | None) -> int:
    """The degrees of freedom: of the spread, and of what was estimated to find the influences (see `Measured.df`)."""
    return min([spread.df, *(df for df in found if df is not None)])


def further(far: float, size: float) -> float:
    """How far the end lies that was `far` away, towards more of a size whose error grows with it.

    Where the size is twice as large, so is its error: the steps that were seen are multiples of what was found, and the same multiples of
    what is true. So it is the logarithm of the size that is so far from its end: size·(exp(far/size) − 1). Beyond the size itself, where
    the interval says next to nothing, it goes on along the tangent, that no number overflows.
    """
    if not 0 < size < math.inf:
        return far
    return max(far, size * math.expm1(far / size) if far < size else math.e * far - size)


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
