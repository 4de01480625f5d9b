"""How many examples of the smaller groups would decide how far groups lie apart, if they lie as far apart as it looks.

A pair's interval is made of the two groups' own (see `gaps`), and each of those comes nearer with the root of its group's examples: the
small group's is the wide one, and more of the large one hardly help. So the smallest number is looked for that every smaller group must
have; larger ones stay as they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from mlops_toolkit.records.result import Needs
from mlops_toolkit.stats.distributions import critical, normal_quantile
from mlops_toolkit.stats.gaps import Group, Interval, oriented_values, shared, spans
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.power import ENDLESS, POWER, round_up

Side = tuple[float, float]  # how far a group's own interval reaches, down and up, of oriented values


def enough(metric: Metric, parts: Sequence[Group], limit: float, *, power: float = POWER, confidence: float = 0.95) -> Needs | None:
    """What would show the gap on its side of `limit`; None where no number does, or where clusters lie in several groups.

    parts: the groups that have a part in the gap.
    """
    if len(parts) < 2 or spans(parts):
        return None
    values = oriented_values(metric, parts)
    beyond = max(values) - min(values) > limit
    level = shared(confidence, len(parts)) if beyond else confidence
    sides = [_sides(metric, part, value, level) for part, value in zip(parts, values, strict=True)]
    have = [part.n for part in parts]
    further = 1 + normal_quantile(power) / critical(level)

    def decides(n: float) -> bool:
        shrunk = [_shrunk(side, math.sqrt(min(1.0, one / n)), further) for side, one in zip(sides, have, strict=True)]
        ends = [_ends(values, shrunk, i, j) for i, j in itertools.combinations(range(len(parts)), 2)]
        return max(low for low, _ in ends) >= limit if beyond else max(high for _, high in ends) <= limit

    if not decides(ENDLESS):
        return None
    few, many = float(min(have)), float(ENDLESS)
    for _ in range(80):
        middle = (few + many) / 2
        few, many = (few, middle) if decides(middle) else (middle, many)
    growing = [index for index, one in enumerate(have) if one < many]
    of = f'examples of the group "{parts[growing[0]].name}"' if len(growing) == 1 else f"examples of each of {len(growing)} groups"
    return Needs(n=round_up(many), of=of, have=min(have), as_seen=True)


def _sides(metric: Metric, part: Group, value: float, level: float) -> Side:
    ends = part.rows.own(level)
    if ends is None:
        return math.inf, math.inf
    low, high = ends if metric.direction == "higher" else (-ends[1], -ends[0])
    return value - low, high - value


def _shrunk(side: Side, by: float, further: float) -> Side:
    return side[0] * by * further, side[1] * by * further


def _ends(values: Sequence[float], sides: Sequence[Side], i: int, j: int) -> Interval:
    """The least and the largest size of the difference of two groups that their intervals leave."""
    if values[i] < values[j]:
        i, j = j, i
    apart = values[i] - values[j]
    low, high = apart - math.hypot(sides[i][0], sides[j][1]), apart + math.hypot(sides[i][1], sides[j][0])
    return max(0.0, low), max(high, -low)
