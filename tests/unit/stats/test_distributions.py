"""The distributions agree with scipy's, which the tool itself does not load."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as theirs

from mlops_toolkit.stats.distributions import critical, normal_quantile, normal_tail, sign_test, t_quantile, t_tail


@settings(deadline=None, max_examples=150)
@given(p=st.floats(1e-5, 1 - 1e-5), df=st.one_of(st.integers(1, 60), st.integers(61, 10**8)))
def test_students_quantile_is_exact_to_ten_digits_at_any_degrees_of_freedom(p: float, df: int) -> None:
    assert t_quantile(p, df) == pytest.approx(theirs.t.ppf(p, df), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("df", [999, 1000])
def test_the_two_ways_to_students_quantile_meet(df: int) -> None:
    for p in (0.6, 0.9, 0.975, 0.995, 1 - 1e-6):
        assert t_quantile(p, df) == pytest.approx(theirs.t.ppf(p, df), rel=1e-10)


@settings(deadline=None, max_examples=150)
@given(t=st.floats(-40, 40), df=st.one_of(st.integers(1, 60), st.integers(61, 10**7)))
def test_students_tail_agrees_with_scipy(t: float, df: int) -> None:
    assert t_tail(t, df) == pytest.approx(theirs.t.sf(t, df), rel=1e-6, abs=1e-14)


@settings(deadline=None, max_examples=100)
@given(confidence=st.floats(0.5, 0.9999), df=st.integers(1, 5000))
def test_the_tail_beyond_the_critical_value_is_what_the_confidence_leaves(confidence: float, df: int) -> None:
    assert t_tail(critical(confidence, df), df) == pytest.approx((1 - confidence) / 2, rel=1e-8)
    assert normal_tail(critical(confidence)) == pytest.approx((1 - confidence) / 2, rel=1e-9)


def test_the_normal_tail_stays_exact_far_out() -> None:
    assert normal_quantile(0.975) == pytest.approx(1.959963984540054, abs=1e-12)
    for z in (-9.0, 0.0, 5.0, 20.0, 35.0):
        assert normal_tail(z) == pytest.approx(theirs.norm.sf(z), rel=1e-12)
    assert normal_tail(math.inf) == 0


@settings(deadline=None, max_examples=100)
@given(better=st.integers(0, 3000), worse=st.integers(0, 3000))
def test_the_sign_test_is_the_exact_binomial_one(better: int, worse: int) -> None:
    trials = better + worse
    expected = 1.0 if trials == 0 else theirs.binomtest(better, trials, 0.5).pvalue
    assert sign_test(better, worse) == pytest.approx(expected, rel=1e-9, abs=1e-290)


def test_the_sign_test_takes_a_hundred_million_changes() -> None:
    assert sign_test(50_000_000, 50_010_000) == pytest.approx(theirs.norm.sf(9_999 / math.sqrt(100_010_000)) * 2, rel=1e-4)
