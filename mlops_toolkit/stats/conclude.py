"""From what a difference consists of to the interval that decides, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from mlops_toolkit.stats.distributions import critical, sign_test
from mlops_toolkit.stats.luck import Luck, Part
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import tango, wilson
from mlops_toolkit.stats.single import least_certain, own_interval
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, distance, guarded
from mlops_toolkit.stats.unseen import units

TOO_LARGE = "the differences are too large to compute with: there is no interval"


@dataclass(frozen=True)
class Paired:
    """A metric on two models, same rows.

    change, low, high   oriented (+ is better), in the metric's unit; low/high None where no interval may decide (then `reason`)
    method              tango | influence | clusters | bounded (too few contribute for the others, but each can only do so much: then zero
                        broken rows have an interval too, as with Tango's)
    reason              too-few (examples of a class, contributing rows or clusters), or the state of an undefined side; None if the interval may decide; `message` says it in a sentence, with the counts
    standard_error      of the change
    disagree/better/worse  rows on which the two models differ in a way that the metric sees; of them better and worse on the head
    head_low/head_high  interval of the head's own value, for min and max; one end alone where nothing is known of the other, then
                        head_message says why, head_least how many measurements would tell of it
    baseline_state/head_state  as Measured.state
    trials              where the method is tango: the rows that count (all, or those of one class)
    df, steps           otherwise: of the interval (see `spread`), df at most the contributing rows (clusters) − 1; None where it is normal;
                        how long the steps down and up are that what lies beyond its ends is made of
    bias                how much the change is too good on average, by which the interval is moved
    support             the fewest examples of a class that the metric depends on, of both sides
    bound               where scores were counted in bins and not sorted: by how much the change can be off; the interval has room for it
    luck                what the interval is made of where the luck of training counts (`seeds`); else None
    own_luck            the same parts of the head's own interval
    least               where a list has too few values for an interval: how many it needs
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
    head_message: str | None = None
    head_least: int | None = None
    baseline_state: str = "ok"
    head_state: str = "ok"
    trials: int | None = None
    df: int | None = None
    steps: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0
    support: int | None = None
    p_same: float | None = None
    bound: float | None = None
    luck: Luck | None = None
    own_luck: tuple[Part, ...] = ()
    least: int | None = None

    def turned(self) -> Paired:
        """The same with gains as losses: what shows a loss of more than a margin in it shows a gain of more than that."""
        return replace(
            self,
            change=None if self.change is None else -self.change,
            low=None if self.high is None else -self.high,
            high=None if self.low is None else -self.low,
            better=self.worse,
            worse=self.better,
            steps=(self.steps[1], self.steps[0]),
            bias=-self.bias,
            luck=None if self.luck is None else self.luck.turned(),
        )


@dataclass(frozen=True)
class Share:
    """A metric that is a share of rows: how many count, got better and worse (in the metric's direction), and make up the head's value."""

    trials: int
    better: int
    worse: int
    of_head: int


Longest = Callable[[float], tuple[float, float] | None]  # units -> the mean of so many of the longest steps, down and up


def endless(units: float) -> None:
    """The longest steps of a metric that has none."""


@dataclass(frozen=True)
class Parts:
    """The spread of the oriented differences of influence, and of the head's own influence.

    longest, own_longest   the longest steps of the change (oriented) and of the head's own value (not; None: as of the change), where the
                           metric is bounded
    guard                  whether steps may hide that are much longer than those that differ here (a metric of scores; those without
                           bounds are guarded anyway)
    bias                   of the change, oriented
    """

    clustered: bool
    difference: Spread
    own: Spread
    share: Share | None
    longest: Longest = endless
    own_longest: Longest | None = None
    guard: bool = False
    bias: float = 0.0


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


def too_few(made: Paired, message: str, *, least: int | None = None) -> Paired:
    """Both values and the change, without an interval, for which there is too little: `message` says what, with the counts."""
    return Paired(
        made.metric,
        made.n,
        made.baseline,
        made.head,
        made.change,
        reason="too-few",
        message=message,
        head_low=made.head_low,
        head_high=made.head_high,
        least=least,
    )


def of_head(
    metric: Metric,
    n: int,
    value: Measured,
    own: tuple[float, float] | None,
    error: float | None,
    trials: int | None = None,
    clusters: int | None = None,
) -> Paired:
    """A head's value, its interval and standard error, where there is nothing to compare it with."""
    return Paired(
        metric=metric.name,
        n=n,
        baseline=None,
        head=value.value,
        reason=None if value.value is not None else value.state,
        message=None if value.value is not None else f"{metric.name} is undefined: {value.state.replace('-', ' ')}",
        head_low=own[0] if own else None,
        head_high=own[1] if own else None,
        head_state=value.state,
        support=value.support,
        standard_error=error,
        trials=trials,
        clusters=clusters,
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
    own = own_interval(
        metric, head, parts.own, clustered=parts.clustered, confidence=confidence, longest=parts.own_longest or parts.longest
    )
    plain = replace(
        plain,
        method="clusters" if parts.clustered else "influence",
        head_low=own[0] if own else None,
        head_high=own[1] if own else None,
        df=least_certain(parts.difference, baseline.df, head.df),
        steps=parts.difference.steps,
        bias=parts.bias,
    )
    message = _too_few(plain, parts, baseline.rare if plain.support == baseline.support else head.rare)
    if message is None and metric.order is not None:
        return _ends(_crossed(plain, parts), confidence)
    if message is None and (parts.guard or None in metric.bounds):
        return _ends(_guarded(plain, parts, confidence), confidence)
    if message is None:
        return _ends(plain, confidence)
    bounded = _bounded(plain, parts, confidence)
    if bounded is not None:
        return _within(metric, _ends(bounded, confidence))
    error = plain.standard_error if plain.standard_error is not None and math.isfinite(plain.standard_error) else None
    return replace(plain, reason="too-few", message=message, standard_error=error)


def _ends(plain: Paired, confidence: float) -> Paired:
    """With the interval of what is known by now."""
    if plain.change is None or plain.standard_error is None:
        raise ValueError("an interval needs a change and its standard error")
    t, centre = critical(confidence, plain.df), plain.change - plain.bias
    down, up = (distance(t, plain.standard_error, step) for step in plain.steps)
    if not math.isfinite(down + up):
        return replace(plain, reason="too-few", message=TOO_LARGE, standard_error=None, steps=(0.0, 0.0))
    return replace(plain, low=centre - down, high=centre + up)


def _within(metric: Metric, found: Paired) -> Paired:
    """No further out than the metric's bounds lie apart."""
    least, most = metric.bounds
    if least is None or most is None or found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, least - most), high=min(found.high, most - least))


