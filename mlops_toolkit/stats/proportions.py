"""Intervals for shares of examples that hold at every sample size: Wilson's for one share, Tango's for a paired difference."""

from __future__ import annotations

import math

from mlops_toolkit.stats.distributions import critical, normal_tail


def wilson(right: float, n: int, confidence: float) -> tuple[float, float]:
    """The score interval of `right` of n ≥ 1 (Wilson 1927)."""
    z2 = critical(confidence) ** 2
    centre, reach = right + z2 / 2, math.sqrt(z2 * (right * (n - right) / n + z2 / 4))
    low = 0.0 if right == 0 else (centre - reach) / (n + z2)
    high = 1.0 if right == n else (centre + reach) / (n + z2)
    return max(0.0, low), min(1.0, high)


def tango(better: float, worse: float, n: float, confidence: float) -> tuple[float, float]:
    """The score interval of (better − worse)/n, of n ≥ 1 pairs of which `better` and `worse` changed (Tango 1998).

    It is where `tango_claim` lies within ±z. Counts may be fractions (for planning). Zero changes still have an
    interval: ±z²/(n + z²).
    """
    z, change = critical(confidence), (better - worse) / n
    low = _cross(better, worse, n, z, -1.0, change)
    high = _cross(better, worse, n, -z, change, 1.0)
    return low, high


def _cross(better: float, worse: float, n: float, level: float, low: float, high: float) -> float:
    """Where the statistic, which falls as the assumed difference grows, crosses `level`. Bisection: exact to 1e-18."""
    for _ in range(64):
        middle = (low + high) / 2
        if tango_claim(better, worse, n, middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def tango_statistic(better: float, worse: float, n: float, difference: float) -> float:
    """How many standard errors the observed difference lies above an assumed one, −1 ≤ difference ≤ 1.

    The standard error is the one under the assumption: the probability `p` of the rarer way to change is its maximum
    likelihood estimate given the difference, the root of 2n·p² + B·p − C = 0.
    """
    return _statistic(better, worse, n, difference)[0]


def tango_claim(better: float, worse: float, n: float, difference: float) -> float:
    """The same as a normal quantile, for the claim that the change is further away from 0 than `difference`, on its side.

    Under such an assumption the differences lean the same way: one way to change is the rarer. With its skewness g, a statistic of
    t + g·(t² − 1)/6 is about as unlikely as a normal t (the first term of Cornish and Fisher); twice that term makes up for counts
    being whole too. Without it up to 5.1 % of the models whose drop is just allowed would be failed, with it at most 2.9 %. The claim that
    a drop is smaller than allowed needs none: at most 3.0 % pass (benchmarks/enumeration.md shows both).
    """
    if difference < 0:
        return -tango_claim(worse, better, n, -difference)
    statistic, variance = _statistic(better, worse, n, difference)
    if difference == 0 or statistic <= 0 or not math.isfinite(statistic):
        return statistic
    part: float = n * difference * (1 - 3 * variance / n - difference * difference) / variance**1.5 / 3
    if part <= 0:
        return statistic
    return min(statistic, 2 * (statistic + part) / (1 + math.sqrt(1 + 4 * part * (statistic + part))))


def _statistic(better: float, worse: float, n: float, difference: float) -> tuple[float, float]:
    """With the variance of better − worse under the assumption."""
    if difference < 0:  # by symmetry, so that p is always the probability of the way that the assumption makes rarer
        statistic, variance = _statistic(worse, better, n, -difference)
        return -statistic, variance
    distance = better - worse - n * difference
    b = (2 * n + worse - better) * difference - better - worse  # grows with the difference, negative at none
    c = worse * difference * (1 - difference)
    root = math.sqrt(max(0.0, b * b + 8 * n * c))
    p = 2 * c / (root + b) if b > 0 else (root - b) / (4 * n)
    variance = n * (2 * p + difference * (1 - difference))
    if variance <= 0:
        return (0.0 if distance == 0 else math.copysign(math.inf, distance)), 0.0
    return distance / math.sqrt(variance), variance


def tango_fails(better: float, worse: float, n: int, margin: float) -> float:
    """One-sided p-value against "at most `margin` worse": small where the difference is shown to lie below −margin."""
    if margin >= 1:
        return 1.0
    return normal_tail(-tango_claim(better, worse, n, -margin))
