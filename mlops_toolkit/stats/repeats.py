"""Lists of measurements of two models (latencies), compared by their mean or a quantile: measured apart, or in turn.

Apart: two lists of their own. Means by Welch's interval, with the skewness of what was measured (`spread.reach`); quantiles by two
order-statistic intervals (`order`). Each list counts as so many values as its own course says that it is worth.

In turn (A B, B A, A B, …, in the same minutes on the same machine): what slows the machine slows both, so it is the differences of the
rounds that count. Two rounds are a block, in which a steady drift and the order itself cancel. Means by Student's t over the blocks.
Quantiles by the shifts that the rounds do not refute: if the head's list is the baseline's moved by d, then of (head − d) and of the
baseline as many lie below their common quantile, up to the spread over the blocks of that difference of counts.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mlops_toolkit.stats.conclude import Paired, too_few
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Direction
from mlops_toolkit.stats.order import SHORT, Quantile, dependence, fewest, quantile
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, Spread, distance, reach

BLOCK = 2  # rounds: A B and B A


def apart(name: str, baseline: Floats, head: Floats, q: float | None, *, direction: Direction, confidence: float = 0.95) -> Paired:
    """The mean (q None) or q-quantile of two lists (n,), (m,) that were measured independently of each other, each in its own order.

    n of the result is the head's. Reason `too-few` where a quantile has not values enough, with how many it needs; a difference
    without any spread has no interval either, and no reason.
    """
    return (
        _means_apart(name, baseline, head, direction, confidence)
        if q is None
        else _quantiles_apart(name, baseline, head, q, direction, confidence)
    )


def in_turn(
    name: str, baseline: Floats, head: Floats, q: float | None, *, each: int = 1, direction: Direction, confidence: float = 0.95
) -> Paired:
    """The mean (q None) or q-quantile of two lists of which values k·each … k·each + each − 1 of both are of round k.

    Reason `too-few` below 10 blocks of two rounds, or where a quantile has not values enough.
    """
    rounds = len(head) // each
    blocks = rounds // BLOCK
    n = blocks * BLOCK * each
    made = _values(name, baseline[:n], head[:n], q, direction) if blocks else _values(name, baseline, head, q, direction)
    if blocks < FEWEST_ACTIVE:
        return too_few(
            made, f"{rounds} rounds are too few for an interval (at least {FEWEST_ACTIVE * BLOCK})", least=FEWEST_ACTIVE * BLOCK * each
        )
    if q is not None and n < fewest(q, confidence):
        return too_few(made, f"p{q * 100:g} needs at least {fewest(q, confidence)} values, and there are {n}", least=fewest(q, confidence))
    low, high, error, df = (
        _mean_in_turn(baseline[:n], head[:n], blocks, confidence) if q is None else _shifts(baseline[:n], head[:n], q, blocks, confidence)
    )
    return _oriented(made, low, high, error, df, "in-turn")


PAUSE = 0.95  # a pause once in twenty: what a list is to have met before its mean is said to stay below anything


def alone(name: str, values: Floats, q: float | None, *, each: int = 1, confidence: float = 0.95, pauses: bool = False) -> Paired:
    """One list's own value and interval, as `head_low` and `head_high`.

    pauses: now and then a value may be many times the others (a latency). Then a list that may well have met none says nothing of how
    large the mean is at most: with fewer values than the 95th percentile needs there is no upper end, and `head_message` says so.
    """
    one, low, high = _own(values, q, each, confidence)
    needed = None if q is None or low is not None else quantile(values, q, confidence=confidence, rounds=each)
    made = Paired(name, len(values), None, one, head_low=low, head_high=high)
    if q is None and pauses and low is not None:
        worth, least = int(len(values) / dependence(values, each) + 1e-9), fewest(PAUSE, confidence)
        if worth < least:
            made = replace(
                made,
                head_high=None,
                head_message=_unmet(worth, least, len(values)),
                head_least=math.ceil(least * len(values) / max(worth, 1)),
            )
    return too_few(made, _short(q or 0.5, needed, len(values)), least=_values_needed(needed, len(values))) if needed else made


def _unmet(worth: int, least: int, n: int) -> str:
    have = f"{n:,} measurements" if worth >= n else f"{n:,} measurements, worth about {worth:,} independent ones,"
    return f"{have} may have missed a pause that comes once in twenty, and a pause can be of any length; the mean needs at least {least:,}"


def _own(values: Floats, q: float | None, each: int, confidence: float) -> tuple[float, float | None, float | None]:
    if q is not None:
        found = quantile(values, q, confidence=confidence, rounds=each)
        return found.value, found.low, found.high
    mean = _mean(values)
    if len(values) < 2:
        return mean, None, None
    size = _size(values)
    spread = Spread.of((values - mean) / size / len(values))
    if spread.flat(mean / size):
        return mean, mean, mean
    assert spread.error is not None  # noqa: S101  # there are two values
    inflation = math.sqrt(dependence(values, each))
    error = spread.error * inflation * size
    if (
        len(values) < SHORT
    ):  # the long end of a skewed distribution is seldom in so few: without its room up to a fifth of `max` would pass wrongly
        t = critical(confidence, len(values) - 1)
        down, up = (distance(t, error, step * inflation * size) for step in spread.steps)
        return mean, mean - down, mean + up
    down, up = reach(confidence, spread.df, spread.skew)
    return mean, mean - down * error, mean + up * error


def _mean(values: Floats) -> float:
    return math.fsum(values) / len(values)


def _size(*lists: Floats) -> float:
    """Of which values are a share, so that no power of them over- or underflows."""
    return max(float(np.abs(values).max()) for values in lists) or 1.0


def _values(name: str, baseline: Floats, head: Floats, q: float | None, direction: Direction) -> Paired:
    old, new = ((_mean(v) if q is None else float(np.quantile(v, q))) for v in (baseline, head))
    sign = 1.0 if direction == "higher" else -1.0
    return Paired(name, len(head), old, new, change=sign * (new - old) + 0.0)


def _oriented(made: Paired, low: float, high: float, error: float | None, df: int, method: str) -> Paired:
    """The Paired with an interval of head − baseline."""
    assert made.baseline is not None and made.head is not None  # noqa: S101, PT018  # both have values
    turned = (made.change or 0.0) != made.head - made.baseline
    down, up = (-high, -low) if turned else (low, high)
    return Paired(
        made.metric, made.n, made.baseline, made.head, made.change, down + 0.0, up + 0.0, standard_error=error, method=method, df=df
    )


def _means_apart(name: str, baseline: Floats, head: Floats, direction: Direction, confidence: float) -> Paired:
    """Welch's interval; each side's variance is as much larger as its values depend on each other. Skew: of the difference."""
    made, size = _values(name, baseline, head, None, direction), _size(baseline, head)
    parts = []
    for values, sign in ((head, 1.0), (baseline, -1.0)):
        centred = (values - _mean(values)) / size
        worth = len(values) / dependence(values)
        variance = float((centred * centred).sum()) / (len(values) - 1) / worth
        third = sign * float((centred**3).mean()) / worth**2
        parts.append((variance, third, max(1.0, worth - 1)))
    total = math.fsum(variance for variance, _, _ in parts)
    if total <= 0:
        return made
    df = max(1, math.floor(total**2 / math.fsum(v * v / f for v, _, f in parts)))
    # A short list may have missed what the longer one saw, like a pause once in fifty requests: then the spread of both together counts.
    degrees = math.fsum(f for _, _, f in parts)
    together = math.fsum(v * (f + 1) * f for v, _, f in parts) / degrees
    error = math.sqrt(max(total, together * math.fsum(1 / (f + 1) for _, _, f in parts)))
    skew = math.fsum(third for _, third, _ in parts) / total**1.5 if min(len(baseline), len(head)) >= FEWEST_ACTIVE else 0.0
    down, up = reach(confidence, df, skew)
    assert made.baseline is not None and made.head is not None  # noqa: S101, PT018  # both have values
    moved = made.head - made.baseline
    return _oriented(made, moved - down * error * size, moved + up * error * size, error * size, df, "welch")


def _quantiles_apart(name: str, baseline: Floats, head: Floats, q: float, direction: Direction, confidence: float) -> Paired:
    made = _values(name, baseline, head, q, direction)
    old, new = (quantile(values, q, confidence=confidence) for values in (baseline, head))
    for which, found, values in (("this run's", new, head), ("the baseline's", old, baseline)):
        if found.low is None:
            return too_few(made, f"{which} {_short(q, found, len(values))}", least=_values_needed(found, len(values)))
    assert None not in (old.low, old.high, new.low, new.high)  # noqa: S101  # the loop has looked
    moved = new.value - old.value
    low = moved - math.hypot(new.value - new.low, old.high - old.value)  # type: ignore[operator]
    high = moved + math.hypot(new.high - new.value, old.value - old.low)  # type: ignore[operator]
    error = (high - low) / (2 * critical(confidence))
    return _oriented(made, low, high, error or None, max(1, min(old.units, new.units) - 1), "order")


def _short(q: float, found: Quantile, n: int) -> str:
    """Why a list has no interval of its quantile."""
    have = f"there are {n:,}" if found.units >= n else f"{n:,}, one after the other, are worth about {found.units:,}"
    return f"p{q * 100:g} needs at least {found.least:,} independent values, and {have}"


def _values_needed(found: Quantile, n: int) -> int:
    """How long a list must be that is to be worth what a quantile needs."""
    return math.ceil(found.least * n / max(found.units, 1))


def _mean_in_turn(baseline: Floats, head: Floats, blocks: int, confidence: float) -> tuple[float, float, float | None, int]:
    size = _size(baseline, head)
    by_block = ((head - baseline) / size).reshape(blocks, -1).mean(axis=1)
    mean = _mean(by_block)
    spread = Spread.of((by_block - mean) / blocks)
    if spread.flat(1.0) or spread.error is None:
        return mean * size, mean * size, None, blocks - 1
    error = spread.error * math.sqrt(dependence(by_block))
    down, up = reach(confidence, spread.df, spread.skew)
    return (mean - down * error) * size, (mean + up * error) * size, error * size, spread.df


def _shifts(baseline: Floats, head: Floats, q: float, blocks: int, confidence: float) -> tuple[float, float, float | None, int]:
    """The ends of the shifts of the head's list that are not refuted."""
    start = float(np.quantile(head, q) - np.quantile(baseline, q))
    far = float(max(head.max(), baseline.max()) - min(head.min(), baseline.min())) + 1e-9 * _size(baseline, head)

    def refuted(shift: float) -> bool:
        moved = head - shift
        common = np.quantile(np.concatenate([baseline, moved]), q)
        counts = ((moved <= common).astype(np.float64) - (baseline <= common)).reshape(blocks, -1).sum(axis=1)
        total, spread = float(counts.sum()), float(counts.std(ddof=1)) * math.sqrt(blocks)
        active = int(np.count_nonzero(counts))
        if active < FEWEST_ACTIVE // 2:
            return False
        return abs(total) > critical(confidence, max(1, min(blocks, active) - 1)) * spread * math.sqrt(dependence(counts))

    ends = []
    for sign in (-1.0, 1.0):
        inside, outside = start, start + sign * far
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refuted(middle) else (middle, outside)
        ends.append(outside)
    return ends[0], ends[1], (ends[1] - ends[0]) / (2 * critical(confidence)) or None, max(1, blocks - 1)
