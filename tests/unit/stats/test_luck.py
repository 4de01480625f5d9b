"""The luck of training in an interval: its level whatever the two variances are, few seeds too, and what a naive one does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.luck import Luck, Part, Spread, _chi_square, _taken_off
from mlops_toolkit.stats.proportions import tango

RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0, 6.0, 10.0, 30.0, 100.0, 1000.0)  # of the variance of training to what the test set explains
COMMON = (0.0, 0.3, 3.0)  # of the test part that all seeds have in common


def missed(seeds: int, ratio: float, common: float, confidence: float) -> float:
    """How often the true change lies outside, by integration over the estimated variance; one side of it."""
    draws = stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, seeds - 1) / (seeds - 1)
    test = critical(confidence) ** 2 * (common + 1)
    squares = [
        test + critical(confidence, seeds - 1) ** 2 * Spread(seeds, (1 + ratio) * float(draw), 1.0).cautious(confidence) for draw in draws
    ]
    return float(stats.chi2.sf(np.array(squares) / (common + 1 + ratio), 1).mean()) / 2


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8, 20])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.975, 0.99, 0.999])
def test_the_interval_keeps_its_level_whatever_the_variances_are(seeds: int, confidence: float) -> None:
    worst = max(missed(seeds, ratio, common, confidence) for ratio in RATIOS for common in COMMON)
    assert worst <= (1 - confidence) / 2 * 1.05


def test_a_common_t_by_satterthwaite_would_not() -> None:
    draws = stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, 1)
    seen = 101.0 * draws  # two seeds, and a luck of training ten times as wide as the test part
    total = 11 + np.maximum(0, seen - 1)
    t = stats.t.ppf(0.975, np.maximum(1, total**2 / seen**2))
    assert stats.chi2.sf(t**2 * total / 111, 1).mean() / 2 > 0.05


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 12, 99])
def test_the_distribution_of_a_sum_of_squares_is_scipys(df: int) -> None:
    for x in (0.01, 0.5, 1.0, df / 2, float(df), 2.0 * df):
        assert _chi_square(x, df) == pytest.approx(stats.chi2.cdf(x, df), abs=1e-12)


def test_what_is_taken_off_grows_with_the_seeds_and_falls_with_the_confidence() -> None:
    by_seeds = [_taken_off(seeds, 0.95) for seeds in (2, 3, 5, 10, 50)]
    assert by_seeds[0] == 0
    assert by_seeds == sorted(by_seeds)
    assert [_taken_off(5, c) for c in (0.999, 0.99, 0.95, 0.9)] == sorted(_taken_off(5, c) for c in (0.999, 0.99, 0.95, 0.9))


def test_without_any_luck_it_is_the_interval_of_the_test_set() -> None:
    luck = Luck((Part(Spread(3, 0.0, 0.0), 1 / 3),), (20.0, 30.0, 2000.0))
    low, high = tango(20, 30, 2000, 0.95)
    assert luck.reach(0.95) == pytest.approx((-0.005 - low, high + 0.005))
    assert luck.training == 0


def test_the_part_that_is_shown_is_unbiased_and_never_below_nothing() -> None:
    assert Spread(3, 5.0, 1.0).training == 2.0
    assert Spread(3, 1.0, 5.0).training == 0.0
    assert Luck((Part(Spread(4, 5.0, 1.0), 1 / 4),)).training == 1.0


@pytest.mark.parametrize("margin", [0.0, 0.004, 0.01])
def test_the_p_value_is_below_its_level_just_where_the_interval_lies_beyond(margin: float) -> None:
    luck = Luck((Part(Spread(4, 4e-6, 1e-6), 1 / 4),), error=0.001, df=50, steps=(0.0, 0.00001))
    for confidence in (0.9, 0.95, 0.99):
        up = luck.reach(confidence)[1]
        level = (1 - confidence) / 2
        assert luck.p_beyond(-margin - up * 1.001, margin) < level
        assert luck.p_beyond(-margin - up * 0.999, margin) > level
    assert luck.p_beyond(0.1, margin) == 0.5
