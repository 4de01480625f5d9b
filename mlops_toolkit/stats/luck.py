"""The luck of training in an interval: how far a metric moves where nothing but the seed is another.

A change D between two recipes is the sum of independent parts: the luck of which examples were drawn, and of each side's trainings. The
first has a variance known from as many examples as there are; the second is estimated from as few as two trainings. A common t of their sum
by Satterthwaite's approximation passes changes at the margin in 6.4 % (two seeds) and 3.9 % (three) instead of 2.5 %, because where the
estimate of the second comes out small by chance both its share and its uncertainty are taken to be small. So each part keeps its own t:

    reach² = reach(test)² + Σ t²(K − 1)·share·(S² − a·V)

which holds at least at its nominal level for independent variances, whatever their ratio (Banerjee, Sankhya 22, 1960); for ends that are
not equally far it is taken at each (Zou & Donner, Statistics in Medicine 27, 2008). S² is the variance of the metric over K seeds, V what
of it the finite test set explains (the models err on other examples), and a says how much of V may be taken off without breaking the
level: the quantile of S²/E[S²] at four times the two-sided error. The number shown for the part is the unbiased one, S² − V, at least 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlops_toolkit.stats.distributions import critical, normal_quantile
from mlops_toolkit.stats.proportions import tango
from mlops_toolkit.stats.spread import distance

_SURE = 4.0  # times the two-sided error: of the quantile that tells how much of V is taken off
_MOST = 0.3  # of that quantile: what holds at wide levels too
MOST_SEEDS = 30  # nobody is asked to train more often
_ENDLESS = 1e6  # times as many examples
_LEAST_P = 1e-5  # below, quantiles of Student's t are not computed


@dataclass(frozen=True)
class Spread:
    """A metric over `seeds` ≥ 2 trainings: the variance of its values, and what of that the finite test set alone explains."""

    seeds: int
    variance: float
    explained: float

    @property
    def training(self) -> float:
        """The standard deviation that another seed brings on endless examples: unbiased but for being at least 0."""
        return math.sqrt(max(0.0, self.variance - self.explained))

    def cautious(self, confidence: float) -> float:
        """The variance that an interval counts."""
        return max(0.0, self.variance - _taken_off(self.seeds, confidence) * self.explained)


@dataclass(frozen=True)
class Part:
    """A spread, and how much of it is in a difference: 1/K of the mean of its K seeds, 1 of a single training."""

    spread: Spread
    share: float


@dataclass(frozen=True)
class Luck:
    """What the interval of a change is made of where the luck of training counts.

    parts    of the trainings
    counts   better, worse and examples, of a share of rows (`tango`); they may be fractions
    error, df, steps  otherwise: of the test part, as in `spread`; df None where it is normal
    """

    parts: tuple[Part, ...]
    counts: tuple[float, float, float] | None = None
    error: float = 0.0
    df: int | None = 1
    steps: tuple[float, float] = (0.0, 0.0)

    @property
    def training(self) -> float:
        """The part of the change's standard error that is the luck of training."""
        return math.sqrt(sum(part.share * part.spread.training**2 for part in self.parts))

    def turned(self) -> Luck:
        """With gains as losses."""
        counts = None if self.counts is None else (self.counts[1], self.counts[0], self.counts[2])
        return replace(self, counts=counts, steps=(self.steps[1], self.steps[0]))

    def of_test(self, confidence: float) -> tuple[float, float]:
        """How far the test set alone reaches, down and up."""
        if self.counts is not None:
            better, worse, n = self.counts
            low, high = tango(better, worse, n, confidence)
            change = (better - worse) / n
            return change - low, high - change
        t = critical(confidence, self.df)
        return distance(t, self.error, self.steps[0]), distance(t, self.error, self.steps[1])

    def reach(self, confidence: float) -> tuple[float, float]:
        """How far the interval reaches, down and up."""
        down, up = self.of_test(confidence)
        return wider(down, self.parts, confidence), wider(up, self.parts, confidence)

    def p_beyond(self, change: float, margin: float) -> float:
        """The one-sided p-value against "at most `margin` worse", as of `rule.p_fail`: where the upper end just reaches −margin."""
        far = -margin - change
        if far <= 0:
            return 0.5
        low, high = math.log(_LEAST_P), math.log(0.5)
        for _ in range(40):
            middle = (low + high) / 2
            if self.reach(1 - 2 * math.exp(middle))[1] >= far:
                low = middle
            else:
                high = middle
        return math.exp(high)


