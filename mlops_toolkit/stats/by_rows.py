"""What the difference of a metric consists of, row by row: of any metric by its influence, of functions of means chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import blocks, by_chunk, by_stretch, in_order
from mlops_toolkit.stats.conclude import Paired, Parts, Share, conclude, undefined
from mlops_toolkit.stats.contrast import NOISE, Contrast, Moved, Part, Room, contrasts
from mlops_toolkit.stats.metric import Means, Measured, Metric
from mlops_toolkit.stats.of_errors import Asked, Errors, Key, Linear
from mlops_toolkit.stats.optimism import optimism
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import own_longest, zeros_and_ones
from mlops_toolkit.stats.spread import Spread, by_unit
from mlops_toolkit.stats.tally import distinct

Mask = npt.NDArray[np.bool_]

_KEPT = 1 << 22  # rows of which numbers are kept at most


@dataclass(frozen=True)
class Sides:
    """Two aligned Samples with the same targets, weights (None where all are equal) and clusters (0…G−1).

    whole, rows  of which these are some rows (indices), where that one was compared before: what was found of its rows is looked up
    """

    baseline: Sample
    head: Sample
    whole: Sides | None = None
    rows: npt.NDArray[Any] | None = None
    memory: dict[Any, Any] = field(default_factory=dict)

    def differ(self, metric: Metric) -> Mask:
        """Rows (n,) that the two models answer differently, in what the metric reads; looked up once for all metrics that read it."""
        key = (metric.reads, metric.argument if metric.reads == "columns" else None)
        if key not in self.memory and self.whole is not None and key in self.whole.memory:
            self.memory[key] = self.whole.memory[key][self.rows]
        elif key not in self.memory:
            pairs = [(one, other) for one, other in zip(*self._read(metric), strict=True) if one is not None and other is not None]
            self.memory[key] = np.concatenate(by_chunk(self.head.n, lambda rows: _differ([(a[rows], b[rows]) for a, b in pairs], rows)))
        found: Mask = self.memory[key]
        return found

    def parts(self, rows: slice) -> tuple[Sample, Sample]:
        """Some neighbouring rows of both, in which metrics remember what they have in common."""
        return self.baseline.part(rows), self.head.part(rows)

    def numbers(self, means: Means, which: int, about: float) -> tuple[Floats, ...] | None:
        """The dear numbers of the baseline (which = 0) or the head (1), which hang on the row alone; None where too many to keep."""
        if not means.dear or self.head.n > _KEPT:
            return None
        key, side = (id(means), which), (self.baseline, self.head)[which]
        if key not in self.memory and self.whole is not None and key in self.whole.memory:
            self.memory[key] = tuple(x[self.rows] for x in self.whole.memory[key])
        elif key not in self.memory:
            parts = by_chunk(side.n, lambda rows: means.numbers(side.part(rows), about))
            self.memory[key] = tuple(np.concatenate(x) for x in zip(*parts, strict=True))
        found: tuple[Floats, ...] = self.memory[key]
        return found

    def _read(self, metric: Metric) -> tuple[list[npt.NDArray[Any] | None], list[npt.NDArray[Any] | None]]:
        def of(side: Sample) -> list[npt.NDArray[Any] | None]:
            if metric.reads == "columns" and metric.argument is not None:
                return [side.columns[metric.argument]]
            return [side.prediction] if metric.reads == "prediction" else [side.score, side.prob]

        return of(self.baseline), of(self.head)


def _differ(pairs: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]], rows: slice) -> Mask:
    differs = np.zeros(rows.stop - rows.start, dtype=bool)
    for before, after in pairs:
        if before.ndim == 1:
            differs |= before != after
        else:
            for c in range(before.shape[1]):
                differs |= before[:, c] != after[:, c]
    return differs


def seen(contribution: Floats) -> Mask:
    """Which contributions are more than rounding."""
    size = np.abs(contribution)
    more: Mask = size > NOISE * size.max(initial=0.0)
    return more


# --- any metric


def from_rows(metric: Metric, sides: Sides, confidence: float) -> Paired:
    """By the influences (n,) of both models."""
    head = sides.head
    before, after = in_order((sides.baseline, head), metric.measure, rows=head.n)
    if before.value is None or after.value is None or before.influence is None or after.influence is None:
        return undefined(metric, head.n, before, after)
    sign = 1 if metric.direction == "higher" else -1
    pull, own, weight = before.influence, after.influence, head.weight
    share = sign * (after.value - before.value) / (head.n if weight is None else float(weight.sum()))
    differs = sides.differ(metric)

    def part(rows: slice, room: Room) -> list[Part]:
        two = (own[rows], pull[rows]) if sign > 0 else (pull[rows], own[rows])
        difference = np.subtract(*two, out=room.difference[: len(two[0])])
        return [(difference, own[rows], Moved(share, None if weight is None else weight[rows], differs[rows]))]

    if head.cluster is None:
        return _concluded(metric, sides, before, after, contrasts(head.n, part)[0], confidence)
    difference = sign * (own - pull)
    step = difference + (share if weight is None else share * weight)
    moved = seen(step) & differs
    better, worse = (int(np.count_nonzero(moved & side)) for side in (step > 0, step < 0))
    own = by_unit(own, head.cluster)
    parts = Parts(
        clustered=True,
        difference=Spread.of(by_unit(difference, head.cluster), distinct(head.cluster[moved])),
        own=Spread.of(own, int(np.count_nonzero(seen(own)))),
        share=None,
        longest=own_longest(metric, head),
        guard=metric.reads == "scores",
        bias=bias(metric, sides),
    )
    return conclude(metric, head.n, before, after, parts, (better, worse), confidence)


def bias(metric: Metric, sides: Sides) -> float:
    """By how much the change is too good on average, oriented (see `optimism`)."""
    return (optimism(metric, sides.head) - optimism(metric, sides.baseline)) * (1 if metric.direction == "higher" else -1)


def _concluded(metric: Metric, sides: Sides, before: Measured, after: Measured, found: Contrast, confidence: float) -> Paired:
    """What unclustered rows come to."""
    share, head = None, sides.head
    if head.weight is None:
        ones, others = zeros_and_ones(metric, head), zeros_and_ones(metric, sides.baseline)
        share = None if ones is None or others is None else Share(head.n, found.better, found.worse, int(ones.sum()))
    active = found.better + found.worse
    parts = Parts(
        clustered=False,
        difference=found.difference.spread(active),
        own=found.own.spread(found.contribute),
        share=share,
        longest=own_longest(metric, head),
        guard=metric.reads == "scores",
        bias=bias(metric, sides),
    )
    return conclude(metric, head.n, before, after, parts, (found.better, found.worse), confidence)


# --- functions of means


def from_means(metrics: Sequence[Metric], sides: Sides, confidence: float) -> list[Paired]:
    """By two passes over the rows, unclustered, for all metrics together: for the means, and for what the rows add to the differences."""
    found: dict[int, Paired] = {}
    pairs: dict[int, _Pair] = {}
    for i, metric in enumerate(metrics):
        made = _Pair.of(metric, sides)
        if isinstance(made, Paired):
            found[i] = made
        else:
            pairs[i] = made
    for passes in (_Passes, _OfErrors):
        held = {i: pair for i, pair in pairs.items() if bool(pair.means.columns) == (passes is _OfErrors)}
        if not held:
            continue
        over = passes(sides)
        for (i, pair), sums in zip(list(held.items()), over.sums(list(held.values())), strict=True):
            undefined_ = pair.settle(sums)
            if undefined_ is not None:
                found[i] = undefined_
                del held[i]
        if held:
            for (i, pair), one in zip(held.items(), over.contrasts(list(held.values())), strict=True):
                found[i] = pair.concluded(one, confidence)
    return [found[i] for i in range(len(metrics))]


class _Passes:
    """Of any numbers."""

    def __init__(self, sides: Sides) -> None:
        self.sides, self.n = sides, sides.head.n

    def sums(self, pairs: Sequence[_Pair]) -> list[list[tuple[float, ...]]]:
        """For each pair the sums of its baseline's numbers and of its head's, piece by piece."""

        def stretch(rows: slice, _: None) -> list[list[tuple[float, ...]]]:
            both = [(some, self.sides.parts(some)) for some in blocks(rows)]
            return [[pair.sums(some, parts) for pair in pairs] for some, parts in both]

        sums = [one for found in by_stretch(self.n, lambda: None, stretch) for one in found]
        return [list(of_pair) for of_pair in zip(*sums, strict=True)]

    def contrasts(self, pairs: Sequence[_Pair]) -> list[Contrast]:
        """What the influences of each pair come to, once its means are known."""
        differ = [self.sides.differ(pair.metric) for pair in pairs]

        def parts(rows: slice, room: Room) -> Iterator[Part]:
            both = self.sides.parts(rows)
            return (pair.part(rows, both, differs[rows], room) for pair, differs in zip(pairs, differ, strict=True))

        return contrasts(self.n, parts)


class _OfErrors(_Passes):
    """Of those that are of the errors (see `of_errors`)."""

    def sums(self, pairs: Sequence[_Pair]) -> list[list[tuple[float, ...]]]:
        sums = self._errors(pairs).sums(centred=any("centred" in pair.means.columns for pair in pairs))
        return [list(zip(*(sums[key] for side in pair.keys for key in side), strict=True)) for pair in pairs]

    def contrasts(self, pairs: Sequence[_Pair]) -> list[Contrast]:
        return self._errors(pairs).contrasts([pair.asked() for pair in pairs])

    def _errors(self, pairs: Sequence[_Pair]) -> Errors:
        target, before, after = (
            np.asarray(x, dtype=np.float64) for x in (self.sides.head.target, self.sides.baseline.prediction, self.sides.head.prediction)
        )
        middle = next((pair.head.about for pair in pairs if "centred" in pair.means.columns), 0.0)
        return Errors(target, (before, after), self.sides.head.weight, middle)


class _Pair:
    """One metric of both models while its sums are added up."""

    def __init__(self, metric: Metric, sides: Sides, baseline: _Side, head: _Side) -> None:
        self.metric, self.sides, self.baseline, self.head = metric, sides, baseline, head
        self.means, self.before, self.after = head.means, Measured(None), Measured(None)
        self.keys = tuple([(column, 0 if column == "centred" else which) for column in head.means.columns] for which in (0, 1))

    @classmethod
    def of(cls, metric: Metric, sides: Sides) -> _Pair | Paired:
        """Ready for the first pass, or what is to be said where the metric is undefined without looking at it."""
        if sides.head.n == 0:
            return undefined(metric, 0, Measured(None, state="empty"), Measured(None, state="empty"))
        if metric.means is None:
            raise ValueError(f"{metric.name} is no function of means")
        made: list[_Side] = []
        for which, side in enumerate((sides.baseline, sides.head)):
            if which:
                side.knowing(sides.baseline)
            about = metric.means.about(side)
            if isinstance(about, Measured):
                return undefined(metric, side.n, *([about, about] if not made else [Measured(0.0), about]))
            made.append(_Side(metric.means, side, *about, sides.numbers(metric.means, which, about[1])))
        return cls(metric, sides, *made)

    def sums(self, rows: slice, parts: tuple[Sample, Sample]) -> tuple[float, ...]:
        """Of the baseline's numbers, then of the head's, in some rows, of which `parts` are the Samples."""
        return (*self.baseline.sums(rows, parts[0]), *self.head.sums(rows, parts[1]))

    def settle(self, sums: list[tuple[float, ...]]) -> Paired | None:
        """The values, from the sums of all chunks; what is to be said where one is undefined."""
        totals = [_sum(column) for column in zip(*sums, strict=True)]
        half = len(totals) // 2
        self.before, self.after = self.baseline.settle(totals[:half]), self.head.settle(totals[half:])
        if self.before.value is None or self.after.value is None:
            return undefined(self.metric, self.sides.head.n, self.before, self.after)
        return None

    def part(self, rows: slice, parts: tuple[Sample, Sample], differs: Mask, room: Room) -> Part:
        n, higher, weight = rows.stop - rows.start, self.metric.direction == "higher", self.sides.head.weight
        pull, own = self.baseline.influence(rows, parts[0], room.pull[:n], room), self.head.influence(rows, parts[1], room.own[:n], room)
        difference = np.subtract(*((own, pull) if higher else (pull, own)), out=room.difference[:n])
        return difference, own, Moved(self.share, None if weight is None else weight[rows], differs)

    @property
    def share(self) -> float:
        """Of a row of weight 1, of the change (+ is better)."""
        change = ((self.after.value or 0.0) - (self.before.value or 0.0)) * (1 if self.metric.direction == "higher" else -1)
        return change / self.head.heavy

    def asked(self) -> Asked:
        """What is to be found of a metric of the errors."""
        sign, means = 1 if self.metric.direction == "higher" else -1, dict[Key, float]()
        own, difference = dict[Key, float](), dict[Key, float]()
        for side, keys, by in ((self.head, self.keys[1], sign), (self.baseline, self.keys[0], -sign)):
            means |= zip(keys, side.mean, strict=True)
            for key, slope in zip(keys, side.slopes, strict=True):
                difference[key] = difference.get(key, 0.0) + by * slope
        own |= zip(self.keys[1], self.head.slopes, strict=True)
        heavy, difference_ = self.head.heavy, Linear.of_slopes(difference, means, self.head.heavy)
        return Asked(Linear.of_slopes(own, means, heavy), difference_, self.share / difference_.scale)

    def concluded(self, made_of: Contrast, confidence: float) -> Paired:
        if not math.isfinite(made_of.own.largest):
            return undefined(self.metric, self.sides.head.n, self.before, Measured(None, state="not-finite"))
        return _concluded(self.metric, self.sides, self.before, self.after, made_of, confidence)


class _Side:
    """One model's numbers, chunk by chunk; those that are dear are kept."""

    def __init__(self, means: Means, sample: Sample, state: str, about: float, kept: tuple[Floats, ...] | None) -> None:
        self.means, self.sample, self.state, self.about = means, sample, state, about
        self.heavy = float(sample.n) if sample.weight is None else float(sample.weight.sum())
        self.mean: tuple[float, ...] = ()
        self.slopes: tuple[float, ...] = ()
        self.kept = kept

    def numbers(self, rows: slice, part: Sample) -> tuple[Floats, ...]:
        if self.kept is not None:
            return tuple(x[rows] for x in self.kept)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.means.numbers(part, self.about)

    def sums(self, rows: slice, part: Sample) -> tuple[float, ...]:
        weight = self.sample.weight
        return tuple(float((x if weight is None else x * weight[rows]).sum()) for x in self.numbers(rows, part))

    def settle(self, totals: list[float]) -> Measured:
        """The metric at the means that these sums give; they and the slopes are kept."""
        self.mean = tuple(one / self.heavy for one in totals)
        level = self.means.at(self.mean)
        self.slopes = level.slopes
        if level.value is None:
            return Measured(None, state=level.state)
        return Measured(level.value, state=self.state) if math.isfinite(level.value) else Measured(None, state="not-finite")

    def influence(self, rows: slice, part: Sample, out: Floats, room: Room) -> Floats:
        """w/Σw · Σ slope·(number − mean), of some rows, written to `out`."""
        for i, (x, mean, slope) in enumerate(zip(self.numbers(rows, part), self.mean, self.slopes, strict=True)):
            pull = np.subtract(x, mean, out=room.square[: len(out)] if i else out)
            pull *= slope / self.heavy
            if i:
                out += pull
        if self.sample.weight is not None:
            out *= self.sample.weight[rows]
        return out


def _sum(parts: Iterable[float]) -> float:
    """The exact sum of some numbers; not finite where one is not."""
    held = list(parts)
    return math.fsum(held) if all(map(math.isfinite, held)) else sum(held)
