"""How far influences spread, and so how far an interval reaches.

The reach is Student's t. Its degrees of freedom are those of the estimated variance (Satterthwaite): 2n/(kurtosis − 1), which a
few large influences, as of uneven weights, make few; and at most one less than there are rows (clusters) that contribute at all:
those that contribute exactly nothing tell nothing of the variance of those that do.

A change made of steps that are longer one way than the other has a skewed difference, which a symmetric interval passes too often (up to
8 % at the margin instead of 2.5 %): the samples that missed the long steps are those whose mean looks good and whose spread looks small.
So each end is that of a score interval: a change that lies d further out is made of d/s steps more of length s, which bring the variance
s·d with them. It is where d² = t²·(variance + s·d). For steps that all have one length this is Wilson's interval in the limit of rare
events. How long a step is taken to be is said in `Spread.steps`: nothing where both sides are alike and no example stands out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.sample import Codes, Floats
from mlops_toolkit.stats.tally import Cells, summed

FEWEST_CLUSTERS = 10  # below, Student's t on cluster sums passes changes at the margin too often
FEWEST_EXAMPLES = 25  # of each class a metric depends on; below, influence and bootstrap intervals cover 75–90 % instead of 95 %
FEWEST_ACTIVE = 10  # rows (clusters) that contribute at all; below, the few that do say nothing about those that might

STANDING_OUT = 2.5  # found by simulation: log-normal, t(3) and t(4) differences and their squares, dense and sparse, 100 to 3,000 rows

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spread:
    """Of the influences x of `units` independent rows or clusters, Σ x = 0, of which `active` contribute.

    size      √(Σ x²)
    skew      Σ x³ / (Σ x²)^1.5, which is the skewness over the root of the number of units
    tail      Σ x⁴ / (Σ x²)², which is the kurtosis over the number of units
    extremes  the largest −x and the largest x, over `size`
    """

    units: int
    active: int
    size: float
    skew: float
    tail: float
    extremes: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, by_unit: Floats, active: int | None = None) -> Spread:
        """Of the influence of every unit; without `active`, the units whose influence is not 0."""
        return cls(len(by_unit), int(np.count_nonzero(by_unit)) if active is None else active, *_moments(by_unit, (1.0, 1.0, 1.0)))

    @classmethod
    def of_cells(cls, cells: Cells, influence: Floats, active: npt.NDArray[np.bool_]) -> Spread:
        """Of the influence (m,) at weight 1 and the activity of every cell."""
        return cls(cells.units, cells.active(active), *_moments(*cells.by_unit(influence)))

    @property
    def error(self) -> float | None:
        """The standard error √(G/(G−1)·Σ x²); None where there is but one unit."""
        return math.sqrt(self.units / (self.units - 1)) * self.size if self.units > 1 else None

    def flat(self, scale: float) -> bool:
        """Whether there is no spread but the rounding of numbers of this size: nothing to make an interval of."""
        return self.error is None or not math.isfinite(self.error) or self.error * math.sqrt(self.units) <= _ROUNDING * abs(scale)

    @property
    def steps(self) -> tuple[float, float]:
        """How long a step down and one up is taken to be, in the metric's unit.

        Towards the longer tail it is Σ x³/Σ x², which is the length where there is but one. On both sides, where few of the units make
        up the spread, the longest that was seen counts too: by how much less than 2.5·√(contributing units) the degrees of freedom
        are, squared. At ten units of one size that is most of it, at a hundred normal ones a sixteenth; of a log-normal tail all of it,
        and of tails without a variance many times that: there an interval is so wide that it decides nothing.
        """
        down, up = self.skewed
        counts = (STANDING_OUT * math.sqrt(max(self.active, 1)) / self.df) ** 2
        extremes = [self.size * counts * extreme for extreme in self.extremes]
        return max(down, extremes[0]), max(up, extremes[1])

    @property
    def range(self) -> float:
        """From the least influence, or nothing, to the largest."""
        return self.size * sum(self.extremes)

    @property
    def longest(self) -> float:
        """The largest influence, whichever way it goes."""
        return self.size * max(self.extremes)

    @property
    def skewed(self) -> tuple[float, float]:
        """The same by `skew` alone."""
        return self.size * max(0.0, -self.skew), self.size * max(0.0, self.skew)

    @property
    def df(self) -> int:
        """Degrees of freedom of Student's t."""
        excess = self.tail - 1 / self.units
        # A little more, that a whole number stays one in whatever order it was added up.
        return max(1, min(self.active - 1, int(2 / excess * (1 + 1e-9))) if excess > 0 else self.active - 1)


def _moments(x: Floats, powers: tuple[Floats | float, Floats | float, Floats | float]) -> tuple[float, float, float, tuple[float, float]]:
    """size, skew, tail and extremes, from Σ s·x², Σ c·x³ and Σ f·x⁴, of x relative to the largest, so that no power of it overflows."""
    largest = float(np.abs(x).max(initial=0.0))
    if largest == 0:
        return 0.0, 0.0, 0.0, (0.0, 0.0)
    share = x / largest
    square = share * share
    second, third, fourth = (float((power * by).sum()) for power, by in zip((square, square * share, square * square), powers, strict=True))
    if not second > 0:  # too small to square, or no number at all
        return largest * math.sqrt(second), 0.0, 0.0, (0.0, 0.0)
    root = math.sqrt(second)
    extremes = (max(0.0, -float(share.min())) / root, max(0.0, float(share.max())) / root)
    return largest * root, third / second / root, fourth / second / second, extremes


def reach(confidence: float, df: int, skew: float) -> tuple[float, float]:
    """How many standard errors a two-sided interval reaches down and up; skew as of `Spread`, positive for a long upper tail.

    A long upper tail of the rows hides in samples whose mean and spread are both small: so it is the upper end that moves.
    """
    t = critical(confidence, df)
    further = distance(t, 1.0, abs(skew))
    return (t, further) if skew > 0 else (further, t)


def guarded(seen: tuple[float, float], error: float, longest: tuple[float, float]) -> tuple[float, float]:
    """Steps down and up that are at least a quarter of the longest there may be, the less, the more the standard error says that such
    were seen."""
    down, up = (
        max(one, most / 4 / (1 + error / most * (error / most))) if most > 0 else one for one, most in zip(seen, longest, strict=True)
    )
    return down, up


def distance(t: float, error: float, step: float) -> float:
    """How far an end lies that reaches by t of the standard errors `error`, where what lies further out is made of steps of this length."""
    half = t * step / 2
    return t * (half + math.hypot(half, error))


def reached(far: float, error: float, step: float) -> float:
    """The t whose end lies `far` away: inverse to `distance`, beyond the estimate; on this side of it steps do not count."""
    under = math.hypot(error, math.sqrt(max(0.0, far)) * math.sqrt(step))  # squared it would overflow
    return far / under if under > 0 else math.copysign(math.inf, far) if far else 0.0


def by_unit(influence: Floats, cluster: Codes | None) -> Floats:
    """Influence (n,) summed by cluster; as it is where rows are not clustered. `cluster` as `tally.dense` gives it."""
    return influence if cluster is None else summed(cluster, influence, int(cluster.max()) + 1)
