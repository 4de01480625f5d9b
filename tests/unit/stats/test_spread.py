"""An interval reaches by Student's t, further towards the long tail, never less."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config import requests
from mlops_toolkit.stats.distributions import critical, t_tail
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.spread import Spread, by_unit, distance, reach, reached

SKEWS = st.floats(-0.4, 0.4)
DFS = st.one_of(st.integers(9, 60), st.integers(61, 10**6))


@settings(deadline=None, max_examples=100)
@given(skew=SKEWS, df=DFS, confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_skew_moves_one_end_out_and_none_in(skew: float, df: int, confidence: float) -> None:
    t = critical(confidence, df)
    down, up = reach(confidence, df, skew)
    assert min(down, up) == t
    assert up >= down if skew > 0 else down >= up
    assert reach(confidence, df, -skew) == (up, down)


@settings(deadline=None, max_examples=150)
@given(skew=SKEWS, df=DFS, confidence=st.floats(0.5, 0.9999))
def test_the_p_value_is_the_inverse_of_the_upper_reach(skew: float, df: int, confidence: float) -> None:
    up = reach(confidence, df, skew)[1]
    assert t_tail(reached(up, 1.0, max(0.0, skew)), df) == pytest.approx((1 - confidence) / 2, rel=1e-6)


@settings(deadline=None, max_examples=150)
@given(t=st.floats(0.1, 9), error=st.floats(0, 5), step=st.floats(1e-6, 5))
def test_an_end_is_where_the_score_statistic_is_t(t: float, error: float, step: float) -> None:
    far = distance(t, error, step)
    assert far**2 == pytest.approx(t * t * (error**2 + step * far), rel=1e-9)
    assert reached(far, error, step) == pytest.approx(t, rel=1e-9)
    assert far >= t * error


def test_where_nothing_was_seen_the_end_is_that_of_a_rare_event() -> None:
    assert distance(critical(0.95), 0.0, 1 / 500) == pytest.approx(critical(0.95) ** 2 / 500)
    assert reached(0.0, 0.0, 0.0) == 0.0
    assert reached(-1.0, 0.0, 0.3) == -np.inf


@settings(deadline=None, max_examples=60)
@given(skew=SKEWS, df=DFS)
def test_the_p_value_falls_as_the_distance_grows(skew: float, df: int) -> None:
    tails = [t_tail(reached(far, 1.0, max(0.0, skew)), df) for far in np.linspace(-3, 12, 60)]
    assert all(later <= earlier + 1e-13 for earlier, later in itertools.pairwise(tails))
    assert 0 <= tails[-1] < tails[0] <= 1


def test_moments_are_those_of_the_units_and_one_unit_has_no_error() -> None:
    x = np.array([3.0, -1.0, -2.0, 0.0])
    spread = Spread.of(x)
    assert (spread.units, spread.active, spread.df) == (4, 3, 2)
    assert spread.error == pytest.approx(np.sqrt(4 / 3 * 14))
    assert spread.skew == pytest.approx((27 - 1 - 8) / 14**1.5)
    assert Spread.of(np.array([0.0])).error is None
    assert Spread.of(np.zeros(5)).skew == 0
    assert by_unit(x, np.array([0, 1, 1, 0], np.int32)).tolist() == [3.0, -3.0]


@pytest.mark.parametrize("size", [1e-160, 1.0, 1e160])
def test_a_few_large_influences_tell_little_of_their_variance(size: float) -> None:
    even, uneven = (np.tile([1.0, -1.0], 50), np.append(np.tile([1.0, -1.0], 49), [30.0, -30.0]))
    assert Spread.of(even * size).df == 99
    assert Spread.of(uneven * size).df == 4


def test_intervals_of_uneven_weights_miss_as_often_as_they_say() -> None:
    rng, column, missed, samples = np.random.default_rng(20), requests.metric("mean:c", options={"better": "higher"}), 0, 3000
    for _ in range(samples):
        weight, before, change = rng.lognormal(0, 1, 60), *rng.normal(0, 1, (2, 60))
        sides = (Sample(n=60, columns={"c": values}, weight=weight) for values in (before, before + change))
        found = paired(resolve(column), *sides)
        missed += found.low is None or found.high is None or found.low > 0 or found.high < 0
    assert missed / samples <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / samples)  # 0.07 with a degree of freedom a row


def test_a_few_rows_that_all_got_worse_reach_further_down() -> None:
    change = np.where(np.arange(1000) < 15, -1.0, 0.0)
    spread = Spread.of(change - change.mean(), active=15)
    down, up = reach(0.95, spread.df, spread.skew)
    assert spread.skew < 0
    assert down > 1.2 * up