def _guarded(plain: Paired, parts: Parts, confidence: float) -> Paired:
    """Against rare steps that none of those that differ has shown (see `spread.guarded`).

    The longest is what a score can do; of a metric without bounds the largest pull that any example has on the head's own value: how long
    the tail of errors is shows in all examples, also where few of them differ. There the hidden step comes on top of what was seen: a tail
    that has shown steps to one side has longer ones.
    """
    longest, error = parts.longest(units(confidence, parts.difference.active)), plain.standard_error or 0.0
    if longest is not None:
        return replace(plain, steps=guarded(parts.difference.skewed, error, longest))
    hidden = guarded((0.0, 0.0), error, (parts.own.longest,) * 2)
    return replace(plain, steps=(plain.steps[0] + hidden[0], plain.steps[1] + hidden[1]))


def _crossed(plain: Paired, parts: Parts) -> Paired:
    """Of a quantile: it moves by the examples that cross it, each by the whole of the jump that the influence makes there.

    That length is known. Where but a few crossed it comes on top of what was seen, the less, the more the standard error says that many
    did; and no step is taken to be shorter than half of it: as many may have crossed one way as the other, and then none shows.
    """
    jump, error = parts.own.range, plain.standard_error or 0.0
    if not jump > 0:
        return plain
    hidden = jump / (1 + error / jump * (error / jump))
    down, up = (max(step, jump / 2) + hidden for step in plain.steps)
    return replace(plain, steps=(down, up))


def _bounded(plain: Paired, parts: Parts, confidence: float) -> Paired | None:
    """Where too few differ to tell how those do that might: by the longest step. None where there is none, or there are too few clusters."""
    if plain.standard_error is None or not math.isfinite(plain.standard_error):
        return None
    if plain.clusters is not None and plain.clusters < FEWEST_CLUSTERS:
        return None
    longest = parts.longest(units(confidence, parts.difference.active))
    if longest is None or min(longest) <= 0:
        return None
    return replace(plain, method="bounded", df=None if plain.clusters is None else plain.clusters - 1, steps=longest)


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
    what = "clusters" if parts.clustered else "examples"
    if active < FEWEST_ACTIVE:
        return f"too few {what} on which the two models differ in {plain.metric}: {active}, and an interval needs {FEWEST_ACTIVE}"
    if plain.standard_error is None or not math.isfinite(plain.standard_error):
        return TOO_LARGE
    if parts.difference.flat(max(abs(plain.baseline or 0.0), abs(plain.head or 0.0))):
        return "every example changed by the same amount: there is no spread to make an interval of"
    return None
