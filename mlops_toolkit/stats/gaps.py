"""How far apart groups of examples lie in a metric, with the interval that decides, and how much further than before.

The gap of groups with the values v is max |v_i − v_j| over all pairs. Groups are independent samples, so the interval of a pair's
difference is made of the two groups' own by the method of variance estimates recovery (Newcombe 1998; Zou & Donner 2008):
low = d − √((v_i − l_i)² + (u_j − v_j)²). Of shares of right rows those own intervals are exact ones (Clopper & Pearson 1934): with
Wilson's, a small group beside a large one near 0 or 1 fails up to 8.9 % of the time at the margin instead of 2.5 %, with exact ones at
most 3.0 % (enumerated in decision 0024). Where clusters span groups, the groups are not independent: then it is Student's t on the
differences of the influences, summed by cluster.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats import single
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, by_unit, reach
from mlops_toolkit.stats.tally import dense, uneven

Interval = tuple[float, float]
Pair = tuple[int, int]

_MANY = 1000  # right and wrong rows from which the exact interval and its approximation differ by less than a hundredth of their width
_KNOWN = 0.1  # the part of the level that is spent on which groups are furthest apart, and which of them is the better one


class Rows(Protocol):
    """What a gap asks of a group's rows, as one model answers them: in memory (`Answered`), or added up in blocks.

    clusters  the different ones among them, in order; None where rows are not clustered, or where no group shares one with another
    off       by how much the value may be off, where it is counted by bins
    """

    @property
    def n(self) -> int: ...
    @property
    def clusters(self) -> Codes | None: ...
    @property
    def off(self) -> float: ...

    def own(self, confidence: float) -> Interval | None:
        """The interval of the group's value; None where there is too little to say."""

    def by_cluster(self, before: Any = None) -> Floats:
        """The oriented influence on the value (of how it changed since `before`, the same rows of the baseline), summed by cluster."""

    def change(self, before: Any, confidence: float) -> Interval | None:
        """The interval of how the value changed since `before`, oriented."""


@dataclass(frozen=True)
class Group:
    """One group's rows, and its value; `why` it has no part in the gap, None where it has.

    value is None where the metric is undefined on these rows.
    """

    name: str
    rows: Rows
    value: float | None = None
    why: str | None = None

    @property
    def n(self) -> int:
        """Examples."""
        return self.rows.n


