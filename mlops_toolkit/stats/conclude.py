"""From what a difference consists of to the interval that decides, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mlops_toolkit.stats.distributions import sign_test
from mlops_toolkit.stats.luck import Luck
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import tango, wilson
from mlops_toolkit.stats.single import own_interval
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, reach


@dataclass(frozen=True)
class Paired:
    """A metric on two models, same rows.

    change, low, high   oriented (+ is better), in the metric's unit; low/high None where no interval may decide (then `reason`)
    method              tango | influence | clusters (the change is exactly 0 because all rows agree is no exception: zero broken
                        rows still have an interval, and metrics other than Tango's have none then)
    reason              too-few (examples of a class, contributing rows or clusters), or the state of an undefined side; None if the
                        interval may decide; `message` says it in a sentence, with the counts
    standard_error      of the change
    disagree/better/worse  rows on which the two models differ in a way that the metric sees; of them better and worse on the head
    head_low/head_high  interval of the head's own value, for min and max
    baseline_state/head_state  as Measured.state
    trials              where the method is tango: the rows that count (all, or those of one class)
    df, skew            otherwise: of the interval (see `spread`), df at most the contributing rows (clusters) − 1
    support             the fewest examples of a class that the metric depends on, of both sides
    bound               where scores were counted in bins and not sorted: by how much the change can be off; the interval has room for it
    luck                what the interval is made of where the luck of training counts (`seeds`); else None
    p_same              exact two-sided p (McNemar) that better and worse are equally likely; shown, never decides
    """

    metric: str
    n: int
    baseline: float | None
    head: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    method: str | None = None
    reason: str | None = None
    message: str | None = None
    clusters: int | None = None
    disagree: int = 0
    better: int = 0
    worse: int = 0
    head_low: float | None = None
    head_high: float | None = None
    baseline_state: str = "ok"
    head_state: str = "ok"
    trials: int | None = None
    df: int | None = None
    skew: float = 0.0
    support: int | None = None
    p_same: float | None = None
    bound: float | None = None
    luck: Luck | None = None


@dataclass(frozen=True)
class Share:
    """A metric that is a share of rows: how many count, got better and worse (in the metric's direction), and make up the head's value."""

    trials: int
    better: int
    worse: int
    of_head: int


@dataclass(frozen=True)
class Parts:
    """The spread of the oriented differences of influence, and of the head's own influence."""

    clustered: bool
    difference: Spread
    own: Spread
    share: Share | None


def undefined(metric: Metric, n: int, baseline: Measured, head: Measured) -> Paired:
    side, state = ("baseline", baseline.state) if baseline.value is None else ("head", head.state)
    return Paired(
        metric=metric.name,
        n=n,
        baseline=baseline.value,
        head=head.value,
        reason=state,
        message=f"{metric.name} is undefined on the {side}: {state.replace('-', ' ')}",
        baseline_state=baseline.state,
        head_state=head.state,
    )


def conclude(metric: Metric, n: int, baseline: Measured, head: Measured, parts: Parts, moved: tuple[int, int], confidence: float) -> Paired:
    """The change, and its interval where one may decide. Both values are known to be defined."""
    before, after = baseline.value or 0.0, head.value or 0.0
    better, worse = moved
    change = (after - before) * (1 if metric.direction == "higher" else -1) + 0.0
    if not math.isfinite(change):
        return undefined(metric, n, replace(baseline, value=None, state="not-finite"), head)
    plain = Paired(
        metric=metric.name,
        n=n,
        baseline=before,
        head=after,
        change=change,
        standard_error=parts.difference.error,
        clusters=parts.difference.units if parts.clustered else None,
        disagree=better + worse,
        better=better,
        worse=worse,
        baseline_state=baseline.state,
        head_state=head.state,
        support=min((side.support for side in (baseline, head) if side.support is not None), default=None),
        p_same=sign_test(better, worse),
    )
    if parts.share:
        return _by_tango(plain, parts.share, confidence)
    own = own_interval(metric, head, parts.own, clustered=parts.clustered, confidence=confidence)
    plain = replace(
        plain,
        method="clusters" if parts.clustered else "influence",
        head_low=own[0] if own else None,
        head_high=own[1] if own else None,
        df=parts.difference.df,
        skew=parts.difference.skew,
    )
    message = _too_few(plain, parts, baseline.rare if plain.support == baseline.support else head.rare)
    if message or plain.standard_error is None:
        error = plain.standard_error if plain.standard_error is not None and math.isfinite(plain.standard_error) else None
        return replace(plain, reason="too-few", message=message, standard_error=error)
    down, up = reach(confidence, parts.difference.df, parts.difference.skew)
    return replace(plain, low=change - down * plain.standard_error, high=change + up * plain.standard_error)


def _by_tango(plain: Paired, share: Share, confidence: float) -> Paired:
    low, high = tango(share.better, share.worse, share.trials, confidence)
    head_low, head_high = wilson(share.of_head, share.trials, confidence)
    change = (share.better - share.worse) / share.trials  # exact, where the difference of two quotients is rounded
    return replace(plain, change=change, low=low, high=high, method="tango", trials=share.trials, head_low=head_low, head_high=head_high)


def _too_few(plain: Paired, parts: Parts, rare: str | None) -> str | None:
    """Why the interval may not decide, with the counts; None where it may."""
    active = parts.difference.active
    if plain.clusters is not None and plain.clusters < FEWEST_CLUSTERS:
        return f"too few clusters: {plain.clusters}, and an interval needs {FEWEST_CLUSTERS}"
    if plain.support is not None and plain.support < FEWEST_EXAMPLES:
        return f"too few {rare or 'examples of the rarest class'}: {plain.support}, and an interval needs {FEWEST_EXAMPLES}"
    if active < FEWEST_ACTIVE:
        what = "clusters" if parts.clustered else "examples"
        return f"too few {what} on which the two models differ in {plain.metric}: {active}, and an interval needs {FEWEST_ACTIVE}"
    if plain.standard_error is not None and not math.isfinite(plain.standard_error):
        return "the differences are too large to compute with: there is no interval"
    if parts.difference.flat(max(abs(plain.baseline or 0.0), abs(plain.head or 0.0))):
        return "every example changed by the same amount: there is no spread to make an interval of"
    return None
