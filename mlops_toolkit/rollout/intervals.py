"""How sure a few numbers are: shares of failed requests, quantiles of histograms, slopes. Python's own library alone.

`stats` has what a comparison of two test sets needs, on numpy; this runs beside the model, on counters.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist, fmean

TINY = 1e-300


def z(alpha: float) -> float:
    """The normal quantile with so much beyond it on one side."""
    return NormalDist().inv_cdf(1 - alpha)


def beta_below(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function: the continued fraction DLMF 8.17.22, evaluated by Lentz's method (DLMF 3.10)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_below(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    value, c, d = 1.0, 1.0, 0.0
    for at in range(1, 20_000):
        m = at // 2
        if at % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value, c, d, step = _lentz(value, c, d, term)
        if abs(step - 1) < 1e-13:
            break
    return front / value


def _lentz(value: float, c: float, d: float, term: float) -> tuple[float, float, float, float]:
    """One more term of 1 + term/(1 + …)."""
    d = 1 / (1 + term * d or TINY)
    c = 1 + term / c or TINY
    return value * c * d, c, d, c * d


@functools.lru_cache(maxsize=4096)
def share(failed: int, n: int, alpha: float) -> tuple[float, float]:
    """Clopper and Pearson's limits of a share (Biometrika 26, 1934), with at most alpha beyond each, whatever the share is. n = 0: [0, 1]."""
    if n <= 0:
        return 0.0, 1.0
    low = 0.0 if failed <= 0 else _root(lambda p: beta_below(p, failed, n - failed + 1), alpha)
    high = 1.0 if failed >= n else _root(lambda p: beta_below(p, failed + 1, n - failed), 1 - alpha)
    return low, high