@dataclass(frozen=True)
class Answered:
    """A group's rows in memory."""

    metric: Metric
    sample: Sample
    off = 0.0

    @property
    def n(self) -> int:
        return self.sample.n

    @property
    def clusters(self) -> Codes | None:
        return None if self.sample.cluster is None else np.unique(self.sample.cluster)

    def own(self, confidence: float) -> Interval | None:
        return own(self.metric, self.sample, confidence)

    def by_cluster(self, before: Answered | None = None) -> Floats:
        found = _influence(self.metric, self.sample)
        if before is not None:
            mine = self.sample
            found = found - _influence(self.metric, replace(before.sample, target=mine.target, weight=mine.weight, cluster=mine.cluster))
        return by_unit(found, dense(self.sample.cluster))

    def change(self, before: Answered, confidence: float) -> Interval | None:
        found = paired(self.metric, before.sample, self.sample, confidence=confidence)
        return None if found.low is None or found.high is None else (found.low, found.high)


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups, in the metric's unit.

    low, high    two-sided: a larger gap than `high` is as improbable as a smaller one than `low`. high is the largest of the pairs' own
                 upper ends (all pairs must lie below, which needs no correction), low the largest of their lower ends at the level of
                 so many pairs; None where fewer than two groups have an interval
    better, worse  the names of the two groups that are furthest apart
    """

    value: float
    better: str
    worse: str
    low: float | None = None
    high: float | None = None


def groups(metric: Metric, sample: Sample, codes: npt.NDArray[np.intp], names: Sequence[str], *, least: int = 0) -> tuple[Group, ...]:
    """The groups of a Sample by code (n,) into `names`. Of fewer than `least` examples, undefined or without an interval: `why` says so."""
    found = []
    for code, name in enumerate(names):
        part = sample.take(codes == code)
        measured = metric.measure(part)
        why = None
        if part.n < least:
            why = f"{part.n:,} of at least {least:,} examples"
        elif measured.value is None:
            why = measured.state.replace("-", " ")
        elif own(metric, part, 0.95) is None:
            why = too_few(part.n)
        found.append(Group(name, Answered(metric, part), measured.value, why))
    return tuple(found)


def too_few(n: int) -> str:
    """Why a group has no part in a gap."""
    return f"{n:,} examples are too few for an interval"


def gap(metric: Metric, parts: Sequence[Group], confidence: float) -> Gap | None:
    """The gap between the groups that have a part in it, or, without an interval, between all that have a value; None: fewer than two do."""
    used = [part for part in parts if part.why is None]
    sure = len(used) > 1
    used = used if sure else [part for part in parts if part.value is not None]
    if len(used) < 2:
        return None
    values = oriented_values(metric, used)
    worse, better = min(range(len(used)), key=values.__getitem__), max(range(len(used)), key=values.__getitem__)
    made = Gap(float(values[better] - values[worse]), used[better].name, used[worse].name)
    if not sure:
        return made
    each, family = (_differences(metric, used, level) for level in (confidence, shared(confidence, len(used))))
    high, low = max(_most(ends) for ends in each.values()), max(_least(ends) for ends in family.values())
    return Gap(made.value, made.better, made.worse, min(low, made.value), max(high, made.value))


def rise(metric: Metric, before: Sequence[Group], after: Sequence[Group], confidence: float) -> Interval | None:
    """The interval of how much larger the gap is `after` than `before`, of the same groups on the same rows; None where one has no interval.

    |d| has no slope where groups change places or lie close together, so that no standard error tells how far it spreads. But with d before
    and d' after, |d'| − |d| is one of ±(d' − d) and ±(d' + d): which, is a matter of signs. And the rise is |d'| of the pair
    that is furthest apart after less |d| of the one that was before, so at most |d'| − |d| of the former. Which pairs these may be, and
    their signs, is read off simultaneous intervals at a tenth of the level; where that does not tell, the widest counts.
    """
    if len(after) < 2 or any(part.why for part in (*before, *after)):
        return None
    known, rest = 1 - (1 - confidence) * _KNOWN, 1 - (1 - confidence) * (1 - 2 * _KNOWN)
    change = _changes(metric, before, after, rest)
    if change is None:
        return None
    old, new = (_differences(metric, parts, shared(known, len(after))) for parts in (before, after))
    was, now = (_differences(metric, parts, rest) for parts in (before, after))
    grown = {pair: _grown(_sign(old[pair]), _sign(new[pair]), change[pair], _added(was[pair], now[pair])) for pair in old}
    first, last = _furthest(old), _furthest(new)
    least = min(grown[one][0] if one == other else _least(now[other]) - _most(was[one]) for one in first for other in last)
    most = max(grown[pair][1] for pair in last)
    after_most, after_least, before_most, before_least = (max(map(end, side.values())) for side in (new, old) for end in (_most, _least))
    return max(least, after_least - before_most), min(most, after_most - before_least)


# --- pairs of groups


def oriented_values(metric: Metric, parts: Sequence[Group]) -> list[float]:
    """Oriented: larger is better."""
    sign = 1.0 if metric.direction == "higher" else -1.0
    return [sign * (part.value or 0.0) for part in parts]


def shared(confidence: float, many: int) -> float:
    """The confidence of each pair's interval, of so many groups, at which all hold together."""
    return 1 - (1 - confidence) / math.comb(many, 2)


def _most(ends: Interval) -> float:
    return max(abs(ends[0]), abs(ends[1]))


