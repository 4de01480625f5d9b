"""How many examples a margin needs before there are any: the chances of each outcome of a comparison that is only planned.

Shares of rows (accuracy, recall of a class), unclustered: exact. The number of rows on which the two models differ is binomial, and of
those the number that got worse is too; for each of both Tango's interval decides, and the probabilities are summed up. All other metrics:
the normal distribution of their difference, with Student's t where the examples come in clusters.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.distributions import critical, normal_quantile, normal_tail
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS

Ints = npt.NDArray[np.int64]
MOST = 10**9  # examples
_REACH = 8.5  # standard deviations of a binomial count that are summed over: beyond, 1e-16 is left
_STRIDE = 600  # counts of differing rows that are gone through; of more, every second, third … stands for its neighbours


@dataclass(frozen=True)
class Outcome:
    """The chances of one comparison. passed: shown not worse than allowed; failed: shown worse; beyond: the estimate is worse than
    allowed, which under `when-uncertain: ask` needs a yes (or is a failure)."""

    passed: float
    failed: float
    beyond: float


class Design(Protocol):
    """A planned comparison. `outcome` of n examples, a margin and a true change (− is worse), all in the metric's unit."""

    @property
    def fewest(self) -> int:
        """Below so many examples nothing is decided."""
        ...

    def outcome(self, n: int, margin: float, change: float = 0.0) -> Outcome: ...

    def guess(self, margin: float, power: float) -> float:
        """About how many examples, to start searching from."""
        ...


@dataclass(frozen=True)
class Shares:
    """A share of right rows of which two models differ on `disagree` (0 < disagree ≤ 1): exact, by Tango's interval."""

    disagree: float
    confidence: float = 0.95

    @property
    def fewest(self) -> int:
        return 1

    def guess(self, margin: float, power: float) -> float:
        return self.disagree * ((critical(self.confidence) + normal_quantile(power)) / margin) ** 2 + 1 / margin

    def outcome(self, n: int, margin: float, change: float = 0.0) -> Outcome:
        """A true change larger than the disagreement makes all rows that differ change that way."""
        disagree = max(self.disagree, abs(change))
        counts, weights = _binomial(n, disagree)
        worse = min(1.0, max(0.0, (1 - change / disagree) / 2))
        z = critical(self.confidence)
        passing = _last(counts, lambda w: _statistic(counts, w, n, margin) > z)
        failing = _last(counts, lambda w: _claim(counts, w, n, margin) >= -z)
        inside = np.floor((counts + n * margin) / 2 + 1e-9).astype(np.int64)
        passed, unfailed, within = (weights @ _at_most(counts, limit, worse) for limit in (passing, failing, np.minimum(inside, counts)))
        return Outcome(float(passed), 1 - float(unfailed), 1 - float(within))


