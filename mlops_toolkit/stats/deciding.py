"""What would decide a comparison if what was seen is the truth: how many examples would show it, where `power` supposes a harmless change.

All ends come nearer with the root of the number of examples, the steps that a longer tail is made of with the number itself (see `spread`).
Supposed is that the next examples show what these do: the same value or change, with the same spread.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from mlops_toolkit.records.result import Needs
from mlops_toolkit.stats.distributions import critical, normal_quantile
from mlops_toolkit.stats.luck import Trained, wider
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.power import ENDLESS, POWER, counted, enough_for_any, fewest, least_times, of_trained, times_of
from mlops_toolkit.stats.proportions import tango, wilson
from mlops_toolkit.stats.spread import FEWEST_CLUSTERS, FEWEST_EXAMPLES


def of_change(paired: Paired, asked: float, *, power: float = POWER, confidence: float = 0.95) -> Needs:
    """What would show the change on its side of `asked` (−margin, or the improvement asked for), oriented; nothing where it lies on it."""
    if paired.change is None or paired.change == asked:
        return Needs()
    return _beyond(paired, asked, power, confidence) if paired.change > asked else _beyond(paired.turned(), -asked, power, confidence)


def _beyond(paired: Paired, asked: float, power: float, confidence: float) -> Needs:
    """What would bring the lower end above `asked`, where the change lies above."""
    room = (paired.change or 0.0) - asked
    if paired.n == 0 or room <= 0:
        return Needs()
    if paired.luck is not None:
        now = Trained(paired.luck.parts, paired.luck.of_test(confidence)[0])
        return of_trained(paired, now, room, power, confidence, as_seen=True)
    if paired.trials is not None:
        times: float | None = _times_of_trials(paired, room, power, confidence)
    elif paired.standard_error is None:
        times = None
    else:
        times = times_of(paired, paired.steps[0], room, power, confidence)
    return counted(paired, enough_for_any(paired, times), as_seen=True)


def _times_of_trials(paired: Paired, room: float, power: float, confidence: float) -> float:
    """As `times_of` where Tango's interval decides: its lower end is so far from the change, at counts that grow alike."""
    trials, z = paired.trials or 1, normal_quantile(power)

    def reaches(times: float) -> float:
        better, worse, n = times * paired.better, times * paired.worse, times * trials
        change = (better - worse) / n
        error = math.sqrt(max(0.0, (better + worse) / n - change**2) / n)
        return change - tango(better, worse, n, confidence)[0] + z * error

    return least_times(lambda times: reaches(times) <= room, 1 / trials, ENDLESS / trials)


def of_limit(paired: Paired, limit: float, side: Literal["min", "max"], *, power: float = POWER, confidence: float = 0.95) -> Needs:
    """What would show the head's own value on its side of `limit`, and the limit that it is shown to keep already.

    Where the value lies on the metric's bound (no error at all) its end comes nearer with the number of examples itself. Without an
    interval: what one needs at all. No number where the value lies on the limit.
    """
    value, low, high = paired.head, paired.head_low, paired.head_high
    if value is None or paired.n == 0:
        return Needs()
    if low is None or high is None:
        short = [
            least / max(have, 1)
            for have, least in ((paired.support, FEWEST_EXAMPLES), (paired.clusters, FEWEST_CLUSTERS))
            if have is not None
        ]
        return counted(paired, max(short), as_seen=True) if short and max(short) > 1 else Needs()
    kept = rounded(low, up=False) if side == "min" else rounded(high, up=True)
    beyond = value < limit if side == "min" else value > limit
    looks_down = (side == "min") != beyond  # the lower end must rise to the limit, or the upper one fall to it
    end, room = (low if looks_down else high), abs(value - limit)
    reach = abs(value - end)
    if room <= 0 or reach <= 0:
        return Needs(limit=kept)
    z = normal_quantile(power) / critical(confidence)
    if paired.own_luck:
        of_test = math.sqrt(max(0.0, reach**2 - wider(0.0, paired.own_luck, confidence) ** 2))
        return of_trained(paired, Trained(paired.own_luck, of_test), room, power, confidence, limit=kept, as_seen=True)
    if paired.trials is not None:
        return counted(paired, _rows_by_wilson(value, limit, looks_down, power, confidence) / paired.trials, limit=kept, as_seen=True)
    perfect = value == (high if looks_down else low)
    ratio = reach / room * (1.0 if perfect else 1 + z)
    return counted(paired, ratio if perfect else ratio * ratio, limit=kept, as_seen=True)


def _rows_by_wilson(share: float, limit: float, looks_down: bool, power: float, confidence: float) -> int:
    """The rows at which Wilson's end of a share lies on this side of `limit` with that probability, if the share is the true one."""

    def shows(n: int) -> bool:
        off = normal_quantile(power) * math.sqrt(n * share * (1 - share))
        right = min(n, max(0.0, n * share - off if looks_down else n * share + off))
        low, high = wilson(right, n, confidence)
        return low >= limit if looks_down else high <= limit

    return fewest(shows)


def rounded(value: float, *, up: bool) -> float | None:
    """To three significant digits, outwards: a number a person would write; None for 0, which is no limit."""
    if value == 0:
        return None
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(exact.adjusted() - 2)
    return float((exact / step).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * step)