def _least(ends: Interval) -> float:
    return max(0.0, ends[0], -ends[1])


def _furthest(differences: Mapping[Pair, Interval]) -> list[Pair]:
    """The pairs that may be the ones furthest apart."""
    least = max(_least(ends) for ends in differences.values())
    return [pair for pair, ends in differences.items() if _most(ends) >= least]


def _sign(ends: Interval) -> int:
    """Of a difference, as far as its interval tells; 0: it does not."""
    return 1 if ends[0] > 0 else -1 if ends[1] < 0 else 0


def _times(sign: int, ends: Interval) -> Interval:
    return ends if sign > 0 else (-ends[1], -ends[0])


def _added(one: Interval, other: Interval) -> Interval:
    """The interval of a sum, as wide as it is where the two go together entirely."""
    return one[0] + other[0], one[1] + other[1]


def _grown(before: int, after: int, change: Interval, both: Interval) -> Interval:
    """The interval of |d'| − |d|, of the signs of d and d' (0: not known), and the intervals of d' − d and of d' + d.

    It is max over the signs a of d' of min over the signs b of d of a·d' − b·d; so the end at which the sign that is not known takes
    its worst value is the least (largest) of two intervals' ends, of which one holds the truth: no correction is needed.
    """
    if after and before:
        return _times(after, change if after == before else both)
    if after:
        kept, turned = _times(after, change), _times(after, both)
        return min(kept[0], turned[0]), kept[1]
    if before:
        kept, turned = _times(before, change), _times(-before, both)
        return kept[0], max(kept[1], turned[1])
    return min(change[0], -change[1]), max(change[1], -change[0])


def _differences(metric: Metric, parts: Sequence[Group], confidence: float) -> dict[Pair, Interval]:
    """The interval of each pair's difference, oriented."""
    if spans(parts):
        influences = [part.rows.by_cluster() for part in parts]
        made = _clustered(oriented_values(metric, parts), influences, parts, confidence)
        return made or dict.fromkeys(itertools.combinations(range(len(parts)), 2), (-math.inf, math.inf))
    ends = [_oriented(metric, part.rows.own(confidence)) for part in parts]
    return _recovered(oriented_values(metric, parts), ends, [part.rows.off for part in parts])


def _changes(metric: Metric, before: Sequence[Group], after: Sequence[Group], confidence: float) -> dict[Pair, Interval] | None:
    """The interval of how much each pair's difference changed, oriented; None where a group's change has no interval."""
    values = [new - old for old, new in zip(oriented_values(metric, before), oriented_values(metric, after), strict=True)]
    if spans(after):
        influences = [new.rows.by_cluster(old.rows) for old, new in zip(before, after, strict=True)]
        return _clustered(values, influences, after, confidence)
    ends = list[Interval]()
    for old, new in zip(before, after, strict=True):
        found = new.rows.change(old.rows, confidence)
        if found is None:
            return None
        ends.append(found)
    return _recovered(values, ends, [old.rows.off + new.rows.off for old, new in zip(before, after, strict=True)])


def _recovered(values: Sequence[float], ends: Sequence[Interval], off: Sequence[float]) -> dict[Pair, Interval]:
    """Of each pair's difference, from the groups' own ends, and by how much their values may be off."""
    found = {}
    for i, j in itertools.combinations(range(len(values)), 2):
        d, (below, above), (low, high) = values[i] - values[j], ends[i], ends[j]
        found[i, j] = (
            d - math.hypot(values[i] - below, high - values[j]) - (off[i] + off[j]),
            d + math.hypot(above - values[i], values[j] - low) + (off[i] + off[j]),
        )
    return found


def _oriented(metric: Metric, ends: Interval | None) -> Interval:
    if ends is None:
        return -math.inf, math.inf
    return ends if metric.direction == "higher" else (-ends[1], -ends[0])


