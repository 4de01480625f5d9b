"""Where a series of values on the same examples really moved: between which neighbours, or over which stretch where no step can be named.

Every contrast is the mean of some runs less the mean of as many before them: of one each (did this step move?), of two, four, eight, …
(did it move somewhere around here?). Averaging tells what single steps are too small to show. Half of the error goes to the
single steps and half to the longer windows, each shared out evenly among all that are looked at (Bonferroni). The chance that any stretch
is named in which nothing moved is then at most `error`, whatever moved elsewhere: the narrowest windows that are significant are
taken first, and each holds at least one move, as in Fryzlewicz's narrowest significance pursuit (J. Am. Stat. Assoc. 119, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.distributions import critical, t_tail
from mlops_toolkit.stats.sample import Codes
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, Spread, by_unit, distance, reached

NOISE = 1e-9  # a contribution below this share of the largest is rounding, in single precision
Influences = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Contrast:
    """The mean of the runs from `middle` to `last` less that of as many from `first`, oriented as the values are.

    low, high  its interval; None where there are too few examples that contribute. p: two-sided, of no change at all
    """

    first: int
    middle: int
    last: int
    change: float
    low: float | None
    high: float | None
    p: float


@dataclass(frozen=True)
class Move:
    """Something moved after run `first` and up to run `last` (places in the series); a single step where they are neighbours.

    change, low, high  from the one to the other
    """

    first: int
    last: int
    change: float
    low: float | None
    high: float | None
    p: float

    @property
    def single(self) -> bool:
        return self.last == self.first + 1


@dataclass(frozen=True)
class Series:
    """values (T,) oriented so that + is better; influence (T, n) single precision, of each value; cluster (n,) codes or None."""

    values: npt.NDArray[np.float64]
    influence: Influences
    cluster: Codes | None = None

    def contrast(self, first: int, middle: int, last: int, confidence: float) -> Contrast:
        """See `Contrast`; the two windows may differ in length."""
        before, after = slice(first, middle), slice(middle, last + 1)
        change = float(self.values[after].mean() - self.values[before].mean())
        difference = self.influence[after].mean(axis=0, dtype=np.float64) - self.influence[before].mean(axis=0, dtype=np.float64)
        units = by_unit(difference, self.cluster)
        active = int(np.count_nonzero(np.abs(units) > NOISE * np.abs(self.influence[first : last + 1]).max(initial=0.0)))
        spread = Spread.of(units, active)
        few = active < FEWEST_ACTIVE or (self.cluster is not None and len(units) < FEWEST_CLUSTERS)
        if few or not spread.error or not math.isfinite(spread.error):
            return Contrast(first, middle, last, change, None, None, 1.0)
        t, (down, up) = critical(confidence, spread.df), spread.steps
        tail = t_tail(reached(abs(change), spread.error, down if change > 0 else up), spread.df)
        low, high = change - distance(t, spread.error, down), change + distance(t, spread.error, up)
        return Contrast(first, middle, last, change, low, high, min(1.0, 2 * tail))


def windows(runs: int) -> list[tuple[int, int, int]]:
    """(first, middle, last) of every pair of neighbouring windows of 2, 4, 8, … runs each."""
    sizes = [2**k for k in range(1, max(runs, 1).bit_length()) if 2 ** (k + 1) <= runs]
    return [(middle - size, middle, middle + size - 1) for size in sizes for middle in range(size, runs - size + 1)]


def find(
    series: Series, steps: Sequence[Contrast], *, error: float = 0.05, confidence: float = 0.95, tick: Callable[[], None] = lambda: None
) -> list[Move]:
    """The moves, oldest first.

    steps: the contrast of each run with the one before it, T − 1 of them, as the metric's own paired comparison has it.
    error: the largest chance that anything is named in which nothing moved. Nothing is drawn: the same series gives the same moves.
    """
    runs = len(series.values)
    looked = windows(runs)
    share = error / 2 if looked else error
    singles = [step for step in steps if step.p <= share / max(len(steps), 1)]
    named = [Move(step.first, step.last, step.change, step.low, step.high, step.p) for step in singles]
    taken = {move.last for move in named}
    spans: list[Contrast] = []
    found = []
    for first, middle, last in looked:
        if taken & set(range(first + 1, last + 1)):
            continue  # a step in it is named already, and may be all that moved
        contrast = series.contrast(first, middle, last, confidence)
        tick()
        if contrast.p <= share / len(looked):
            found.append(contrast)
    for contrast in sorted(found, key=lambda c: (c.last - c.first, c.p, c.first)):
        if not any(contrast.first < other.last and other.first < contrast.last for other in spans):
            spans.append(contrast)
    return sorted([*named, *_joined(series, sorted(spans, key=lambda c: c.first), taken, confidence)], key=lambda move: move.first)


def _joined(series: Series, spans: Sequence[Contrast], taken: set[int], confidence: float) -> list[Move]:
    """Stretches in which it went the same way, one after the other, are one: a slow fall has no seams."""
    groups: list[list[Contrast]] = []
    for span in spans:
        if groups and _same_fall(groups[-1][-1], span, taken):
            groups[-1].append(span)
        else:
            groups.append([span])
    moves = []
    for group in groups:
        first, last = group[0].first, group[-1].last
        ends = end_to_end(series, first, last, confidence)
        moves.append(Move(first, last, ends.change, ends.low, ends.high, min(span.p for span in group)))
    return moves


def _same_fall(one: Contrast, next_one: Contrast, taken: set[int]) -> bool:
    length = max(one.last - one.first, next_one.last - next_one.first)
    between = set(range(one.last + 1, next_one.first + 1))
    return (one.change > 0) == (next_one.change > 0) and next_one.first - one.last <= length and not between & taken


def end_to_end(series: Series, first: int, last: int, confidence: float) -> Contrast:
    """From one run to a later one, whatever lies between."""
    picked = Series(series.values[[first, last]], series.influence[[first, last]], series.cluster)
    made = picked.contrast(0, 1, 1, confidence)
    return Contrast(first, last, last, made.change, made.low, made.high, made.p)
