"""What a test set can decide: how many examples a margin needs, which margin so many examples allow, what to propose first.

All of it supposes that the change is harmless (a true difference of 0) and that the two models go on disagreeing as often
as they do here. A margin m is then shown kept with probability `power` when m ≥ (z + z_power)·(standard error).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from mlops_toolkit.records.result import Needs
from mlops_toolkit.stats.distributions import critical, normal_quantile
from mlops_toolkit.stats.luck import Luck, Trained, wider
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.proportions import tango
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import share_of, standard_error
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, distance
from mlops_toolkit.stats.tally import dense, uneven

POWER = 0.8  # of "needs about n examples"
OFTEN = 0.9  # how often a proposed margin lets a harmless change pass
ASSUMED = 0.04 / (0.9 * 0.1)  # of a difference's variance in one value's, where only one model is known: 4 % disagreement at accuracy 0.9
UNSEEN = 1  # rows added to those that differ: no disagreement seen is not none at all
ENDLESS = 10**12  # examples


def needs(paired: Paired, margin: float, *, power: float = POWER, confidence: float = 0.95) -> Needs:
    """What would decide an inconclusive comparison.

    n       so many examples (three digits, rounded up), of which the examples of every class are the same share as here; None where
            nothing here tells the disagreement, the margin is 0, or it would take more than 10¹²
    margin  what these examples can decide: at the given power in general, and on this very comparison (a margin that is smaller than
            what its interval reaches would leave it as it is); None where it has no interval
    """
    if paired.change is None:
        return Needs()
    if paired.luck is not None:
        return _needs_with_luck(paired, paired.luck, margin, power, confidence)
    return counted(paired, _times_needed(paired, margin, power, confidence), margin=_decidable(paired, power, confidence))


def counted(paired: Paired, times: float | None, **more: Any) -> Needs:
    """Needs of so many times as many of what the comparison counts: clusters, where its interval is of those, else examples."""
    if times is None:
        return Needs(**more)
    if paired.clusters is not None and paired.method != "jackknife":  # whose groups are as many, of however many examples
        return Needs(n=round_up(times * paired.clusters), of="clusters", have=paired.clusters, **more)
    return Needs(n=round_up(times * paired.n), **more)


def _needs_with_luck(paired: Paired, luck: Luck, margin: float, power: float, confidence: float) -> Needs:
    """More examples make the test part small and leave the luck of training as it is, more seeds the other way round."""
    if paired.low is None:
        return Needs()
    now = Trained(luck.parts, luck.of_test(confidence)[0])
    reach = now.reach(1.0, now.have, power, confidence)
    decidable = readable(max(reach, -paired.low * (1 + 1e-6)))
    return of_trained(paired, now, margin, power, confidence, margin=decidable)


def of_trained(paired: Paired, now: Trained, room: float, power: float, confidence: float, **more: Any) -> Needs:
    """Needs of what makes an end that the luck of training is in reach no further than `room`: examples, seeds, or both together."""
    found = now.enough(room, power, confidence)
    made = counted(paired, found.times, **more)
    return replace(made, seeds=found.seeds, have_seeds=now.have, together=found.together)


def _times_needed(paired: Paired, margin: float, power: float, confidence: float) -> float | None:
    if margin <= 0 or paired.n == 0:
        return None
    if paired.trials is not None:
        share = (paired.disagree + UNSEEN) / paired.trials
        return _trials(share, margin, power, confidence) / paired.trials
    if paired.standard_error is None:
        return None
    return enough_for_any(paired, times_of(paired, paired.steps[0], margin, power, confidence))


def enough_for_any(paired: Paired, times: float | None) -> float | None:
    """No fewer than an interval needs at all, where there is none yet."""
    if paired.low is not None:
        return times
    known = ((paired.support, FEWEST_EXAMPLES), (paired.disagree, FEWEST_ACTIVE), (paired.clusters, FEWEST_CLUSTERS))
    short = [least / max(have, 1) for have, least in known if have is not None and have < least]
    return max([*short, *([] if times is None else [times])], default=None)


def times_of(paired: Paired, step: float, room: float, power: float, confidence: float) -> float | None:
    """How many times as many examples reach no further than `room`: errors shrink with the root of their number, steps with the number."""
    error, z = paired.standard_error or 0.0, normal_quantile(power)
    if error <= 0 and step <= 0:
        return None

    def reaches(times: float) -> float:
        grown = 1.0 if paired.method == "jackknife" else times
        df = None if paired.df is None else max(1, int(min(paired.df * grown, 1e9)))
        return distance(critical(confidence, df), error / math.sqrt(times), step / times) + z * error / math.sqrt(times)

    return least_times(lambda times: reaches(times) <= room, 1e-6, ENDLESS)


def least_times(enough: Callable[[float], bool], start: float, most: float) -> float:
    """From how many times as many on it is enough, looked for from `start` upwards; more than `most` where no number up to there is."""
    few, many = 0.0, start
    while not enough(many) and many < most:
        few, many = many, 2 * many
    for _ in range(50):
        middle = (few + many) / 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def fewest(enough: Callable[[int], bool]) -> int:
    """The least number from which on it is enough; more than `ENDLESS` where no number up to there is."""
    few, many = 0, 1
    while not enough(many) and many < ENDLESS:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def _trials(share: float, margin: float, power: float, confidence: float) -> int:
    """The fewest rows, of which `share` change, whose harmless changes keep the margin with this power."""
    return fewest(lambda n: _harmless_share(share * n, n, power, confidence) <= margin)


def round_up(n: float) -> int | None:
    """To three digits; None for more than anybody has."""
    if n > ENDLESS:
        return None
    step = 10.0 ** max(0, math.floor(math.log10(max(n, 1))) - 2)
    return math.ceil(n / step - 1e-9) * int(step)


def _decidable(paired: Paired, power: float, confidence: float) -> float | None:
    if paired.low is None:
        return None
    general = _harmless(paired, power, confidence)
    return None if general is None else readable(max(general, -paired.low * (1 + 1e-6)))  # a low end on the margin itself would not pass


def _harmless(paired: Paired, often: float, confidence: float) -> float | None:
    """The smallest margin that a harmless change passes so often on these examples."""
    if paired.luck is not None:
        down = paired.luck.of_test(confidence)[0] * (1 + normal_quantile(often) / critical(confidence))
        return None if paired.low is None else wider(down, paired.luck.parts, confidence)
    if paired.trials is not None:
        return _harmless_share(paired.disagree + UNSEEN, paired.trials, often, confidence)
    if paired.standard_error is None or paired.low is None:
        return None
    error = paired.standard_error
    return distance(critical(confidence, paired.df), error, paired.steps[0]) + normal_quantile(often) * error or None


def _harmless_share(disagree: float, trials: int, often: float, confidence: float) -> float:
    """For a share of rows: minus the lower end of Tango's interval at the worst counts that are still met `often`."""
    excess = normal_quantile(often) * math.sqrt(disagree)
    worse = (disagree + excess) / 2 + 0.5
    return -tango(max(0.0, disagree - worse), min(worse, trials), trials, confidence)[0]


