"""Two recipes on the same examples: the difference of a metric's means over several trainings a side.

The trainings are crossed with the examples, as readers are with cases in studies of diagnoses, and the variance splits as there (Obuchowski
& Rockette, Communications in Statistics 24, 1995; Hillis, Statistics in Medicine 26, 2007):

test part       Σ over rows (clusters) of the squared mean over the seeds of the rows' influence
training part   S² − V of the values by seed: V = 1/(K−1)·Σ_k Σ_rows (influence_k − mean influence)², what models that err on
                different examples differ by on a finite test set though they are equally good

Seeds that both sides have are paired: S² and V are of the differences, so that what a seed does to both (the order of the data, a split)
cancels. Without two common seeds all of each side count, and each side has a part of its own. How the parts make an interval is in `luck`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_toolkit.stats import luck as luck_of
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.luck import Luck, Part
from mlops_toolkit.stats.luck import Spread as SeedSpread
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.paired import Paired, Rows
from mlops_toolkit.stats.proportions import wilson
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import least_certain, own_interval, own_longest, share_of
from mlops_toolkit.stats.spread import FEWEST_EXAMPLES, Spread, by_unit
from mlops_toolkit.stats.tally import dense, uneven

METHOD = "seeds"


@dataclass(frozen=True)
class Choice:
    """Which trainings are compared: pairs of common seeds, or all of each side."""

    baseline: tuple[int, ...]
    head: tuple[int, ...]

    @property
    def paired(self) -> bool:
        return self.baseline == self.head and len(self.head) > 1


def choose(baseline: Sequence[int], head: Sequence[int]) -> Choice:
    """The common seeds where there are two; else all. A seed that only one side has would add to that side's mean a training that nothing
    is paired with: with pairs at hand it is left out."""
    common = tuple(seed for seed in head if seed in set(baseline))
    return Choice(common, common) if len(common) > 1 else Choice(tuple(baseline), tuple(head))


def compare(
    metric: Metric,
    first: Paired,
    baselines: Mapping[int, Sample],
    heads: Mapping[int, Sample],
    *,
    confidence: float = 0.95,
    rows: Rows | None = None,
) -> Paired:
    """`metric` of two recipes, means over the seeds; `first`, the comparison of one training a side, tells what may be decided at all.

    baselines, heads: by seed, aligned: row i of each is the same example, labels and targets are the same. At least one of the two has
    several. Where only one has, the other's luck is taken to be as large. What one training a side cannot decide (too few examples), more
    trainings do not.
    """
    if first.baseline is None or first.head is None:
        return first
    chosen = choose(tuple(baselines), tuple(heads))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sides = [
            _Side.of(metric, {seed: _cut(models[seed], rows) for seed in seeds})
            for models, seeds in ((baselines, chosen.baseline), (heads, chosen.head))
        ]
        for name, side in zip(("baseline", "head"), sides, strict=True):
            if side.undefined is not None:
                return _undefined(first, metric, name, side)
        return _concluded(metric, first, sides[0], sides[1], chosen, confidence)


def alone(metric: Metric, first: Paired, heads: Mapping[int, Sample], *, confidence: float = 0.95, rows: Rows | None = None) -> Paired:
    """The head's own value, a mean over its seeds, with an interval; `first` is that of its first seed. There is no baseline."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        side = _Side.of(metric, {seed: _cut(sample, rows) for seed, sample in heads.items()})
        if side.undefined is not None:
            return _undefined(first, metric, "head", side)
        made = replace(first, head=side.value, support=side.support)
        return _with_own(metric, made, side, (Part(side.spread, 1 / len(side.values)),), confidence)


def stored(first: Paired, spreads: Sequence[SeedSpread], *, confidence: float = 0.95, metric: Metric | None = None) -> Paired:
    """One training a side, with the luck that runs with several found: each of the two has all of it.

    spreads: of the baseline's recipe and of the head's; or one, that is taken for both.
    """
    own = spreads[-1]
    parts = (Part(own, 2.0),) if len(spreads) == 1 else tuple(Part(spread, 1.0) for spread in spreads)
    lucky = Luck(parts, *_test_part(first))
    made = _own(first, first.head_low, first.head_high, (Part(own, 1.0),), confidence, metric)
    if first.low is None or first.high is None or first.change is None:
        return made
    down, up = (luck_of.wider(distance, lucky.parts, confidence) for distance in (first.change - first.low, first.high - first.change))
    return replace(made, low=first.change - down, high=first.change + up, luck=lucky)


