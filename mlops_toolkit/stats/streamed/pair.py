"""A metric of two models on a subset, from the blocks of its rows to the `Paired` that `stats.paired` makes of rows in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.by_rows import Sides, bias
from mlops_toolkit.stats.conclude import Longest, Paired, Parts, Share, conclude, undefined
from mlops_toolkit.stats.contrast import NOISE, Contrast, Moved
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.optimism import MOST
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.spread import Spread
from mlops_toolkit.stats.streamed.rows import Rows
from mlops_toolkit.stats.streamed.sides import Narrowing, Side
from mlops_toolkit.stats.tally import dense
from mlops_toolkit.stats.unseen import of_sizes

Mask = npt.NDArray[np.bool_]


@dataclass
class _Clusters:
    """Sums by cluster, (G,) each; which of them hold a row that moved, and the least and largest step."""

    difference: Floats
    own: Floats
    moved: Mask
    better: int = 0
    worse: int = 0
    least: float = math.inf
    largest: float = 0.0

    @classmethod
    def of(cls, many: int) -> _Clusters:
        return cls(np.zeros(many), np.zeros(many), np.zeros(many, dtype=bool))


@dataclass
class Pair:
    """One metric on one subset while it is added up; `before` is None where the head stands alone."""

    metric: Metric
    before: Side | None
    after: Side
    base: Measured = field(default_factory=lambda: Measured(None))
    head: Measured = field(default_factory=lambda: Measured(None))
    contrast: Contrast = field(default_factory=Contrast)
    clusters: _Clusters | None = None
    above: float = 0.0
    shares: tuple[bool, int] = (True, 0)
    again: bool = False
    over: bool = False
    held: list[tuple[Sample, Sample]] = field(default_factory=list)
    shape: Sample = field(default_factory=lambda: Sample(0))

    # --- the first pass

    def see(self, baseline: Sample | None, head: Sample) -> None:
        self.after.see(head)
        if self.before is not None and baseline is not None:
            self.before.see(baseline)
        if self.metric.family == "mean" and self.shares[0]:
            columns = [side.columns[self.metric.argument or ""] for side in (head, baseline if self.before is not None else None) if side]
            only = all(bool(np.all((one == 0) | (one == 1))) for one in columns)
            self.shares = only, self.shares[1] + (int(columns[0].sum()) if only else 0)

    def plan(self, rows: Rows) -> None:
        """Begin to narrow down what a first pass does not tell."""
        for side in self._narrowing:
            side.plan(rows)

    @property
    def narrowing(self) -> bool:
        """Whether another pass is needed before the values are known."""
        return any(side.narrowing for side in self._narrowing)

    @property
    def _narrowing(self) -> list[Narrowing]:
        sides: tuple[object, ...] = (self.before, self.after)
        return [side for side in sides if isinstance(side, Narrowing)]

    def look(self, baseline: Sample | None, head: Sample) -> None:
        for side, sample in ((self.before, baseline), (self.after, head)):
            if isinstance(side, Narrowing) and side.narrowing and sample is not None:
                side.look(sample)

    def looked(self) -> None:
        for side in self._narrowing:
            if side.narrowing:
                side.looked()

    def settle(self, rows: Rows) -> None:
        self.head = self.after.settle(rows)
        if self.before is not None:
            self.base = self.before.settle(rows)

    @property
    def done(self) -> bool:
        """Whether nothing is left to be added up."""
        return self.over or not self.defined

    @property
    def defined(self) -> bool:
        return self.head.value is not None and (self.before is None or self.base.value is not None)

    # --- the second

    def start(self, rows: Rows) -> None:
        """Begin (or begin again) to add up the influences."""
        self.contrast, self.held, self.shape = Contrast(), [], Sample(0)
        self.clusters = _Clusters.of(len(rows.there)) if rows.clustered and rows.there is not None else None

    def add(self, baseline: Sample | None, head: Sample, rows: Rows) -> None:
        if not self.defined:
            return
        self.shape = self.shape if self.shape.labels else head.part(slice(0, 0))
        own = self.after.influence(head)
        if self.before is None or baseline is None:
            difference, share, differs = own, 0.0, np.zeros(head.n, dtype=bool)
        else:
            sign = 1.0 if self.metric.direction == "higher" else -1.0
            difference = sign * (own - self.before.influence(baseline))
            differs = Sides(baseline, head).differ(self.metric)
            share = sign * ((self.head.value or 0.0) - (self.base.value or 0.0)) / (rows.n if head.weight is None else rows.heavy)
            if self.metric.family == "average-precision" and rows.n <= MOST:
                self.held.append((self._ranked(baseline), self._ranked(head)))
        if self.clusters is None:
            moved = None if self.before is None else Moved(share, head.weight, differs)
            self.contrast = Contrast.total([self.contrast, Contrast.of(difference, own, moved)])
        elif head.cluster is not None:
            step = own[:0] if self.before is None else difference + (share if head.weight is None else share * head.weight)
            _by_cluster(self.clusters, head.cluster, (difference, own, step), differs, self.above)

    def ended(self) -> bool:
        """Whether that was the last pass: not where what was counted of clusters may be rounding, whose size is only known now."""
        if self.before is None or self.again or self.done or self.clusters is None:
            self.over = True
            return True
        self.above = NOISE * self.clusters.largest
        self.again = self.clusters.least <= self.above
        self.over = not self.again
        return self.over

    # --- the answer

    def concluded(self, rows: Rows, confidence: float) -> Paired:
        """Against the baseline."""
        if not self.defined:
            return undefined(self.metric, rows.n, self.base, self.head)
        spread, own, moved = self._spreads(rows)
        if not math.isfinite(own.size):
            return undefined(self.metric, rows.n, self.base, Measured(None, state="not-finite"))
        if not math.isfinite(spread.size):
            return undefined(self.metric, rows.n, Measured(None, state="not-finite"), self.head)
        share = None
        if self.metric.family == "mean" and self.shares[0] and rows.even and not rows.clustered:
            share = Share(rows.n, *moved, self.shares[1])
        parts = Parts(
            clustered=rows.clustered,
            difference=spread,
            own=own,
            share=share,
            longest=self.longest(rows),
            guard=self.metric.reads == "scores",
            bias=self._bias(),
        )
        return self.wider(conclude(self.metric, rows.n, self.base, self.head, parts, moved, confidence), rows, confidence)

    def longest(self, rows: Rows) -> Longest:
        """As `single.own_longest`."""

        def found(many: float) -> tuple[float, float] | None:
            step = of_sizes(self.metric, self.shape, rows.all_rows, rows.size, many)
            return None if step is None else (step, step)

        return found

    def _ranked(self, sample: Sample) -> Sample:
        """What the order of its scores needs of a block, and no more: it is kept."""
        return replace(sample, prediction=None, columns={})

    def _bias(self) -> float:
        """Of all rows, which are held where they are few only."""
        if not self.held:
            return 0.0
        before, after = (_joined(one) for one in zip(*self.held, strict=True))
        return bias(self.metric, Sides(before, after))

    def own(self, rows: Rows) -> Spread:
        """Of the head's own influences."""
        return self._spreads(rows)[1]

    def _spreads(self, rows: Rows) -> tuple[Spread, Spread, tuple[int, int]]:
        if self.clusters is None:
            moved = self.contrast.better, self.contrast.worse
            return self.contrast.difference.spread(sum(moved)), self.contrast.own.spread(self.contrast.contribute), moved
        sums, there = self.clusters, rows.there
        own = sums.own[there]
        size = np.abs(own)
        contribute = int(np.count_nonzero(size > (NOISE if self.before is not None else 0.0) * size.max(initial=0.0)))
        spread = Spread.of(sums.difference[there], int(np.count_nonzero(sums.moved)))
        return spread, Spread.of(own, contribute), (sums.better, sums.worse)

    def wider(self, made: Paired, rows: Rows, confidence: float) -> Paired:
        """By what bins of the score leave open: the values by their bounds, the standard errors by theirs."""
        sides = [side for side in (self.before, self.after) if side is not None]
        off, more = (sum(side.error[i] for side in sides) for i in (0, 1))
        if off == 0 and more == 0:
            return made
        units = rows.n if made.clusters is None else made.clusters
        root = math.sqrt(units / max(units - 1, 1) * rows.longest_run)  # the errors of a cluster's rows may all go one way
        reach = [critical(confidence, made.df) * slack * root for slack in (more, self.after.error[1])]
        least, most = self.metric.bounds
        low, high = made.head_low, made.head_high
        if low is not None and high is not None:
            low, high = low - self.after.error[0] - reach[1], high + self.after.error[0] + reach[1]
            low, high = low if least is None else max(low, least), high if most is None else min(high, most)
        return replace(
            made,
            low=None if made.low is None else made.low - off - reach[0],
            high=None if made.high is None else made.high + off + reach[0],
            standard_error=None if made.standard_error is None else made.standard_error + more * root,
            head_low=low,
            head_high=high,
            bound=off,
        )


def _joined(blocks: Sequence[Sample]) -> Sample:
    """All rows of a subset."""

    def whole(name: str) -> Any:
        parts = [getattr(one, name) for one in blocks]
        return None if parts[0] is None else np.concatenate(parts)

    columns = {name: whole(name) for name in ("target", "score", "prob", "weight")}
    return replace(blocks[0], n=sum(one.n for one in blocks), cluster=dense(whole("cluster")), **columns)


def _by_cluster(sums: _Clusters, cluster: Codes, parts: tuple[Floats, Floats, Floats], differs: Mask, above: float) -> None:
    difference, own, step = parts
    many = len(sums.own)
    sums.difference += np.bincount(cluster, weights=difference, minlength=many)
    sums.own += np.bincount(cluster, weights=own, minlength=many)
    if not len(step):
        return
    size = np.abs(step)
    sums.largest = max(sums.largest, float(size.max(initial=0.0)))
    counts = differs & (size > above)
    sums.least = min(sums.least, float(size[counts].min(initial=math.inf)))
    sums.better += int(np.count_nonzero(counts & (step > 0)))
    sums.worse += int(np.count_nonzero(counts & (step < 0)))
    sums.moved[cluster[counts]] = True
