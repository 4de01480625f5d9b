"""Whether what a model is asked, and what it answers, still looks like its example: counts of the last rows against those of the reference.

The usual rule (a population stability index above 0.1) knows no sample size: at 200 rows it is above 0.1 in a third of the windows in which
nothing changed. Here the difference is held against what chance alone makes of two samples of these sizes, the reference's included.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from mlops_toolkit.formats.reference import Feature, Reference, Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRONG = 0.001  # of windows in which nothing changed, how many have a feature that is said to have drifted
EFFECT = 0.02  # what is smaller is nobody's concern: numbers of a bell curve moved by a seventh of its standard deviation
LEAST = 50  # rows of a window, at least
EXPECTED = 5.0  # rows a cell, on the smaller side, or it is joined with its neighbour
PARTS = 10  # of the window: the oldest goes when a new one begins


@dataclass(frozen=True)
class Found:
    """A feature's last rows against the reference.

    statistic  chi-squared of homogeneity of the two samples of cells
    threshold  what it must exceed
    effect     how much the shares differ, free of sample sizes and of what chance adds: 0 where nothing changed, about δ² where the numbers
               of a bell curve moved by δ standard deviations
    rows       of the window
    """

    feature: Feature
    statistic: float
    threshold: float
    effect: float
    rows: int

    @property
    def drifted(self) -> bool:
        """Whether it is more than chance, and more than nothing to speak of."""
        return self.statistic > self.threshold


def tail(x: float, df: int) -> float:
    """P(χ² > x) with a whole number of degrees of freedom, by the finite sums that exist for these (Abramowitz & Stegun 26.4.4–5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if df % 2:
        total = math.erfc(math.sqrt(half))
        term = math.sqrt(2 * x / math.pi) * math.exp(-half)
        steps = range(3, df + 1, 2)
    else:
        total, term = 0.0, math.exp(-half)
        steps = range(2, df + 1, 2)
    for divisor in steps:
        total += term
        term *= x / divisor
    return total


@functools.lru_cache(maxsize=1024)
def quantile(p: float, df: int) -> float:
    """x with P(χ² > x) = p, by halving from where Wilson and Hilferty's cube root says it is near."""
    z = NormalDist().inv_cdf(1 - p)
    near = df * max(1 - 2 / (9 * df) + z * math.sqrt(2 / (9 * df)), 0.0) ** 3
    low, high = 0.0, 2 * near + 10
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, df) > p else (low, middle)
    return (low + high) / 2


def judged(features: Sequence[Feature], counts: Sequence[Sequence[int]]) -> list[Found]:
    """Each feature that has enough rows, with a threshold that leaves room for all that are asked at once.

    counts: of the window, by feature and cell. Features whose reference or window is too small, and those in whose cells there is nothing to
    compare, are left out.
    """
    held = [(feature, _held(feature.counts, row)) for feature, row in zip(features, counts, strict=True)]
    asked = [(feature, one) for feature, one in held if one is not None]
    found = []
    for feature, (statistic, df, n, rows) in asked:
        scale = 1 / n + 1 / rows
        threshold = max(quantile(WRONG / len(asked), df), df + EFFECT / scale)
        found.append(Found(feature, statistic, threshold, max(0.0, (statistic - df) * scale), rows))
    return found


def _held(reference: Sequence[int], window: Sequence[int]) -> tuple[float, int, int, int] | None:
    """Statistic, degrees of freedom, rows of both. Cells are joined by what both samples together hold, which says nothing of their difference."""
    n, rows = sum(reference), sum(window[: len(reference)])
    if n < LEAST // 2 or rows < LEAST:
        return None
    share = min(n, rows) / (n + rows)
    cells: list[list[int]] = []
    ours = theirs = 0
    for a, b in zip(reference, window, strict=False):
        ours, theirs = ours + a, theirs + b
        if (ours + theirs) * share >= EXPECTED:
            cells.append([ours, theirs])
            ours = theirs = 0
    if cells:
        cells[-1][0] += ours
        cells[-1][1] += theirs
    if len(cells) < 2:
        return None
    statistic = sum((a * rows - b * n) ** 2 / (a + b) for a, b in cells) / (n * rows)
    return statistic, len(cells) - 1, n, rows


class Window:
    """The last rows of one side (inputs, or outputs) of a model, in cells. Not for several threads at once."""

    def __init__(self, features: Sequence[Feature], rows: int) -> None:
        import numpy as np

        self.features = features
        self._tally = Tally(features)
        self._each = max(1, rows // PARTS)
        self._parts = np.zeros((PARTS, len(features), self._tally.cells), np.int64)
        self._now, self._held = 0, 0

    def add(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count these rows; the oldest go where the window is full."""
        rows = max((len(array) for array in arrays.values()), default=0)
        start = 0
        while start < rows:
            if self._held >= self._each:
                self._now, self._held = (self._now + 1) % PARTS, 0
                self._parts[self._now] = 0
            end = min(rows, start + min(self._each - self._held, 512))  # so many at once need little memory
            self._parts[self._now] += self._tally({name: array[start:end] for name, array in arrays.items()})
            self._held += end - start
            start = end

    @property
    def rows(self) -> int:
        """That it holds now."""
        return int(self._parts[:, 0].sum()) if self.features else 0

    def found(self) -> list[Found]:
        """The window against the reference."""
        return judged(self.features, self._parts.sum(axis=0).tolist())


class Watched:
    """Both sides of a model."""

    def __init__(self, reference: Reference, rows: int) -> None:
        self.inputs = Window(reference.inputs, rows)
        self.outputs = Window(reference.outputs, rows)

    def add(self, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> None:
        """Rows that were asked, and the answers."""
        self.inputs.add(inputs)
        self.outputs.add(outputs)

    def found(self) -> Iterator[tuple[str, Found]]:
        """`input` or `output`, and what was found."""
        yield from (("input", one) for one in self.inputs.found())
        yield from (("output", one) for one in self.outputs.found())
