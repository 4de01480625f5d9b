"""The few distributions that intervals need, without scipy: normal, Student's t, and the exact sign test."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

_NORMAL = NormalDist()
_EXPANDED_FROM = 1000  # degrees of freedom from which the expansion about the normal is exact to 1e-12


def normal_quantile(p: float) -> float:
    """z with P(Z ≤ z) = p, 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def normal_tail(z: float) -> float:
    """P(Z > z), accurate far out in the tail."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def critical(confidence: float, df: int | None = None) -> float:
    """How many standard errors a two-sided interval reaches: normal, or Student's t with `df` degrees of freedom."""
    p = 0.5 + confidence / 2
    return normal_quantile(p) if df is None else t_quantile(p, df)


def t_tail(t: float, df: int) -> float:
    """P(T > t) of Student's t with an integer df ≥ 1."""
    if t < 0:
        return 1 - t_tail(-t, df)
    if df >= _EXPANDED_FROM:
        return normal_tail(_unexpand(t, df))
    return max(0.0, (1 - _within(t, df)) / 2)


@functools.lru_cache(maxsize=4096)
def t_quantile(p: float, df: int) -> float:
    """t with P(T ≤ t) = p of Student's t with an integer df ≥ 1, to 1e-10 relative for p up to 1 − 1e-5."""
    if p < 0.5:
        return -t_quantile(1 - p, df)
    if df >= _EXPANDED_FROM:
        return _expand(normal_quantile(p), df)
    t = normal_quantile(p)  # the distribution function is concave here: Newton's steps from below never pass the root
    for _ in range(100):
        step = (2 * p - 1 - _within(t, df)) / (2 * _density(t, df))
        t += step
        if abs(step) <= 1e-14 * t:
            break
    return t


def _density(t: float, df: int) -> float:
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    return scale * math.exp(-(df + 1) / 2 * math.log1p(t * t / df))


def _within(t: float, df: int) -> float:
    """P(|T| < t) by the finite sum in sines and cosines that exists for integer df (Abramowitz & Stegun 26.7.3–4)."""
    angle = math.atan2(t, math.sqrt(df))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    term, total = (math.cos(angle), 0.0) if df % 2 else (1.0, 0.0)
    for k in range(1 if df % 2 else 0, df - 1, 2):
        total += term
        term *= square * (k + 1) / (k + 2)
    within: float = (angle + sine * total) * 2 / math.pi if df % 2 else sine * total
    return within


def _expand(z: float, df: int) -> float:
    """Student's t from a normal z at the same probability: the expansion in 1/df to the fourth order (ibid. 26.7.5)."""
    y = z * z
    terms = (
        z * (y + 1) / 4,
        z * ((5 * y + 16) * y + 3) / 96,
        z * (((3 * y + 19) * y + 17) * y - 15) / 384,
        z * ((((79 * y + 776) * y + 1482) * y - 1920) * y - 945) / 92160,
    )
    return z + math.fsum(term / float(df) ** order for order, term in enumerate(terms, start=1))


def _unexpand(t: float, df: int) -> float:
    """The z ≥ 0 that `_expand` takes to t ≥ 0."""
    low, high = 0.0, t
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _expand(middle, df) < t else (low, middle)
    return (low + high) / 2


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p that better and worse are equally likely (McNemar's exact test). O(√n)."""
    trials, fewer = better + worse, min(better, worse)
    if 2 * fewer >= trials:
        return 1.0
    term = math.exp(math.lgamma(trials + 1) - math.lgamma(fewer + 1) - math.lgamma(trials - fewer + 1) - trials * math.log(2))
    total, k = 0.0, fewer
    while k >= 0 and term > total * 1e-17:
        total += term
        term *= k / (trials - k + 1)
        k -= 1
    return min(1.0, 2 * total)
