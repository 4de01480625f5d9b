"""Quantiles of rows that come in blocks, exactly: the order statistics they are made of are narrowed down by counting, two bytes a pass.

The bits of a float, read as a whole number (of negative ones turned round), stand in the order of the floats. So the first pass counts by
their first 16 bits, which tells for each rank that is looked for in which of 65,536 intervals it lies; the next pass counts within those
intervals by the next 16 bits, and so on, until an interval holds so few values that they are simply kept. Nothing is rounded: what comes
out are the values that sorting would have put at those ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.quantiles import around, certainty
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.streamed.rows import Rows

_FEW = 1 << 14  # values of an interval that are kept rather than counted
_STEP = 16  # bits by which a pass narrows
_SIGN = np.uint64(1 << 63)

Keys = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


def keys(values: Floats) -> Keys:
    """(n,) whole numbers in the order of these floats; −0 is 0."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def floats(found: Keys) -> Floats:
    """Inverse to `keys`."""
    return np.where(found & _SIGN, found ^ _SIGN, ~found).astype(np.uint64).view(np.float64)


@dataclass
class _Interval:
    """The values whose keys begin with `prefix`, of so many bits: kept, as long as they are few, or counted by their next 16 bits.

    ranks  those looked for here, by what they are among all rows -> among the values of this interval
    """

    prefix: int = 0
    bits: int = 0
    ranks: dict[int, int] = field(default_factory=dict)
    n: int = 0
    kept: list[Keys] | None = field(default_factory=list)
    counts: npt.NDArray[np.int64] | None = None

    def add(self, found: Keys) -> None:
        if self.bits:
            found = found[found >> np.uint64(64 - self.bits) == np.uint64(self.prefix)]
        self.n += len(found)
        if self.kept is not None:
            self.kept.append(found)
            if self.n <= _FEW or self.bits >= 64:
                return
            found, self.kept = np.concatenate(self.kept), None
        next_bits = (found >> np.uint64(64 - _STEP - self.bits)) & np.uint64((1 << _STEP) - 1)
        more = np.bincount(next_bits.astype(np.intp), minlength=1 << _STEP)
        self.counts = more if self.counts is None else self.counts + more

    def narrowed(self) -> tuple[dict[int, float], list[_Interval]]:
        """The values at the ranks that are known now, and the narrower intervals in which the others lie."""
        if self.kept is not None:
            ordered = np.sort(np.concatenate(self.kept)) if self.kept else np.zeros(0, np.uint64)
            places = list(self.ranks)
            return dict(zip(places, floats(ordered[[self.ranks[place] for place in places]]).tolist(), strict=True)), []
        below = np.zeros((1 << _STEP) + 1, np.int64)
        np.cumsum(self.counts if self.counts is not None else below[1:], out=below[1:])
        known: dict[int, float] = {}
        found: dict[int, _Interval] = {}
        for place, rank in self.ranks.items():
            at = int(np.searchsorted(below, rank, side="right")) - 1
            prefix = (self.prefix << _STEP) | at
            if self.bits + _STEP == 64:  # all values here are one
                known[place] = float(floats(np.array([prefix], np.uint64))[0])
            else:
                found.setdefault(at, _Interval(prefix, self.bits + _STEP)).ranks[place] = rank - int(below[at])
        return known, list(found.values())


class OfOrder:
    """A quantile of one model on a subset (see `metrics.quantiles`, whose formulas these are)."""

    error = (0.0, 0.0)

    def __init__(self, metric: Metric) -> None:
        if metric.order is None:
            raise ValueError(f"{metric.name} is no quantile")
        self.metric, self.order = metric, metric.order
        self.state: Measured | None = None
        self.finite = True
        self._open = [_Interval()]
        self._known: dict[int, float] = {}
        self._n = 0
        self._ends = (0.0, 1.0)
        self._value, self._density = 0.0, 0.0
        self._counting = False
        self._beyond = [0, 0]
        self._marks: tuple[Mask, Mask] | None = None

    # --- the first pass, and the narrowing ones

    def see(self, sample: Sample) -> None:
        values = self._values(sample)
        if values is not None:
            self._n += len(values)
            self.finite = self.finite and bool(np.isfinite(values).all())
            self._sort(values)

    def _sort(self, values: Floats) -> None:
        found = keys(values)
        for one in self._open:
            one.add(found)

    def plan(self, rows: Rows) -> None:
        """After the first pass: which ranks are needed. UsageError `not-in-blocks` where rows weigh differently."""
        if not rows.even and rows.heaviest > 0:
            raise UsageError(
                "not-in-blocks",
                f"{self.metric.name} of weighted examples cannot be computed of data that does not fit into memory",
                hint="take it out of the metrics, leave the weights out, or evaluate on fewer examples",
            )
        if self.state is not None or not self._n or not self.finite:
            self._open = []
            return
        q = self.order.q
        self._ends = around(q, rows.units)
        if rows.clustered:
            self._marks = np.zeros(len(rows.there), bool), np.zeros(len(rows.there), bool)
        wanted = {rank for p in (q, *self._ends) for rank in self._around(p)}
        self._open[0].ranks = {rank: rank for rank in wanted}
        self._narrow()

    @property
    def narrowing(self) -> bool:
        """Whether another pass is needed before the value is known."""
        return bool(self._open) or self._counting

    def look(self, sample: Sample) -> None:
        """A pass that narrows, or the last one, which counts how many lie on either side of the value."""
        values = self._values(sample)
        if values is None:
            return
        if not self._counting:
            self._sort(values)
            return
        for which, rows in enumerate((values < self._value, values > self._value)):
            self._beyond[which] += int(np.count_nonzero(rows))
            if self._marks is not None and sample.cluster is not None:
                self._marks[which][sample.cluster[rows]] = True

    def looked(self) -> None:
        """That such a pass is over."""
        if self._counting:
            self._counting = False
        else:
            self._narrow()

    def _narrow(self) -> None:
        still: list[_Interval] = []
        for one in self._open:
            known, narrower = one.narrowed()
            self._known |= known
            still += narrower
        self._open = still
        if not still:
            low, high = self._ends
            self._value = self._at(self.order.q)
            self._density = (self._at(high) - self._at(low)) / (high - low)
            self._counting = True

    def _around(self, p: float) -> tuple[int, int]:
        place = p * (self._n - 1)
        low = min(int(place), self._n - 1)
        return low, min(low + 1, self._n - 1)

    def _at(self, p: float) -> float:
        (low, high), place = self._around(p), p * (self._n - 1)
        below, above = self._known[low], self._known[high]
        return below + (above - below) * (place - low)

    # --- the answer

    def settle(self, rows: Rows) -> Measured:
        if self.state is not None:
            return self.state
        if not self._n:
            return Measured(None, state="empty")
        if not self.finite or not math.isfinite(self._value) or not math.isfinite(self._density):
            return Measured(None, state="not-finite")
        beyond = self._beyond if self._marks is None else [int(np.count_nonzero(marks)) for marks in self._marks]
        q = self.order.q
        return Measured(self._value, support=min(beyond), rare=f"examples beyond the {q:g}-quantile", df=certainty(q, rows.units))

    def influence(self, sample: Sample) -> Floats:
        values = self._values(sample)
        if values is None:
            return np.zeros(sample.n)
        inside = (values <= self._value).astype(np.float64)
        within = self._n - self._beyond[1]
        return (within / self._n - inside) * (self._density / self._n)

    def _values(self, sample: Sample) -> Floats | None:
        found = self.order.values(sample)
        if isinstance(found, Measured):
            self.state = found
            return None
        return found
