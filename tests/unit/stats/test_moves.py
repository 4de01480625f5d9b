"""Moves of a series: what is planted is found, and what never moved is left alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from mlops_toolkit.stats import moves
from mlops_toolkit.stats.distributions import sign_test
from mlops_toolkit.stats.moves import Contrast, Move, Series
from mlops_toolkit.stats.proportions import tango

Right = npt.NDArray[np.bool_]


def drawn(rng: np.random.Generator, accuracy: npt.NDArray[np.float64], n: int, fresh: float) -> Right:
    """Which rows are answered right, run by run (T, n): a row is as hard for every run, but for a share that each training draws anew."""
    hard = rng.random(n)
    return np.stack([np.where(rng.random(n) < fresh, rng.random(n), hard) < a for a in accuracy])


def found(right: Right) -> list[Move]:
    """As the verb does for accuracy."""
    values = right.mean(axis=1)
    series = Series(values, ((right - values[:, None]) / right.shape[1]).astype(np.float32))
    steps = []
    for place in range(1, len(values)):
        better, worse = int((right[place] & ~right[place - 1]).sum()), int((right[place - 1] & ~right[place]).sum())
        low, high = tango(better, worse, right.shape[1], 0.95)
        change = (better - worse) / right.shape[1]
        steps.append(Contrast(place - 1, place, place, change, low, high, sign_test(better, worse)))
    return moves.find(series, steps)


SHAPES = {
    "a step": (np.r_[np.full(12, 0.93), np.full(18, 0.88)], [11]),
    "two steps": (np.r_[np.full(10, 0.95), np.full(10, 0.90), np.full(10, 0.85)], [9, 19]),
    "up and down": (np.r_[np.full(10, 0.88), np.full(10, 0.93), np.full(10, 0.88)], [9, 19]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_planted_steps_are_named_and_their_intervals_hold_them(shape: str) -> None:
    accuracy, places = SHAPES[shape]
    rng, hit, held = np.random.default_rng(7), 0, 0
    for _ in range(10):
        named = found(drawn(rng, accuracy, 2000, 0.2))
        hit += [move.first for move in named] == places and all(move.single for move in named)
        for move in named:
            truth = accuracy[move.last] - accuracy[move.first]
            held += move.low is not None and move.high is not None and move.low <= truth <= move.high
    assert hit >= 8
    assert held >= 0.9 * 10 * len(places)


def test_a_slow_fall_is_one_span_of_which_no_step_is_named() -> None:
    accuracy, spans = np.linspace(0.95, 0.89, 25), []
    rng = np.random.default_rng(8)
    for _ in range(10):
        named = found(drawn(rng, accuracy, 2000, 0.2))
        spans += [move for move in named if not move.single]
        assert sum(move.single for move in named) <= 1
        assert all(move.change < 0 for move in named)
    assert len(spans) >= 9
    assert sum(
        span.low is not None and span.low <= accuracy[span.last] - accuracy[span.first] <= (span.high or 0) for span in spans
    ) >= 0.8 * len(spans)


def test_equal_runs_do_not_move() -> None:
    right = np.repeat(drawn(np.random.default_rng(1), np.array([0.9]), 500, 0.0), 12, axis=0)
    assert found(right) == []


def test_two_runs_are_one_step() -> None:
    right = drawn(np.random.default_rng(2), np.array([0.95, 0.85]), 1000, 0.1)
    assert [(move.first, move.last) for move in found(right)] == [(0, 1)]
    assert moves.windows(2) == moves.windows(3) == []
    assert moves.windows(5) == [(0, 2, 3), (1, 3, 4)]


def test_clusters_count_as_what_they_are() -> None:
    """Ten copies of a row are one: what is certain of 1,000 rows is not of 100."""
    right = drawn(np.random.default_rng(3), np.array([0.9, 0.9, 0.86, 0.86]), 150, 0.1)
    whole = np.repeat(right, 10, axis=1)
    values = whole.mean(axis=1)
    influence = ((whole - values[:, None]) / whole.shape[1]).astype(np.float32)
    apart, together = (Series(values, influence, c).contrast(0, 2, 3, 0.95) for c in (None, np.repeat(np.arange(150, dtype=np.int32), 10)))
    assert apart.p < together.p
    assert together.low is None or apart.low is None or together.low < apart.low


def test_the_same_series_gives_the_same_moves() -> None:
    right = drawn(np.random.default_rng(4), np.linspace(0.95, 0.85, 20), 800, 0.2)
    assert found(right) == found(right)


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "n", "fresh"), [(6, 200, 0.3), (12, 1000, 0.05), (30, 500, 0.2)])
def test_where_nothing_ever_moved_something_is_named_in_at_most_five_percent(runs: int, n: int, fresh: float) -> None:
    rng, times = np.random.default_rng(runs), 400
    false = sum(bool(found(drawn(rng, np.full(runs, 0.9), n, fresh))) for _ in range(times))
    assert false / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5


@pytest.mark.slow
def test_beside_a_real_step_nothing_else_is_named_in_at_most_five_percent() -> None:
    """What is named must hold the step: strong control, not only under "nothing ever moved"."""
    accuracy, rng, times = np.r_[np.full(8, 0.93), np.full(8, 0.89)], np.random.default_rng(16), 300
    wrong = Counter(all(move.first <= 7 < move.last for move in found(drawn(rng, accuracy, 1000, 0.2))) for _ in range(times))
    assert wrong[False] / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5
