"""Two lists of measurements: measured apart and in turn, by their means and by quantiles."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import ttest_ind

from mlops_toolkit.stats import repeats
from tests.unit.stats.test_order import course

Floats = npt.NDArray[np.float64]


def test_means_of_two_independent_lists_have_welchs_interval_or_a_wider_one() -> None:
    rng = np.random.default_rng(1)
    base, head = rng.normal(20, 1, 12), rng.normal(21, 2, 15)
    found = repeats.apart("latency", base, head, None, direction="lower")
    welch = ttest_ind(head, base, equal_var=False).confidence_interval()
    assert found.change == pytest.approx(-(head.mean() - base.mean()))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= -welch.high + 1e-9
    assert found.high >= -welch.low - 1e-9
    assert found.high - found.low < 1.5 * (welch.high - welch.low)


def test_the_direction_turns_the_interval_over() -> None:
    rng = np.random.default_rng(2)
    base, head = rng.exponential(1, 200), rng.exponential(1.3, 150)
    for q in (None, 0.5, 0.9):
        low, high = (repeats.apart("x", base, head, q, direction=d) for d in ("lower", "higher"))
        assert (low.low, low.high) == (pytest.approx(-(high.high or 0)), pytest.approx(-(high.low or 0)))
        assert low.change == -(high.change or 0)


def test_a_quantile_without_values_enough_says_how_many_it_needs() -> None:
    found = repeats.apart("latency-ms", np.arange(50.0) % 7, np.arange(500.0) % 11, 0.99, direction="lower")
    assert (found.low, found.reason) == (None, "too-few")
    assert "p99 needs at least 368 independent values" in (found.message or "")
    few = repeats.in_turn("latency-ms", np.arange(40.0), np.arange(40.0), 0.99, direction="lower")
    assert (few.reason, few.message) == ("too-few", "p99 needs at least 368 values, and there are 40")


def test_few_rounds_are_no_interval() -> None:
    found = repeats.in_turn("latency-ms", np.arange(18.0), np.arange(18.0) + 1, None, direction="lower")
    assert (found.change, found.low, found.reason) == (-1.0, None, "too-few")


def test_a_steady_drift_and_the_order_within_a_round_cancel() -> None:
    """A B, B A: the second of a round is always 2 slower, and everything gets slower by 1 a run."""
    rounds = 40
    runs = np.arange(2.0 * rounds) + 100
    first, second = runs[0::2], runs[1::2] + 2
    turned = np.arange(rounds) % 2 == 1
    base, head = np.where(turned, second, first), np.where(turned, first, second)
    found = repeats.in_turn("latency-ms", base, head, None, direction="lower")
    assert found.change == pytest.approx(0, abs=1e-9)
    assert found.low == pytest.approx(0, abs=1e-9)


def in_turn(rng: np.random.Generator, rounds: int, slower: float, *, spread: float, each: int = 1) -> tuple[Floats, Floats]:
    """A machine that gets a third slower, with slow minutes; runs in the order A B B A."""
    n = 2 * rounds
    machine = 10 * np.exp(0.3 * np.linspace(0, 1, n) + 0.15 * course(rng, n, 0.9))
    took = machine[:, None] * np.exp(spread * rng.standard_normal((n, each)))
    base, head = np.empty((rounds, each)), np.empty((rounds, each))
    for k in range(rounds):
        a, b = (2 * k, 2 * k + 1) if k % 2 == 0 else (2 * k + 1, 2 * k)
        base[k], head[k] = took[a], took[b] * (1 + slower)
    return base.ravel(), head.ravel()


@pytest.mark.slow
@pytest.mark.parametrize(("q", "rounds", "each"), [(None, 30, 1), (0.5, 30, 1), (None, 30, 20), (0.5, 40, 20), (0.95, 40, 20)])
def test_on_a_drifting_machine_the_same_speed_seldom_fails_and_a_fifth_slower_is_found(q: float | None, rounds: int, each: int) -> None:
    rng, draws = np.random.default_rng(11), 150
    worse = better = found = 0
    for _ in range(draws):
        same = repeats.in_turn("x", *in_turn(rng, rounds, 0.0, spread=0.1, each=each), q, each=each, direction="lower")
        slow = repeats.in_turn("x", *in_turn(rng, rounds, 0.2, spread=0.1, each=each), q, each=each, direction="lower")
        assert same.low is not None
        assert same.high is not None
        assert slow.high is not None
        worse, better, found = worse + (same.high < 0), better + (same.low > 0), found + (slow.high < 0)
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / draws)
    assert worse / draws <= most
    assert better / draws <= most
    assert found / draws >= (0.8 if q != 0.95 else 0), "the slowest twentieth of a drifting machine is of its last minutes alone"


APART = {
    "skewed": lambda rng, n: np.exp(rng.standard_normal(n)),
    "heavy": lambda rng, n: rng.pareto(3, n) + 1,
    "rounded": lambda rng, n: np.round(10 * np.exp(0.3 * rng.standard_normal(n))),
    "dependent": lambda rng, n: np.exp(0.5 * course(rng, n, 0.5)),
    "pauses": lambda rng, n: 10 + rng.standard_normal(n) + np.where(rng.random(n) < 0.03, 100, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", APART)
@pytest.mark.parametrize(
    ("n", "m", "q"), [(20, 20, None), (40, 160, None), (200, 200, None), (60, 60, 0.5), (300, 300, 0.5), (300, 600, 0.95)]
)
def test_two_lists_of_one_thing_differ_in_at_most_a_fortieth_of_cases_on_each_side(kind: str, n: int, m: int, q: float | None) -> None:
    rng, draws = np.random.default_rng(13), 250
    worse = better = 0
    for _ in range(draws):
        found = repeats.apart("x", APART[kind](rng, n), APART[kind](rng, m), q, direction="lower")
        worse += found.high is not None and found.high < -1e-9
        better += found.low is not None and found.low > 1e-9
    most = 0.035 + 3 * math.sqrt(0.035 * 0.965 / draws)  # 93 % of both together
    assert worse / draws <= most
    assert better / draws <= most


@pytest.mark.parametrize("n", [5, 10, 15])
def test_a_few_skewed_values_are_seldom_said_to_lie_below_their_mean(n: int) -> None:
    rng = np.random.default_rng(n)
    found = [repeats.alone("x", rng.lognormal(0, 1, n), None) for _ in range(400)]
    assert sum(one.head_high is None or one.head_high >= math.exp(0.5) for one in found) >= 0.93 * 400 - 3 * math.sqrt(400 * 0.07 * 0.93)
    steady = repeats.alone("x", 10 + 0.1 * rng.normal(size=n), None)
    assert steady.head_high is not None
    assert steady.head_high < 12
