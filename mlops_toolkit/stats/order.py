"""Quantiles of a list of measurements (p95 of latencies): intervals from order statistics, and of a difference between two lists.

The interval of one quantile is the distribution-free one: between two of the sorted values, at the ranks that a binomial count of
values below the quantile leaves (David & Nagaraja, Order Statistics, 3rd ed. 2003, §7.1). It holds for skewed and for rounded values.
The difference of two quantiles puts two such intervals together by the squares of their one-sided reaches (the "method of variance
estimates recovery": Zou & Donner 2008), with the correlation of the two sides where they were measured in turn.

Measurements one after the other are seldom independent: a slow minute slows many. A list counts as so many independent values as
its own course tells (`dependence`), and where those are too few for a quantile there is no interval.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from mlops_toolkit.stats.sample import Floats

SHORT = 20  # values below which their course tells nothing of how they depend on each other
FEW = 25  # independent values that a list must be worth where its values depend on each other (DEPENDENT times fewer): its course is known badly
DEPENDENT = 1.5
_BLOCKS, _BLOCKS_FROM = 20, 200


@dataclass(frozen=True)
class Quantile:
    """A quantile of n values: its value (numpy's method `linear`) and, where there are enough of them, its interval.

    units   how many independent values the list is worth; least: how many the quantile needs for an interval
    """

    value: float
    low: float | None
    high: float | None
    units: int
    least: int


def fewest(q: float, confidence: float = 0.95) -> int:
    """The fewest independent values whose smallest and largest enclose the q-quantile with this confidence: 368 for p99 at 0.95."""
    tail = (1 - confidence) / 2
    return math.ceil(math.log(tail) / math.log(max(q, 1 - q)) - 1e-9)


@functools.lru_cache(maxsize=1024)
def ranks(n: int, q: float, confidence: float) -> tuple[int, int] | None:
    """The 1-based ranks between which the q-quantile lies with at least this confidence, both ends at half the rest; None: n too small."""
    if n < fewest(q, confidence):
        return None
    k = np.arange(1, n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k))]) + np.arange(n + 1) * math.log(q)
    below = np.cumsum(np.exp(logs + (n - np.arange(n + 1)) * math.log1p(-q)))  # P(count ≤ k)
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(below, tail, side="right"))  # the largest rank with P(count ≤ rank − 1) ≤ tail
    high = int(np.searchsorted(below, 1 - tail)) + 1  # the smallest rank with P(count ≥ rank) ≤ tail
    return (low, high) if low >= 1 and high <= n else None


def quantile(values: Floats, q: float, *, confidence: float = 0.95, rounds: int = 1) -> Quantile:
    """The q-quantile of values (n,) in the order measured; `rounds` values at a time belong together."""
    at = float(np.quantile(values, q))
    inflation = dependence((values <= at).astype(np.float64), rounds)
    units = int(len(values) / inflation + 1e-9)
    least = max(fewest(q, confidence), FEW if inflation > DEPENDENT else 0)
    found = ranks(units, q, confidence) if units >= least else None
    if found is None:
        return Quantile(at, None, None, units, least)
    ranked, scale = np.sort(values), (len(values) + 1) / (units + 1)
    low, high = max(1, math.floor(found[0] * scale + 1e-9)), min(len(values), math.ceil(found[1] * scale - 1e-9))
    return Quantile(at, float(ranked[low - 1]), float(ranked[high - 1]), units, least)


def dependence(values: Floats, rounds: int = 1) -> float:
    """How many times larger the variance of the mean of `values` (n,), in the order measured, is than of independent ones; at least 1.

    The larger of two estimates: from the correlation of neighbours (of a first-order autoregression, corrected for its bias), and from
    the means of blocks. Where values come `rounds` at a time, those of one round are taken to depend on each other in any way.
    """
    n = len(values) // rounds
    values = values / (float(np.abs(values).max(initial=0.0)) or 1.0)  # so that no square of one overflows
    spread = float(values.var())
    if spread == 0 or n < 2:
        return 1.0
    means = values[: n * rounds].reshape(n, rounds).mean(axis=1)
    within = max(1.0, float(means.var(ddof=1)) * rounds / spread) if rounds > 1 else 1.0
    return within * _along(means)


def _along(values: Floats) -> float:
    n, centred = len(values), values - values.mean()
    total = float((centred * centred).sum())
    if n < SHORT or total == 0:
        return 1.0
    neighbours = float((centred[1:] * centred[:-1]).sum()) / total
    neighbours = min(0.98, neighbours + (1 + 4 * neighbours) / n)
    regression = (1 + neighbours) / (1 - neighbours)
    if n < _BLOCKS_FROM:
        return max(1.0, regression)
    size = n // _BLOCKS
    sums = centred[: _BLOCKS * size].reshape(_BLOCKS, size).sum(axis=1)
    return max(1.0, regression, float(sums.var(ddof=1)) / size / (total / n))