@dataclass(frozen=True)
class Enough:
    """So many times as many examples decide, or so many seeds a side; `together`: only both. None: no number does."""

    times: float | None = None
    seeds: int | None = None
    together: bool = False


@dataclass(frozen=True)
class Trained:
    """An interval's end, by what could bring it nearer: `down`, how far it reaches for the test set alone, and the luck.

    More seeds on both sides make each share of luck 1/K, and its t of K − 1 degrees of freedom; how far one training lies from another stays.
    """

    parts: tuple[Part, ...]
    down: float

    @property
    def have(self) -> int:
        """Trainings of the side that has the fewer."""
        largest = max(part.share for part in self.parts)
        seeds = self.parts[0].spread.seeds
        return seeds if len(self.parts) == 1 and largest <= 1 / seeds + 1e-9 else max(1, round(1 / largest))

    def reach(self, times: float, seeds: int, power: float, confidence: float) -> float:
        """How far from 0 a harmless change's end lies at most, with probability `power`, at so many times as many examples and so many seeds."""
        parts = self.parts if seeds == self.have else self._at(seeds)
        down = self.down / math.sqrt(times)
        error = math.hypot(down / critical(confidence), *(math.sqrt(part.share) * part.spread.training for part in parts))
        return wider(down, parts, confidence) + normal_quantile(power) * error

    def _at(self, seeds: int) -> tuple[Part, ...]:
        each = 1.0 if len(self.parts) > 1 or self.have > 1 else 2.0
        spread = (replace(part.spread, seeds=seeds) for part in self.parts)
        return tuple(Part(one, each / seeds) for one in spread)

    def enough(self, room: float, power: float, confidence: float) -> Enough:
        """What makes it reach no further than `room`."""
        alone = self._times(room, self.have, power, confidence)
        more = range(max(2, self.have + 1), MOST_SEEDS + 1)
        seeds = next((k for k in more if self.reach(1.0, k, power, confidence) <= room), None)
        if alone is not None or seeds is not None:
            return Enough(alone, seeds)
        both = ((k, self._times(room, k, power, confidence)) for k in more)
        return next((Enough(times, k, together=True) for k, times in both if times is not None), Enough())

    def _times(self, room: float, seeds: int, power: float, confidence: float) -> float | None:
        if room <= 0 or self.reach(_ENDLESS, seeds, power, confidence) > room:
            return None
        few, many = 0.0, _ENDLESS
        for _ in range(200):
            middle = math.sqrt(max(few, 1e-6) * many)
            few, many = (middle, many) if self.reach(middle, seeds, power, confidence) > room else (few, middle)
            if few and many / few < 1 + 1e-9:
                break
        return many


def wider(distance: float, parts: Sequence[Part], confidence: float) -> float:
    """The reach of an interval's end that lay `distance` away before the luck of training counted."""
    trained = sum(part.share * part.spread.cautious(confidence) * critical(confidence, part.spread.seeds - 1) ** 2 for part in parts)
    return math.sqrt(distance * distance + trained)


@functools.lru_cache(maxsize=256)
def _taken_off(seeds: int, confidence: float) -> float:
    """a: 0 for two seeds, 0.22 for three, 0.41 for five, 0.60 for ten at 95 %; towards 1 for many."""
    if seeds < 3:
        return 0.0
    p, df = min(_SURE * (1 - confidence), _MOST), seeds - 1
    low, high = 0.0, float(df)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _chi_square(middle, df) < p else (low, middle)
    return low / df


def _chi_square(x: float, df: int) -> float:
    """P(χ² ≤ x) with an integer df ≥ 1, by the finite sums (Abramowitz & Stegun 26.4.4–5)."""
    half = x / 2
    if df % 2:
        terms = (half ** (i - 0.5) / math.gamma(i + 0.5) for i in range(1, (df + 1) // 2))
        return 1 - math.erfc(math.sqrt(half)) - math.exp(-half) * math.fsum(terms)
    return 1 - math.exp(-half) * math.fsum(half**i / math.factorial(i) for i in range(df // 2))
