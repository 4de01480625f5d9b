"""How far influences spread, and so how far an interval reaches.

The reach is Student's t. Its degrees of freedom are those of the estimated variance (Satterthwaite): 2n/(kurtosis − 1), which a
few large influences, as of uneven weights, make few; and at most one less than there are rows (clusters) that contribute at all:
those that contribute exactly nothing tell nothing of the variance of those that do. A change made of a few rows that all got worse
has a skewed difference, which a symmetric interval passes too often (3.5 % at the margin instead of 2.5 %); the end
towards the long tail is moved out by the first term of the Edgeworth expansion of the studentised mean,
g·(2t² + 1)/6 (Hall 1992). The other end is not moved in: an interval only ever gets wider by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.distributions import critical, t_tail
from mlops_toolkit.stats.sample import Codes, Floats
from mlops_toolkit.stats.tally import Cells, summed

FEWEST_CLUSTERS = 10  # below, Student's t on cluster sums passes changes at the margin too often
FEWEST_EXAMPLES = 25  # of each class a metric depends on; below, influence and bootstrap intervals cover 75–90 % instead of 95 %
FEWEST_ACTIVE = 10  # rows (clusters) that contribute at all; below, the few that do say nothing about those that might

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spread:
    """Of the influences x of `units` independent rows or clusters, Σ x = 0, of which `active` contribute.

    size  √(Σ x²);  skew  Σ x³ / (Σ x²)^1.5, which is the skewness over the root of the number of units;
    tail  Σ x⁴ / (Σ x²)², which is the kurtosis over the number of units
    """

    units: int
    active: int
    size: float
    skew: float
    tail: float

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
    def df(self) -> int:
        """Degrees of freedom of Student's t."""
        excess = self.tail - 1 / self.units
        return max(1, min(self.active - 1, int(2 / excess)) if excess > 0 else self.active - 1)


def _moments(x: Floats, powers: tuple[Floats | float, Floats | float, Floats | float]) -> tuple[float, float, float]:
    """(√Σ s·x², Σ c·x³ / (Σ s·x²)^1.5, Σ f·x⁴ / (Σ s·x²)²), of x relative to the largest, so that no power of it overflows."""
    largest = float(np.abs(x).max(initial=0.0))
    if largest == 0:
        return 0.0, 0.0, 0.0
    share = x / largest
    square = share * share
    second, third, fourth = (float((power * by).sum()) for power, by in zip((square, square * share, square * square), powers, strict=True))
    if not second > 0:  # too small to square, or no number at all
        return largest * math.sqrt(second), 0.0, 0.0
    return largest * math.sqrt(second), third / second / math.sqrt(second), fourth / second / second


def reach(confidence: float, df: int, skew: float) -> tuple[float, float]:
    """How many standard errors a two-sided interval reaches down and up; skew as of `Spread`, positive for a long upper tail.

    A long upper tail of the rows hides in samples whose mean and spread are both small: so it is the upper end that moves.
    """
    t = critical(confidence, df)
    further = abs(skew) * (2 * t * t + 1) / 6
    return (t, t + further) if skew > 0 else (t + further, t)


def tail_beyond(distance: float, df: int, skew: float) -> float:
    """The one-sided p-value whose interval reaches up just `distance` standard errors: inverse to `reach`."""
    third = max(0.0, skew) / 3
    rest = distance - third / 2
    if rest <= 0:
        return t_tail(rest, df)
    return t_tail(2 * rest / (1 + math.sqrt(1 + 4 * third * rest)), df)


def by_unit(influence: Floats, cluster: Codes | None) -> Floats:
    """Influence (n,) summed by cluster; as it is where rows are not clustered. `cluster` as `tally.dense` gives it."""
    return influence if cluster is None else summed(cluster, influence, int(cluster.max()) + 1)