def _root(rising: Callable[[float], float], value: float) -> float:
    """x in [0, 1] where a rising function has this value, by halving; shares near 0 are found as exactly as others, relative to them."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = math.sqrt(low * high) if low > 0 and high / low > 2 else (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
        if high - low <= 1e-9 * high:
            break
    return (low + high) / 2


def difference(failed: int, n: int, before: int, n_before: int, alpha: float) -> tuple[float, float]:
    """Limits of the difference of two independent shares, with about alpha beyond each: Newcombe's square-and-add (Statistics in Medicine 17,
    1998, method 10), with Clopper and Pearson's limits in the place of Wilson's.

    Wilson's lower limit of one or two failures is far too high at the small alphas that many looks leave: one failure in twenty requests would
    be "shown" to be above half a percent. Exact limits make it cautious instead: harmless releases stay, and larger numbers decide as well.
    """
    p, q = failed / n if n else 0.0, before / n_before if n_before else 0.0
    low, high = share(failed, n, alpha)
    low_before, high_before = share(before, n_before, alpha) if n_before else (0.0, 0.0)
    return (
        p - q - math.hypot(p - low, high_before - q),
        p - q + math.hypot(high - p, q - low_before),
    )


def requests_needed(failed: int, n: int, before: int, n_before: int, allowed: float, alpha: float) -> int | None:
    """About how many requests of the new release would show that it fails no more than is allowed, where it goes on as so far; None: none would."""
    p, q = failed / n if n else 0.0, before / n_before if n_before else 0.0
    room = allowed - max(p - q, 0.0)
    if room <= 0:
        return None
    least = -math.log(alpha) / room  # of shares near 0: none of so many failed
    spread = z(alpha) ** 2 * p * (1 - p) / room**2
    return math.ceil(max(least, least * 0.5 + spread if p else least, n + 1))


def quantile(counts: Mapping[float, int], q: float, alpha: float) -> tuple[float, float, float] | None:
    """(lowest, likely, highest) of a quantile of what was counted below bounds (cumulative); None where nothing was.

    The quantile lies between two order statistics, whose ranks are binomial (at most alpha beyond each); these lie in buckets, of which
    nothing is known but the bounds: the lower one of the first and the upper one of the last are what is sure. The likely value is
    interpolated, as Prometheus does.
    """
    bounds = sorted(counts)
    if not bounds or counts[bounds[-1]] <= 0:
        return None
    cumulative = [counts[bound] for bound in bounds]
    n = cumulative[-1]
    spread = z(alpha) * math.sqrt(n * q * (1 - q))
    first, last = math.floor(n * q - spread), math.ceil(n * q + spread) + 1
    low = _bucket(bounds, cumulative, max(first, 1))[0] if first >= 1 else 0.0
    high = _bucket(bounds, cumulative, last)[1] if last <= n else math.inf
    below, above, held, under = _within(bounds, cumulative, n * q)
    likely = below if math.isinf(above) else below + (above - below) * ((n * q - under) / held if held else 1.0)
    return low, likely, high


def _bucket(bounds: Sequence[float], cumulative: Sequence[int], rank: float) -> tuple[float, float]:
    at = min(bisect.bisect_left(cumulative, rank), len(bounds) - 1)
    return (bounds[at - 1] if at else 0.0), bounds[at]


def _within(bounds: Sequence[float], cumulative: Sequence[int], rank: float) -> tuple[float, float, int, int]:
    at = min(bisect.bisect_left(cumulative, rank), len(bounds) - 1)
    under = cumulative[at - 1] if at else 0
    return (bounds[at - 1] if at else 0.0), bounds[at], cumulative[at] - under, under


def slope(points: Sequence[tuple[float, float]], alpha: float) -> tuple[float, float, float] | None:
    """(lowest, likely, highest) rise per second by least squares, with at most alpha beyond each; None of fewer than five points.

    Student's quantile with n - 2 degrees of freedom. Points should be far enough apart to be independent: means of pieces, not single looks.
    """
    n = len(points)
    if n < 5:
        return None
    x, y = fmean(t for t, _ in points), fmean(v for _, v in points)
    xx = sum((t - x) ** 2 for t, _ in points)
    if xx <= 0:
        return None
    rise = sum((t - x) * (v - y) for t, v in points) / xx
    rest = sum((v - y - rise * (t - x)) ** 2 for t, v in points)
    half = student(alpha, n - 2) * math.sqrt(rest / (n - 2) / xx)
    return rise - half, rise, rise + half


@functools.lru_cache(maxsize=256)
def student(alpha: float, df: int) -> float:
    """t with P(T > t) = alpha, by halving; P(T > t) is half of I of df/(df + t²) at (df/2, 1/2) (DLMF 8.17; Abramowitz & Stegun 26.7.1)."""
    low, high = 0.0, 1.0
    while beta_below(df / (df + high * high), df / 2, 0.5) / 2 > alpha:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_below(df / (df + middle * middle), df / 2, 0.5) / 2 > alpha else (low, middle)
    return (low + high) / 2


def homogeneous(one: Mapping[str, int], other: Mapping[str, int]) -> tuple[float, int, float] | None:
    """(χ², degrees of freedom, 1/n + 1/m) of whether two counts by label are of one distribution; None where there is too little to compare.

    Labels that are expected fewer than five times on the smaller side are counted together (Cochran's rule), chosen by what both sides hold,
    which says nothing about their difference.
    """
    n, m = sum(one.values()), sum(other.values())
    if n < 20 or m < 20:
        return None
    least = 5 * (n + m) / min(n, m)
    cells, rest = [], (0, 0)
    for label in sorted({*one, *other}):
        a, b = one.get(label, 0), other.get(label, 0)
        if a + b >= least:
            cells.append((a, b))
        else:
            rest = (rest[0] + a, rest[1] + b)
    if sum(rest) < least and cells:
        last = cells.pop()
        rest = (rest[0] + last[0], rest[1] + last[1])
    if sum(rest):
        cells.append(rest)
    if len(cells) < 2:
        return None
    statistic = sum((a * m - b * n) ** 2 / (a + b) for a, b in cells) / (n * m)
    return statistic, len(cells) - 1, 1 / n + 1 / m
