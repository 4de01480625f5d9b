"""Quantiles of a list: ranks against the binomial, and intervals that hold for skewed, rounded and dependent values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from mlops_toolkit.stats import order


@pytest.mark.parametrize("n", [6, 30, 72, 100, 368, 1000, 20_000])
@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_ranks_are_the_closest_that_the_binomial_allows(n: int, q: float) -> None:
    found = order.ranks(n, q, 0.95)
    if found is None:
        assert q**n > 0.025 or (1 - q) ** n > 0.025
        return
    low, high = found
    assert binom.cdf(low - 1, n, q) <= 0.025 + 1e-12, "the value of this rank is above the quantile too often"
    assert binom.sf(high - 1, n, q) <= 0.025 + 1e-12
    assert binom.cdf(low, n, q) > 0.025, "a higher rank would do"
    assert binom.sf(high - 2, n, q) > 0.025


def test_the_fewest_values_are_those_whose_extremes_enclose_the_quantile() -> None:
    assert [order.fewest(q) for q in (0.5, 0.95, 0.99)] == [6, 72, 368]
    for q in (0.5, 0.9, 0.95, 0.99):
        least = order.fewest(q)
        assert order.ranks(least, q, 0.95) is not None
        assert order.ranks(least - 1, q, 0.95) is None


def test_too_few_values_have_a_quantile_and_no_interval() -> None:
    found = order.quantile(np.arange(200.0) % 17, 0.99)
    assert (found.low, found.high, found.least) == (None, None, 368)
    assert found.value == np.quantile(np.arange(200.0) % 17, 0.99)


def test_the_order_of_independent_values_matters_little_and_that_of_a_slow_minute_much() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(2000)
    assert order.dependence(values) < 1.5
    assert order.dependence(np.sort(values)) > 50, "sorted values are worth a few"
    assert order.dependence(np.repeat(values[:200], 10), 10) == pytest.approx(10, rel=0.4), "ten copies a round are one value"


def test_values_that_are_all_the_same_are_no_evidence_of_dependence() -> None:
    assert order.dependence(np.full(100, 3.0)) == 1.0
    assert order.quantile(np.full(100, 3.0), 0.5).low == 3.0


def course(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    noise = rng.standard_normal(n + 200) * math.sqrt(1 - rho * rho)
    return np.asarray(lfilter([1], [1, -rho], noise))[200:]


KINDS = {
    "skewed": lambda rng, n: np.exp(0.8 * rng.standard_normal(n)),
    "heavy": lambda rng, n: rng.pareto(2.5, n) + 1,
    "rounded": lambda rng, n: np.round(10 * np.exp(0.3 * rng.standard_normal(n))),
    "two humps": lambda rng, n: np.where(rng.random(n) < 0.1, 30, 10) + rng.standard_normal(n),
    "dependent": lambda rng, n: np.exp(0.5 * course(rng, n, 0.6)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("q", "n"), [(0.5, 60), (0.5, 400), (0.95, 400), (0.99, 1500)])
def test_an_interval_that_is_given_misses_the_true_quantile_in_at_most_five_of_a_hundred(kind: str, q: float, n: int) -> None:
    rng, draws = np.random.default_rng(7), 250
    truth = float(np.quantile(KINDS[kind](rng, 1_000_000), q))
    missed = 0
    for _ in range(draws):
        found = order.quantile(KINDS[kind](rng, n), q)
        missed += found.low is not None and found.high is not None and not found.low - 1e-9 <= truth <= found.high + 1e-9
    assert missed / draws <= 0.07 + 3 * math.sqrt(0.07 * 0.93 / draws)