def _binomial(n: int, p: float) -> tuple[Ints, Floats]:
    """The counts that n trials of probability p may show, and their probabilities (which sum to 1)."""
    reach = _REACH * math.sqrt(n * p * (1 - p)) + 10
    low, high = max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach))
    counts = np.arange(low, high + 1, max(1, (high - low) // _STRIDE), dtype=np.int64)
    if p >= 1:
        return np.array([n]), np.ones(1)
    logs = np.array([_choose(n, int(k)) for k in counts]) + counts * math.log(p) + (n - counts) * math.log1p(-p)
    weights = np.exp(logs - logs.max())
    return counts, weights / weights.sum()


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _statistic(counts: Ints, worse: Ints, n: int, margin: float) -> Floats:
    """`proportions.tango_statistic` at a difference of −margin, for many counts at once: it falls as more of them are worse."""
    return _with_variance(counts, worse, n, margin)[0]


def _claim(counts: Ints, worse: Ints, n: int, margin: float) -> Floats:
    """`proportions.tango_claim` at a difference of −margin."""
    statistic, variance = _with_variance(counts, worse, n, margin)
    if margin == 0:
        return statistic
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.maximum(0.0, n * margin * (1 - 3 * variance / n - margin * margin) / variance**1.5 / 3)
        leant = 2 * (part - statistic) / (1 + np.sqrt(1 + 4 * part * np.maximum(0.0, part - statistic)))
        found: Floats = np.where((statistic < 0) & np.isfinite(statistic) & (part > 0), np.maximum(statistic, -leant), statistic)
    return found


def _with_variance(counts: Ints, worse: Ints, n: int, margin: float) -> tuple[Floats, Floats]:
    better = counts - worse
    distance = better - worse + n * margin
    b = (2.0 * n + better - worse) * margin - counts
    c = better * margin * (1 - margin)
    root = np.sqrt(np.maximum(0.0, b * b + 8 * n * c))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(b > 0, 2 * c / (root + b), (root - b) / (4.0 * n))
        variance = n * (2 * p + margin * (1 - margin))
        found: Floats = np.where(variance > 0, distance / np.sqrt(variance), np.where(distance == 0, 0.0, np.copysign(np.inf, distance)))
    return found, variance


def _last(counts: Ints, holds: Callable[[Ints], npt.NDArray[np.bool_]]) -> Ints:
    """For each count the largest number of worse rows for which it holds (it holds up to there and not beyond); −1: for none."""
    low, high = np.full_like(counts, -1), counts.copy()
    while np.any(low < high):
        middle = (low + high + 1) // 2
        right = holds(middle)
        low, high = np.where(right, middle, low), np.where(right, high, middle - 1)
    return low


def _at_most(counts: Ints, limit: Ints, p: float) -> Floats:
    """P(B ≤ limit) of binomial counts B of `counts` trials each, exactly; of more than 20,000 trials by the normal with its third moment."""
    if p <= 0 or p >= 1:
        return (limit >= (counts if p >= 1 else 0)).astype(np.float64)
    if int(counts[-1]) > 20_000:
        return _nearly(counts, limit, p)
    factorials = _log_factorials(int(counts[-1]))
    found = np.empty(len(counts))
    for i, (trials, most) in enumerate(zip(counts.tolist(), limit.tolist(), strict=True)):
        reach = _REACH * math.sqrt(trials * p * (1 - p)) + 10
        low, high = max(0, math.floor(trials * p - reach)), min(trials, math.ceil(trials * p + reach))
        if not low <= most < high:
            found[i] = float(most >= high)
            continue
        k = np.arange(low, high + 1)
        logs = factorials[trials] - factorials[k] - factorials[trials - k] + k * math.log(p) + (trials - k) * math.log1p(-p)
        mass = np.exp(logs)
        found[i] = mass[: most - low + 1].sum() / mass.sum()
    return found


def _nearly(counts: Ints, limit: Ints, p: float) -> Floats:
    spread = np.sqrt(counts * p * (1 - p))
    z = (limit + 0.5 - counts * p) / spread
    skew = (1 - 2 * p) / spread
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    found: Floats = np.clip(np.array([normal_tail(-one) for one in z.tolist()]) - skew * (z * z - 1) / 6 * density, 0.0, 1.0)
    return found


@functools.lru_cache(maxsize=4)
def _up_to(size: int) -> Floats:
    made: Floats = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
    return made


def _log_factorials(n: int) -> Floats:
    return _up_to(1 << max(1, n).bit_length())


@dataclass(frozen=True)
class Means:
    """Any metric whose difference has the standard deviation `spread` an example: its standard error is spread/√n.

    clusters   the examples come in so many clusters, of which two examples are alike by the correlation `alike`
    least      examples below which nothing is decided, as where a rare class has not its 25
    """

    spread: float
    confidence: float = 0.95
    clusters: int | None = None
    alike: float = 0.0
    least: int = FEWEST_ACTIVE

    @property
    def fewest(self) -> int:
        return MOST if self.clusters is not None and self.clusters < FEWEST_CLUSTERS else max(self.least, self.clusters or 0)

    def error(self, n: int) -> float:
        """Of the difference of n examples."""
        each = max(1.0, n / self.clusters) if self.clusters else 1.0
        return self.spread * math.sqrt((1 + (each - 1) * self.alike) / n)

    def guess(self, margin: float, power: float) -> float:
        return ((critical(self.confidence) + normal_quantile(power)) * self.spread / margin) ** 2

    def outcome(self, n: int, margin: float, change: float = 0.0) -> Outcome:
        if n < self.fewest:
            return Outcome(0.0, 0.0, normal_tail((margin + change) / self.error(max(n, 1))))
        reach = critical(self.confidence, (self.clusters or n) - 1)
        away = (margin + change) / self.error(n)
        return Outcome(normal_tail(reach - away), normal_tail(reach + away), normal_tail(away))


def examples(design: Design, margin: float, *, power: float = 0.8) -> int | None:
    """The fewest examples (three digits, rounded up) with which a harmless change passes with this power; None: more than 10⁹."""
    if margin <= 0:
        return None

    def enough(n: int) -> bool:
        return design.outcome(n, margin).passed >= power

    low, high = 0, max(design.fewest, round(design.guess(margin, power)), 2)
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    low = low or high // 2
    while low > design.fewest and enough(low):
        low, high = low // 2, low
    while high - low > max(1, high // 2000):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    rounded = _three_digits(high)
    while not enough(rounded):  # the chance of a share goes up in teeth: a little more may do a little worse
        rounded = _three_digits(rounded + 1)
    return rounded


def _three_digits(n: int) -> int:
    step = int(10 ** max(0, len(str(n)) - 3))
    return -(-n // step) * step


def margin(design: Design, n: int, *, power: float = 0.8, most: float = 1.0) -> float | None:
    """The smallest margin (to 1 %) that a harmless change keeps with this power on n examples; None where none up to `most` does."""
    low, high = 0.0, most
    if n < design.fewest or design.outcome(n, high * (1 - 1e-9)).passed < power:
        return None
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if design.outcome(n, middle).passed >= power else (middle, high)
    return high
