"""The rule that turns an interval and what is allowed into a verdict. Everything is oriented: + is better, margins are ≥ 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mlops_toolkit.stats.distributions import normal_tail, t_tail
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.proportions import tango_fails
from mlops_toolkit.stats.spread import reached

Verdict = Literal["pass", "fail", "inconclusive"]
Leaning = Literal["inside", "beyond"]

_ROUNDING = 1e-12  # 0.97 − 0.98 is a hair more than 0.01: an estimate on the margin lies inside


class Decision(NamedTuple):
    """A verdict and, where it is inconclusive, on which side of what is allowed the estimate lies (None: there is no estimate)."""

    verdict: Verdict
    leaning: Leaning | None = None


def decide(change: float | None, low: float | None, high: float | None, margin: float) -> Decision:
    """Against the baseline: pass if low > −margin, fail if high < −margin, else inconclusive.

    low and high are None where no interval may decide. That is never a pass, whatever the change.
    """
    if low is not None and low > -margin:
        return Decision("pass")
    if high is not None and high < -margin:
        return Decision("fail")
    return Decision("inconclusive", _leaning(change, -margin))


def decide_least(value: float | None, low: float | None, high: float | None, least: float) -> Decision:
    """`min`: pass if the whole interval of the head's own value is ≥ least, fail if all of it is below, else inconclusive."""
    if low is not None and low >= least:
        return Decision("pass")
    if high is not None and high < least:
        return Decision("fail")
    return Decision("inconclusive", _leaning(value, least))


def decide_most(value: float | None, low: float | None, high: float | None, most: float) -> Decision:
    """`max`: as `decide_least`, from above."""
    return decide_least(_flip(value), _flip(high), _flip(low), -most)


def _flip(number: float | None) -> float | None:
    return None if number is None else -number


def _leaning(value: float | None, least: float) -> Leaning | None:
    if value is None:
        return None
    return "beyond" if value < least - _ROUNDING * max(abs(value), abs(least)) else "inside"


def p_fail(paired: Paired, margin: float) -> float:
    """One-sided p-value against "at most `margin` worse", by the method of the interval; 1 where no interval may decide.

    It is below (1 − confidence)/2 exactly where the interval lies below −margin.
    """
    if paired.low is None or paired.change is None:
        return 1.0
    if paired.luck is not None:
        return paired.luck.p_beyond(paired.change, margin)
    if paired.trials is not None:
        return tango_fails(paired.better, paired.worse, paired.trials, margin)
    if paired.standard_error is None:
        return 1.0
    t = reached(-(paired.change - paired.bias + margin) - (paired.bound or 0.0), paired.standard_error, paired.steps[1])
    return normal_tail(t) if paired.df is None else t_tail(t, paired.df)


def holm(p_values: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which of several claims stand when the chance that any one of them is false is to stay ≤ alpha (Holm 1979).

    For failing one of many checks alpha is (1 − confidence)/2: a single check then fails exactly where its interval says so.
    """
    stands = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if not p_values[index] < alpha / (len(p_values) - rank):
            break
        stands[index] = True
    return tuple(stands)