def spread(metric: Metric, models: Sequence[Sample]) -> SeedSpread | None:
    """How a metric spreads over trainings with other seeds, on the same examples in the same order; None where it cannot be said."""
    side = _Side.of(metric, dict(enumerate(models)))
    return None if side.undefined is not None or len(models) < 2 else side.spread


@dataclass(frozen=True)
class _Side:
    """One side's trainings. mean: of the influences by row; by_seed: of each."""

    values: tuple[float, ...]
    by_seed: tuple[Floats, ...]
    one: Sample
    support: int | None = None
    rare: str | None = None
    df: int | None = None  # as of Measured
    right: float | None = None  # rows that are right, mean over the seeds, where the metric is a share
    counted: int = 0
    undefined: tuple[int, str] | None = None  # seed, state

    @classmethod
    def of(cls, metric: Metric, models: Mapping[int, Sample]) -> _Side:
        found: list[Measured] = []
        one = next(iter(models.values()))
        for seed, sample in models.items():
            measured = metric.measure(sample)
            if measured.value is None or measured.influence is None or not math.isfinite(measured.value):
                state = measured.state if measured.value is None else "not-finite"
                return cls((), (), one, undefined=(seed, state))
            found.append(measured)
        fewest = min((m for m in found if m.support is not None), key=lambda m: m.support or 0, default=None)
        plain = uneven(one.weight) is None and dense(one.cluster) is None
        shares = [share_of(metric, sample) for sample in models.values()] if plain else [None]
        whole = [share for share in shares if share is not None]
        known = len(whole) == len(shares) and len({n for _, n in whole}) == 1
        return cls(
            values=tuple(m.value or 0.0 for m in found),
            by_seed=tuple(m.influence for m in found if m.influence is not None),
            one=one,
            support=fewest.support if fewest else None,
            rare=fewest.rare if fewest else None,
            df=min((m.df for m in found if m.df is not None), default=None),
            right=sum(right for right, _ in whole) / len(whole) if known else None,
            counted=whole[0][1] if known else 0,
        )

    @property
    def value(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def mean(self) -> Floats:
        return _mean(self.by_seed)

    @property
    def spread(self) -> SeedSpread:
        return _spread(self.values, self.by_seed, self.one)


def _cut(sample: Sample, rows: Any) -> Sample:
    cut = sample if rows is None else sample.take(rows)
    return replace(cut, weight=uneven(cut.weight), cluster=dense(cut.cluster))


def _mean(vectors: Sequence[Floats]) -> Floats:
    total: Floats = vectors[0].copy()
    for vector in vectors[1:]:
        total += vector
    total /= len(vectors)
    return total


def _spread(values: Sequence[float], influences: Sequence[Floats], one: Sample) -> SeedSpread:
    """Of K ≥ 2 values and the influences behind them (of models, or of differences of two)."""
    k, centre = len(values), math.fsum(values) / len(values)
    units = [by_unit(vector, dense(one.cluster)) for vector in influences]
    mean = _mean(units)
    n = len(mean)
    within = math.fsum(float(((unit - mean) ** 2).sum()) for unit in units)
    return SeedSpread(
        seeds=k,
        variance=math.fsum((value - centre) ** 2 for value in values) / (k - 1),
        explained=(n / (n - 1) if n > 1 else 1.0) * within / (k - 1),
    )


def _parts(sign: int, baseline: _Side, head: _Side, chosen: Choice) -> tuple[Part, ...]:
    k, j = len(head.values), len(baseline.values)
    if chosen.paired:
        values = [sign * (after - before) for before, after in zip(baseline.values, head.values, strict=True)]
        steps = [after - before for before, after in zip(baseline.by_seed, head.by_seed, strict=True)]
        return (Part(_spread(values, steps, head.one), 1 / k),)
    if min(k, j) > 1:
        return Part(baseline.spread, 1 / j), Part(head.spread, 1 / k)
    return (Part((head if k > 1 else baseline).spread, 1 / k + 1 / j),)


def _concluded(metric: Metric, first: Paired, baseline: _Side, head: _Side, chosen: Choice, confidence: float) -> Paired:
    sign = 1 if metric.direction == "higher" else -1
    change = sign * (head.value - baseline.value) + 0.0
    difference = sign * (head.mean - baseline.mean)
    parts = _parts(sign, baseline, head, chosen)
    made = replace(first, baseline=baseline.value, head=head.value, change=change, method=METHOD, trials=None, low=None, high=None)
    made = replace(made, support=min((side.support for side in (baseline, head) if side.support is not None), default=None))
    made = _with_own(metric, made, head, parts, confidence)
    if first.low is None:
        return made
    fewest = baseline if made.support == baseline.support else head
    if made.support is not None and made.support < FEWEST_EXAMPLES and baseline.right is None:
        message = f"too few {fewest.rare or 'examples of the rarest class'}: {made.support}, and an interval needs {FEWEST_EXAMPLES}"
        return replace(made, reason="too-few", message=message)
    counts = _counts(metric, baseline, head, difference, change, confidence)
    of_test = Spread.of(by_unit(difference, dense(head.one.cluster)))
    if counts is None and (of_test.error is None or of_test.flat(max(abs(baseline.value), abs(head.value)))):
        message = "every example changed by the same amount: there is no spread to make an interval of"
        return replace(made, reason="too-few", message=message)
    df = least_certain(of_test, baseline.df, head.df)
    df = df if first.clusters is not None else max(1, min(df, first.disagree - 1))
    lucky = Luck(parts, counts, of_test.error or 0.0, df, of_test.steps)
    down, up = lucky.reach(confidence)
    return replace(made, low=change - down, high=change + up, standard_error=of_test.error, df=df, steps=of_test.steps, luck=lucky)


def _counts(
    metric: Metric, baseline: _Side, head: _Side, difference: Floats, change: float, confidence: float
) -> tuple[float, float, float] | None:
    """Better, worse and rows for Tango's interval of a share that is a mean over seeds; None where the metric is no share.

    A row's step is between −1 and 1: that of a third of the seeds counts a third. Such rows vary less than whole ones, by φ = Σ step² /
    Σ |step|, and so weigh as 1/φ times as many (an effective sample size, as of Rao & Scott 1992); z² whole rows are added to either sum,
    so that a few rows with small steps do not make the test set larger than it is.
    """
    if baseline.right is None or head.right is None or head.counted != baseline.counted or head.counted == 0:
        return None
    n = head.counted
    only = metric.only(head.one)
    counts = np.ones(head.one.n, dtype=bool) if only is None or head.one.target is None else head.one.target == only
    step = n * difference[counts] + change
    size = np.abs(step)
    added = critical(confidence) ** 2
    phi = min(1.0, (float((step * step).sum()) + added) / (float(size.sum()) + added))
    return float(size[step > 0].sum()) / phi, float(size[step < 0].sum()) / phi, n / phi


def _with_own(metric: Metric, made: Paired, head: _Side, parts: tuple[Part, ...], confidence: float) -> Paired:
    """The head's own value with its interval, for min and max."""
    k = len(head.values)
    if head.right is not None:
        own: tuple[float, float] | None = wilson(head.right, head.counted, confidence) if head.counted else None
    else:
        cluster = dense(head.one.cluster)
        of_value = Spread.of(by_unit(head.mean, cluster))
        value = Measured(head.value, None, "ok", head.support, head.rare, head.df)
        longest = own_longest(metric, replace(head.one, cluster=cluster))
        own = own_interval(metric, value, of_value, clustered=cluster is not None, confidence=confidence, longest=longest)
    low, high = own or (None, None)
    return _own(made, low, high, (Part(head.spread, 1 / k),) if k > 1 else (replace(parts[0], share=1.0),), confidence, metric)


def _own(one: Paired, low: float | None, high: float | None, parts: tuple[Part, ...], confidence: float, metric: Metric | None) -> Paired:
    if one.head is None or low is None or high is None:
        return replace(one, head_low=None, head_high=None)
    low, high = one.head - luck_of.wider(one.head - low, parts, confidence), one.head + luck_of.wider(high - one.head, parts, confidence)
    least, most = metric.bounds if metric else (None, None)
    low, high = low if least is None else max(low, least), high if most is None else min(high, most)
    return replace(one, head_low=low, head_high=high, own_luck=tuple(parts))


def _test_part(first: Paired) -> tuple[tuple[float, float, float] | None, float, int | None, tuple[float, float]]:
    """Of one training a side, as `Luck` has it."""
    if first.trials is not None:
        return (first.better, first.worse, first.trials), 0.0, 1, (0.0, 0.0)
    return None, first.standard_error or 0.0, first.df, first.steps


def _undefined(first: Paired, metric: Metric, name: str, side: _Side) -> Paired:
    assert side.undefined is not None  # noqa: S101 -- the caller has looked
    seed, state = side.undefined
    message = f"{metric.name} is undefined on the {name} with seed {seed}: {state.replace('-', ' ')}"
    lost = {"baseline": None} if name == "baseline" else {"head": None, "head_low": None, "head_high": None}
    return replace(first, **lost, change=None, low=None, high=None, method=METHOD, reason=state, message=message)  # type: ignore[arg-type]