# --- clusters that lie in more than one group


def spans(parts: Sequence[Group]) -> bool:
    """Whether rows of one cluster lie in two groups."""
    clusters = [found for part in parts if (found := part.rows.clusters) is not None]
    return bool(clusters) and len(np.unique(np.concatenate(clusters))) < sum(map(len, clusters))


def _influence(metric: Metric, sample: Sample) -> Floats:
    measured = metric.measure(sample)
    sign = 1.0 if metric.direction == "higher" else -1.0
    return np.zeros(sample.n) if measured.influence is None else sign * measured.influence


def _clustered(
    values: Sequence[float], influences: Sequence[Floats], parts: Sequence[Group], confidence: float
) -> dict[Pair, Interval] | None:
    """Student's t on the influences of both groups summed by cluster; None where one of the least counts is not met."""
    found = {}
    for i, j in itertools.combinations(range(len(parts)), 2):
        cluster = dense(np.concatenate([one for k in (i, j) if (one := parts[k].rows.clusters) is not None]))
        spread = Spread.of(by_unit(np.concatenate([influences[i], -influences[j]]), cluster))
        if spread.error is None or spread.units < FEWEST_CLUSTERS or spread.active < FEWEST_ACTIVE or spread.flat(values[i] - values[j]):
            return None
        down, up = reach(confidence, spread.df, spread.skew)
        found[i, j] = (values[i] - values[j] - down * spread.error, values[i] - values[j] + up * spread.error)
    return found


# --- one group


def own(metric: Metric, sample: Sample, confidence: float) -> Interval | None:
    """The interval of one group's value."""
    if dense(sample.cluster) is None and uneven(sample.weight) is None and (share := single.share_of(metric, sample)):
        return of_share(*share, confidence)
    return single.interval(metric, sample, confidence)


def of_share(right: int, n: int, confidence: float) -> Interval | None:
    """The same of `right` ones of n."""
    return exact(right, n, confidence) if n >= FEWEST_EXAMPLES else None  # of fewer, any gap could be


@functools.lru_cache(maxsize=4096)
def exact(right: int, n: int, confidence: float) -> Interval:
    """The exact interval of `right` of n ≥ 1 (Clopper & Pearson 1934): each end is where as much or more is as improbable as half the level.

    With a thousand of both right and wrong rows, Wilson's with a correction for continuity, which then is the same to three digits.
    """
    level = (1 - confidence) / 2
    low = 0.0 if right == 0 else 1 - _above(n - right, n, level)
    return low, 1.0 if right == n else _above(right, n, level)


def _above(k: int, n: int, level: float) -> float:
    """p with P(X ≤ k) = level, of k < n."""
    if k >= _MANY and n - k >= _MANY:
        z = critical(1 - 2 * level)
        reach = z * math.sqrt(max(0.0, z * z + 2 - 1 / n + 4 * (k / n) * (n - k - 1)))
        return min(1.0, (2 * k + z * z + 1 + reach) / (2 * (n + z * z)))
    few = k if k < _MANY else n - k - 1  # the shorter of the two tails is summed
    tail = _tail(few, n)
    low, high = 0.0, 1.0
    for _ in range(48):
        p = (low + high) / 2
        more = tail(p) if few == k else 1 - tail(1 - p)
        low, high = (p, high) if more > level else (low, p)
    return (low + high) / 2


def _tail(k: int, n: int) -> Callable[[float], float]:
    """P(X ≤ k) as a function of p."""
    i = np.arange(1, k + 1)
    choose = np.concatenate([[0.0], np.cumsum(np.log((n - i + 1) / i))])
    steps = np.arange(k + 1)

    def at(p: float) -> float:
        if not 0 < p < 1:
            return 1.0 if p <= 0 else float(k >= n)
        return min(1.0, float(np.exp(choose + steps * math.log(p) + (n - steps) * math.log1p(-p)).sum()))

    return at
