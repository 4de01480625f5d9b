"""One metric of one model on a subset, block by block: first what its value needs, then every example's influence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from mlops_toolkit.stats.binned import Counted, Curve
from mlops_toolkit.stats.layout import BINS, FINER, Layout
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import positive_class, rarer
from mlops_toolkit.stats.metrics.ranking import class_scores
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.streamed.order import OfOrder
from mlops_toolkit.stats.streamed.rows import Rows

COARSE = 1 << 12  # bins of the scores on a slice, of which there may be hundreds
RANKED = ("roc-auc", "average-precision")


class Side(Protocol):
    """What a metric adds up of one model.

    error  by how much the value may be off, at most, and the root of the sum of the squares of how much the influences may
    """

    error: tuple[float, float]

    def see(self, sample: Sample) -> None:
        """The first pass."""

    def settle(self, rows: Rows) -> Measured:
        """The value, without influence."""

    def influence(self, sample: Sample) -> Floats:
        """The second pass: (n,)."""


@runtime_checkable
class Narrowing(Protocol):
    """A side that needs more passes before its value is known: `plan` after the first, then `look` as long as it is `narrowing`."""

    @property
    def narrowing(self) -> bool: ...
    def plan(self, rows: Rows) -> None: ...
    def look(self, sample: Sample) -> None: ...
    def looked(self) -> None: ...


def side(metric: Metric, some: Sample, *, whole: bool) -> Side | None:
    """To add up a metric; None where it cannot be added up. some: a few rows; whole: of all rows, not of one of many subsets."""
    if metric.order is not None:
        return OfOrder(metric)
    if metric.means is not None:
        return _OfTarget(metric) if metric.family == "r2" else _OfMeans(metric)
    return _OfScores(metric, some, whole) if metric.family in RANKED else None


def heaviness(sample: Sample) -> float:
    """Σ w."""
    return float(sample.n) if sample.weight is None else float(sample.weight.sum())


@dataclass
class _OfMeans:
    """A function of means (see `metric.Means`)."""

    metric: Metric
    state: str | None = None
    undefined: Measured | None = None
    heavy: float = 0.0
    sums: list[list[float]] = field(default_factory=list)
    mean: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    error: tuple[float, float] = (0.0, 0.0)

    def see(self, sample: Sample) -> None:
        about = self._about(sample)
        if about is None:
            return
        found = self._numbers(sample, about)
        self.sums.append([float((x if sample.weight is None else x * sample.weight).sum()) for x in found])
        self.heavy += heaviness(sample)

    def _about(self, sample: Sample) -> float | None:
        """What `numbers` needs to know; the worst state of all blocks is kept."""
        if self.metric.means is None:
            raise ValueError(f"{self.metric.name} is no function of means")
        about = self.metric.means.about(sample)
        if isinstance(about, Measured):
            self.undefined = about
            return None
        if self.state is None or about[0] != "ok":
            self.state = about[0]
        return about[1]

    def _numbers(self, sample: Sample, about: float) -> tuple[Floats, ...]:
        if self.metric.means is None:
            raise ValueError(f"{self.metric.name} is no function of means")
        return self.metric.means.numbers(sample, about)

    def settle(self, rows: Rows) -> Measured:
        if self.undefined is not None:
            return self.undefined
        if not self.sums or self.metric.means is None:
            return Measured(None, state="empty")
        columns = list(zip(*self.sums, strict=True))
        totals = [math.fsum(one) if all(map(math.isfinite, one)) else sum(one) for one in columns]
        self.mean = tuple(total / self.heavy for total in totals)
        return self._level()

    def _level(self) -> Measured:
        if self.metric.means is None:
            raise ValueError(f"{self.metric.name} is no function of means")
        level = self.metric.means.at(self.mean)
        self.slopes = level.slopes
        if level.value is None:
            return Measured(None, state=level.state)
        return Measured(level.value, state=self.state or "ok") if math.isfinite(level.value) else Measured(None, state="not-finite")

    def _of_rows(self, sample: Sample) -> tuple[Floats, ...]:
        return self._numbers(sample, 0.0)

    def influence(self, sample: Sample) -> Floats:
        total = np.zeros(sample.n)
        for x, mean, slope in zip(self._of_rows(sample), self.mean, self.slopes, strict=True):
            total += (x - mean) * (slope / self.heavy)
        return total if sample.weight is None else total * sample.weight


@dataclass
class _OfTarget(_OfMeans):
    """R²: the squares about the mean target are those about any other number, less the square of how far that is from the mean."""

    near: float | None = None
    ends: tuple[float, float] = (math.inf, -math.inf)
    shift: list[float] = field(default_factory=list)
    middle: float = 0.0

    def see(self, sample: Sample) -> None:
        if sample.target is None or sample.prediction is None:
            self.undefined = Measured(None, state="no-predictions")
            return
        target = np.asarray(sample.target, dtype=np.float64)
        if self.near is None:
            self.near = float(target.mean())
        self.ends = min(self.ends[0], float(target.min())), max(self.ends[1], float(target.max()))
        found = self._numbers(sample, self.near)
        weight = sample.weight
        self.sums.append([float((x if weight is None else x * weight).sum()) for x in found])
        apart = target - self.near
        self.shift.append(float((apart if weight is None else apart * weight).sum()))
        self.heavy += heaviness(sample)

    def settle(self, rows: Rows) -> Measured:
        if self.undefined is None and self.sums and self.ends[0] == self.ends[1]:
            return Measured(None, state="constant-target")
        found = super().settle(rows)
        if len(self.mean) != 2:
            return found
        off = math.fsum(self.shift) / self.heavy
        self.middle = (self.near or 0.0) + off
        self.mean = self.mean[0], max(0.0, self.mean[1] - off * off)
        return self._level()

    def _of_rows(self, sample: Sample) -> tuple[Floats, ...]:
        return self._numbers(sample, self.middle)


class _OfScores:
    """ROC-AUC and average precision by bins of the score (see `binned`), of one class or as the mean over all."""

    def __init__(self, metric: Metric, some: Sample, whole: bool) -> None:
        self.metric, self.labels, self.error = metric, some.labels, (0.0, 0.0)
        self.macro = metric.argument is None and len(some.labels) > 2 and some.prob is not None
        self.classes = (
            list(range(len(some.labels)))
            if self.macro
            else [positive_class(metric.family, metric.argument, some.labels, some.positive, f"metric {metric.name}")]
        )
        self.counted: list[Counted] = []
        # equal widths would do for ROC-AUC of all rows, but not of a slice whose scores are all near each other
        finer = 1 if whole and metric.family == "roc-auc" else FINER
        for c in self.classes:
            scores = self._scores(some, c)
            if scores is not None:
                self.counted.append(Counted(Layout.of(scores, BINS if whole else COARSE, finer)))
        self.curves: list[Curve] = []

    def _scores(self, sample: Sample, c: int) -> Floats | None:
        if self.macro:
            return None if sample.prob is None else sample.prob[:, c]
        return class_scores(sample, c)

    def see(self, sample: Sample) -> None:
        if sample.target is None:
            return
        for c, counted in zip(self.classes, self.counted, strict=False):
            scores = self._scores(sample, c)
            if scores is not None:
                counted.add(scores, sample.target == c, sample.weight)

    def settle(self, rows: Rows) -> Measured:
        if not self.counted:
            return Measured(None, state="no-scores")
        fewest, rare = None, None
        for c, counted in zip(self.classes, self.counted, strict=True):
            held = _by_counts(self.labels[c], *rows.support(c))
            if self.macro and held.state != "ok":
                there = sum(rows.support(one)[0] > 0 for one in self.classes)
                return Measured(None, state="one-class" if there == 1 else "class-without-examples", support=0, rare=held.rare)
            if held.state != "ok":
                return held
            if fewest is None or (held.support is not None and held.support <= fewest):
                fewest, rare = held.support, held.rare
            self.curves.append(counted.roc_auc() if self.metric.family == "roc-auc" else counted.average_precision())
        many = len(self.curves)
        self.error = sum(curve.bound for curve in self.curves) / many, sum(curve.slack for curve in self.curves) / many
        return Measured(sum(curve.value for curve in self.curves) / many, support=fewest, rare=rare)

    def influence(self, sample: Sample) -> Floats:
        total = np.zeros(sample.n)
        for c, curve in zip(self.classes, self.curves, strict=True):
            scores = self._scores(sample, c)
            if scores is not None and sample.target is not None:
                total += curve.influence(scores, sample.target == c, sample.weight)
        total /= len(self.curves)
        return total


def _by_counts(label: str, positives: int, others: int) -> Measured:
    """What the numbers of independent rows tell before any score: the support, and the state `ok` where there are both kinds."""
    fewer, rare = rarer(positives, others, label)
    state = "ok" if fewer else "no-positives" if positives == 0 else "one-class"
    return Measured(None, state=state, support=fewer, rare=rare)