def suggest_margin(paired: Paired, *, often: float = OFTEN, confidence: float = 0.95) -> float | None:
    """The smallest readable margin that a harmless change passes nine times in ten on these examples, at the disagreement seen.

    Of a share of rows that differs on fewer than 10 it tells little how much the next model will differ (these two may be the same one
    twice): then it is at least the margin of `proposal`. None where the comparison has no interval (too few examples): no margin helps.
    """
    margin = _harmless(paired, often, confidence)
    if margin is None:
        return None
    if paired.trials is not None and paired.disagree < FEWEST_ACTIVE:
        margin = max(margin, _assumed_share(paired.head or 0.0, paired.trials, often, confidence))
    return readable(margin)


def _assumed_share(rate: float, trials: int, often: float, confidence: float) -> float:
    """Of a share of rows of which one model gets `rate` right."""
    rate = (rate * trials + UNSEEN) / (trials + 2 * UNSEEN)
    return _harmless_share(ASSUMED * rate * (1 - rate) * trials, trials, often, confidence)


def proposal(metric: Metric, sample: Sample, *, often: float = OFTEN, confidence: float = 0.95) -> float | None:
    """The margin to propose where only one model is known (first runs, `mlops init`), as `suggest_margin`.

    What the next model will change is not known; assumed is that a difference varies 4/9 as much as the value itself, which for
    accuracy 0.9 is 4 % of the examples changing between right and wrong (for 0.99: 0.4 %).
    """
    measured = metric.measure(sample)
    share = share_of(metric, sample) if uneven(sample.weight) is None and dense(sample.cluster) is None else None
    error = None if share is not None else standard_error(measured, sample.cluster)
    one = Paired(metric.name, sample.n, None, measured.value, support=measured.support, standard_error=error)
    if share is not None and measured.value is not None:
        one = replace(one, head=share[0] / max(share[1], 1), trials=share[1])
    return proposal_of(metric, one, often=often, confidence=confidence)


def proposal_of(metric: Metric, one: Paired, *, often: float = OFTEN, confidence: float = 0.95) -> float | None:
    """`proposal`, of a model's own value with its support and standard error. one.trials: the rows of which the value is a share, if it is."""
    if one.head is None or (one.support is not None and one.support < FEWEST_EXAMPLES and not metric.rowwise):
        return None
    if one.trials is not None:
        return readable(_assumed_share(one.head, one.trials, often, confidence)) if one.trials else None
    if not one.standard_error:
        return None
    return readable((critical(confidence) + normal_quantile(often)) * one.standard_error * math.sqrt(ASSUMED))


def readable(margin: float) -> float:
    """Rounded up to a number a person would write: one digit below 0.01 (0.7 pp), steps of 0.005 below 0.1 (1.5 pp), two digits above."""
    if margin <= 0:
        return 0.0
    exact = Decimal(repr(margin * (1 - 1e-9)))
    decade = Decimal(1).scaleb(exact.adjusted())
    step = decade if exact.adjusted() <= -3 else decade / 2 if exact.adjusted() == -2 else decade / 10
    return float((exact / step).to_integral_value(ROUND_CEILING) * step)
