"""Planned comparisons: the exact chances agree with drawing, with the interval itself, and with what is asked back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from mlops_toolkit.stats import sizes
from mlops_toolkit.stats.proportions import tango, tango_statistic
from mlops_toolkit.stats.sizes import Means, Shares


@given(st.integers(1, 3000), st.floats(0.0005, 0.4), st.data())
def test_many_counts_at_once_have_the_statistic_of_each(n: int, margin: float, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    worse = data.draw(st.integers(0, count))
    one = sizes._statistic(np.array([count]), np.array([worse]), n, margin)[0]
    assert one == pytest.approx(tango_statistic(count - worse, worse, n, -margin), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("n", "disagree", "margin", "change"), [(60, 0.2, 0.1, 0.0), (120, 0.1, 0.05, -0.1), (80, 0.05, 0.04, 0.02)])
def test_the_chances_are_the_sums_over_all_outcomes(n: int, disagree: float, margin: float, change: float) -> None:
    worse = (1 - change / max(disagree, abs(change))) / 2
    passed = failed = beyond = 0.0
    for count in range(n + 1):
        for bad in range(count + 1):
            chance = binom.pmf(count, n, max(disagree, abs(change))) * binom.pmf(bad, count, worse)
            low, high = tango(count - bad, bad, n, 0.95)
            passed += chance * (low > -margin)
            failed += chance * (high < -margin)
            beyond += chance * ((count - 2 * bad) / n < -margin - 1e-12)
    found = Shares(disagree).outcome(n, margin, change)
    assert (found.passed, found.failed, found.beyond) == (
        pytest.approx(passed, abs=1e-9),
        pytest.approx(failed, abs=1e-9),
        pytest.approx(beyond, abs=1e-9),
    )


@pytest.mark.parametrize(("disagree", "margin", "power"), [(0.04, 0.01, 0.8), (0.1, 0.02, 0.9), (0.02, 0.002, 0.8), (0.3, 0.05, 0.5)])
def test_drawing_at_the_number_it_says_finds_the_power(disagree: float, margin: float, power: float) -> None:
    n = sizes.examples(Shares(disagree), margin, power=power)
    assert n is not None
    rng, draws = np.random.default_rng(5), 2000
    counts = rng.binomial(n, disagree, draws)
    bad = rng.binomial(counts, 0.5)
    kept = sum(tango(int(c - b), int(b), n, 0.95)[0] > -margin for c, b in zip(counts, bad, strict=True)) / draws
    assert abs(kept - power) <= 3 * math.sqrt(power * (1 - power) / draws) + 0.02, "teeth and rounding to three digits are within 2 %"
    fewer = Shares(disagree).outcome(round(n * 0.9), margin).passed
    assert fewer < power


def test_means_agree_with_drawing_too() -> None:
    design = Means(2.5)
    n = sizes.examples(design, 0.3, power=0.8)
    assert n is not None
    rng, draws = np.random.default_rng(6), 2000
    values = rng.normal(0, 2.5, (draws, n))
    low = values.mean(axis=1) - 1.962 * values.std(axis=1, ddof=1) / math.sqrt(n)
    assert (low > -0.3).mean() == pytest.approx(0.8, abs=0.03)


def test_the_margin_of_so_many_examples_needs_so_many() -> None:
    for design in (Shares(0.04), Means(0.2)):
        margin = sizes.margin(design, 2000, power=0.8)
        assert margin is not None
        assert sizes.examples(design, margin, power=0.8) == pytest.approx(2000, rel=0.03)


def test_what_nothing_decides_is_none() -> None:
    assert sizes.examples(Shares(0.04), 0.0) is None
    assert sizes.examples(Means(1.0, clusters=50, alike=0.2), 0.01) is None, "more examples of the same users do not help"
    assert sizes.margin(Means(1.0, clusters=9, alike=0.2), 10_000) is None
    assert sizes.margin(Means(1.0, least=250), 200) is None


def test_large_numbers_are_answered_as_exactly_as_needed() -> None:
    n = sizes.examples(Shares(0.04), 0.0001)
    assert n == pytest.approx(0.04 * ((1.959964 + 0.841621) / 0.0001) ** 2, rel=0.01)


def test_the_readmes_own_example_is_the_designs_promise() -> None:
    """n = 2,000, 4 % disagreement, 1 pp: a harmless change needs a yes in at most 5 %, a real drop of 2 pp slips through in at most 10 %."""
    harmless, real = (Shares(0.04).outcome(2000, 0.01, change) for change in (0.0, -0.02))
    assert harmless.beyond <= 0.05
    assert 1 - real.beyond <= 0.10
