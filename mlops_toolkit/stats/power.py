"""What a test set can decide: how many examples a margin needs, which margin so many examples allow, what to propose first.

All of it supposes that the change is harmless (a true difference of 0) and that the two models go on disagreeing as often
as they do here. A margin m is then shown kept with probability `power` when m ≥ (z + z_power)·(standard error).
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mlops_toolkit.records.result import Needs
from mlops_toolkit.stats.distributions import critical, normal_quantile
from mlops_toolkit.stats.luck import Luck, wider
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
_ENDLESS = 10**12  # examples


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
    return Needs(n=_examples(paired, margin, power, confidence), margin=_decidable(paired, power, confidence))


def _needs_with_luck(paired: Paired, luck: Luck, margin: float, power: float, confidence: float) -> Needs:
    """More examples make the test part small, and leave the luck of training as it is: n is None where that alone is too much."""
    if paired.low is None:
        return Needs()
    down = luck.of_test(confidence)[0] * (1 + normal_quantile(power) / critical(confidence))
    trained = wider(0.0, luck.parts, confidence)
    general = math.hypot(down, trained)
    left = margin * margin - trained * trained
    n = _round_up(paired.n * down * down / left) if left > 0 else None
    return Needs(n=n, margin=readable(max(general, -paired.low * (1 + 1e-6))))


def _examples(paired: Paired, margin: float, power: float, confidence: float) -> int | None:
    if margin <= 0 or paired.n == 0:
        return None
    if paired.trials is not None:
        share = (paired.disagree + UNSEEN) / paired.trials
        return _round_up(_trials(share, margin, power, confidence) * paired.n / paired.trials)
    if paired.standard_error is None:
        return None
    times = _times(paired, paired.steps[0], margin, power, confidence)
    if times is None:
        return None
    for have, least in ((paired.support, FEWEST_EXAMPLES), (paired.disagree, FEWEST_ACTIVE), (paired.clusters, FEWEST_CLUSTERS)):
        if have is not None and have < least and paired.low is None:
            times = max(times, least / max(have, 1))
    return _round_up(times * paired.n)


def _times(paired: Paired, step: float, room: float, power: float, confidence: float) -> float | None:
    """How many times as many examples reach no further than `room`: errors shrink with the root of their number, steps with the number."""
    error, z = paired.standard_error or 0.0, normal_quantile(power)
    if error <= 0 and step <= 0:
        return None

    def reaches(times: float) -> float:
        df = None if paired.df is None else max(1, int(min(paired.df * times, 1e9)))
        return distance(critical(confidence, df), error / math.sqrt(times), step / times) + z * error / math.sqrt(times)

    few, many = 0.0, 1e-6
    while reaches(many) > room and many < _ENDLESS:
        few, many = many, 2 * many
    for _ in range(50):
        middle = (few + many) / 2
        few, many = (middle, many) if reaches(middle) > room else (few, middle)
    return many


def needs_gain(paired: Paired, gain: float, *, power: float = POWER, confidence: float = 0.95) -> Needs:
    """What would show an improvement of more than `gain`, supposing that the change truly is what it is here; nothing where that is less.

    margin is the improvement that these examples could show.
    """
    change = paired.change
    if change is None or paired.n == 0:
        return Needs()
    could = None if paired.low is None or paired.low <= 0 else _floored(paired.low)
    room = change - gain
    if room <= 0:
        return Needs(margin=could)
    if paired.trials is None:
        times = _times(paired, paired.steps[0], room, power, confidence) if paired.standard_error is not None else None
    else:
        times = _times_of_trials(paired, room, power, confidence)
    return Needs(n=None if times is None else _round_up(times * paired.n), margin=could)


def _times_of_trials(paired: Paired, room: float, power: float, confidence: float) -> float | None:
    """As `_times` where Tango's interval decides: its lower end is so far from the change, at counts that grow alike."""
    trials, z = paired.trials or 1, normal_quantile(power)

    def reaches(times: float) -> float:
        better, worse, n = (max(1, round(times * x)) for x in (paired.better, paired.worse, trials))
        change = (better - worse) / n
        return (
            change
            - tango(better, worse, max(n, better + worse), confidence)[0]
            + z * math.sqrt((better + worse) / n - change**2) / math.sqrt(n)
        )

    few, many = 0.0, 1 / trials
    while reaches(many) > room and many * trials < _ENDLESS:
        few, many = many, 2 * many
    for _ in range(50):
        middle = (few + many) / 2
        few, many = (middle, many) if reaches(middle) > room else (few, middle)
    return many


def needs_limit(paired: Paired, limit: float, side: str, *, power: float = POWER, confidence: float = 0.95) -> Needs:
    """What would show the head's own value on its side of `limit` (`min` or `max`), supposing that it truly is what it is here.

    The end that looks towards the limit comes nearer with the root of the number of examples; where the value lies on the metric's
    bound (no error at all), with the number itself. Nothing where the value lies on the limit, or has no interval.
    """
    value, low, high = paired.head, paired.head_low, paired.head_high
    if value is None or low is None or high is None or paired.n == 0:
        return Needs()
    beyond = value < limit if side == "min" else value > limit
    looks_down = (side == "min") != beyond  # the lower end must rise to the limit, or the upper one fall to it
    reach, room = (value - low if looks_down else high - value), abs(value - limit)
    if room <= 0 or reach <= 0:
        return Needs()
    perfect = value == (high if looks_down else low)
    ratio = reach / room * (1.0 if perfect else 1 + normal_quantile(power) / critical(confidence))
    return Needs(n=_round_up(paired.n * (ratio if perfect else ratio * ratio)))


def _floored(gain: float) -> float:
    """To a number a person would write, rounded down."""
    exact = Decimal(repr(gain))
    step = Decimal(1).scaleb(exact.adjusted())
    return float((exact / step).to_integral_value(ROUND_FLOOR) * step)


def _trials(share: float, margin: float, power: float, confidence: float) -> int:
    """The fewest rows, of which `share` change, whose harmless changes keep the margin with this power."""
    few, many = 0, 1
    while _harmless_share(share * many, many, power, confidence) > margin and many < _ENDLESS:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if _harmless_share(share * middle, middle, power, confidence) > margin else (few, middle)
    return many


def _round_up(n: float) -> int | None:
    """To three digits; None for more than anybody has."""
    if n > _ENDLESS:
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
