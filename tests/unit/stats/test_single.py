"""One model's own value: the end of a size's interval lies where its logarithm says, and holds the truth where few errors make up the value."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import further, interval
from tests.unit.stats.samples import named

Rng = np.random.Generator
SIZES = st.floats(1e-300, 1e300)


@given(share=st.floats(0, 1), size=SIZES)
def test_up_to_the_size_itself_its_logarithm_is_so_far_away(share: float, size: float) -> None:
    assert math.log1p(further(share * size, size) / size) == pytest.approx(share, rel=1e-9, abs=1e-12)


@given(far=st.floats(0, 1e300), size=SIZES)
def test_the_end_is_never_nearer_and_never_out_of_all_bounds(far: float, size: float) -> None:
    assert far * (1 - 1e-12) <= further(far, size) <= math.e * far * (1 + 1e-12)


def test_the_end_goes_on_along_the_tangent() -> None:
    step = 1e-6
    before, at, after = (further(far, 2.0) for far in (2.0 - step, 2.0, 2.0 + step))
    assert (at - before) / step == pytest.approx((after - at) / step, rel=1e-5)


@pytest.mark.parametrize("size", [0.0, -3.0, math.inf])
def test_what_is_no_size_has_the_end_it_had(size: float) -> None:
    assert further(0.25, size) == 0.25


def test_rmse_and_r2_say_the_same_of_the_same_errors_in_another_unit() -> None:
    rng = np.random.default_rng(3)
    target, error = rng.normal(size=200), rng.standard_t(3, size=200)
    for name, by in (("rmse", 1000.0), ("r2", 1.0)):
        ends = [interval(named(name), Sample(200, target * unit, (target + error) * unit)) for unit in (1.0, 1000.0)]
        assert ends[0] is not None
        assert ends[1] == (pytest.approx(ends[0][0] * by, rel=1e-9), pytest.approx(ends[0][1] * by, rel=1e-9))


def normal(rng: Rng, n: int) -> Floats:
    return rng.normal(size=n)


def laplace(rng: Rng, n: int) -> Floats:
    return rng.laplace(size=n)


def t3(rng: Rng, n: int) -> Floats:
    return rng.standard_t(3, size=n)


@pytest.mark.parametrize(
    ("name", "errors", "share", "n"),
    [("r2", normal, 0.05, 100), ("rmse", laplace, 0.05, 100), ("r2", t3, 0.0, 100), ("r2", normal, 0.0, 300)],
)
def test_an_interval_of_squares_holds_the_value_where_a_few_errors_grow(
    name: str, errors: Callable[[Rng, int], Floats], share: float, n: int
) -> None:
    rng, size, times, held = np.random.default_rng(5), 60_000, 1500, 0
    target, error = 5 + rng.normal(size=size), 0.5 * errors(rng, size)
    error = np.where(rng.random(size) < share, error * (1 + rng.exponential(1.5, size)), error)
    metric = named(name)
    truth = metric.measure(Sample(size, target, target + error)).value
    assert truth is not None
    for _ in range(times):
        rows = rng.integers(0, size, n)
        low, high = interval(metric, Sample(n, target[rows], (target + error)[rows])) or (math.inf, -math.inf)
        held += low <= truth <= high
    assert held / times >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / times)
