"""Numbers on which comparison tools have let regressions through: a baseline of 0 or below, equal values, reordered rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.paired import paired, paired_many
from mlops_toolkit.stats.power import needs
from mlops_toolkit.stats.rule import decide, p_fail
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import interval
from tests.unit.stats.samples import named, sample_for
from tests.unit.stats.test_paired import ALL, flips, right_or_wrong, two_models


def r2_of(head_noise: float) -> tuple[Sample, Sample]:
    """A baseline with R² about −0.2 and a head that is worse or better by its noise."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=3000)
    return Sample(3000, y, rng.normal(size=3000) * 0.45), Sample(3000, y, rng.normal(size=3000) * head_noise)


def test_a_negative_r2_that_gets_more_negative_is_worse_and_one_that_rises_is_better() -> None:
    base, worse = r2_of(0.9)
    got = paired(named("r2"), base, worse)
    assert got.baseline is not None
    assert -0.3 < got.baseline < -0.1
    assert got.change is not None
    assert got.change < 0
    margin = Margin.parse("5%").of(got.baseline)
    assert margin == pytest.approx(0.05 * abs(got.baseline))
    assert decide(got.change, got.low, got.high, margin or 0.0).verdict == "fail"
    back = paired(named("r2"), worse, base)
    assert decide(back.change, back.low, back.high, 0.0).verdict == "pass"


def test_a_loss_that_rises_from_nothing_is_worse_and_a_relative_margin_of_nothing_allows_nothing() -> None:
    y = np.linspace(-1, 1, 400)
    noise = np.random.default_rng(1).normal(size=400)
    got = paired(named("mae"), Sample(400, y, y), Sample(400, y, y + 0.3 * noise))
    assert (got.baseline, got.worse, got.better) == (0.0, 400, 0)
    assert Margin.parse("10%").of(got.baseline) == 0.0
    assert decide(got.change, got.low, got.high, 0.0).verdict == "fail"


def test_an_accuracy_of_zero_on_both_sides_is_an_unproven_nothing() -> None:
    wrong = right_or_wrong(np.zeros(50, dtype=bool))
    got = paired(named("accuracy"), wrong, wrong)
    assert (got.baseline, got.head, got.change) == (0.0, 0.0, 0.0)
    assert decide(got.change, got.low, got.high, 0.01) == ("inconclusive", "inside")


@pytest.mark.parametrize("name", ["mean:judge", "quantile:judge"])
def test_columns_of_one_value_have_no_interval_and_pass_nothing(name: str) -> None:
    base, head = (Sample(500, columns={"judge": np.full(500, value)}) for value in (2.5, 2.4))
    got = paired(named(name), base, head)
    assert (got.change, got.reason, got.low) == (pytest.approx(-0.1), "too-few", None)
    assert decide(got.change, got.low, got.high, 0.01) == ("inconclusive", "beyond")
    assert decide(got.change, got.low, got.high, 0.5) == ("inconclusive", "inside")
    assert p_fail(got, 0.01) == 1.0
    assert interval(named(name), head) is None


@pytest.mark.parametrize("name", ["roc-auc:spam", "average-precision:spam"])
def test_equal_scores_are_ties_and_no_order(name: str) -> None:
    target = np.repeat([0, 1], 100).astype(np.int32)
    flat = Sample(200, target, target, ("ham", "spam"), prob=np.full((200, 2), 0.5), positive=1)
    got = paired(named(name), flat, flat)
    assert got.head == pytest.approx(0.5)
    assert got.method == "bounded"
    assert got.low is not None
    assert got.low <= -(critical(0.95) ** 2) / 100, "as a share of a hundred, of which none changed"


@pytest.mark.parametrize("name", ALL)
def test_reordered_rows_give_the_same_answer(name: str) -> None:
    base, head = two_models(21, 800, weighted=True)
    order = np.random.default_rng(5).permutation(800)
    b, h = sample_for(name, base), sample_for(name, head)
    first, second = paired(named(name), b, h), paired(named(name), b.take(order), h.take(order))
    assert (first.n, first.better, first.worse, first.reason) == (second.n, second.better, second.worse, second.reason)
    assert (first.change, first.low, first.high) == pytest.approx((second.change, second.low, second.high), rel=1e-9, abs=1e-13)


def test_without_weights_metrics_of_labels_are_the_same_to_the_last_bit_in_any_order() -> None:
    base, head = two_models(22, 800)
    order = np.random.default_rng(6).permutation(800)
    metrics = [named(name) for name in ("accuracy", "f1-macro", "mcc", "kappa", "recall:spam", "precision-weighted")]
    sides = base["classes"], head["classes"]
    assert paired_many(metrics, *sides) == paired_many(metrics, *(side.take(order) for side in sides))


def test_the_same_input_gives_the_same_bytes_twice() -> None:
    base, head = two_models(23, 500, weighted=True, clusters=40)
    for name in ALL:
        once, twice = (paired(named(name), sample_for(name, base), sample_for(name, head)) for _ in range(2))
        assert repr(once) == repr(twice)


def test_one_example_decides_nothing() -> None:
    base, head = (right_or_wrong(side) for side in flips(2, 0, 1))
    for name in ("accuracy", "f1", "mcc", "kappa"):
        got = paired(named(name), base, head)
        if got.change is not None:
            assert decide(got.change, got.low, got.high, 0.01).verdict == "inconclusive"


HUGE = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=12, max_size=40)


@pytest.mark.parametrize("name", ["mean:judge", "quantile:judge", "mae", "rmse", "r2", "mape", "pinball:0.9", "median-absolute-error"])
@settings(max_examples=40, deadline=None)
@given(values=HUGE, seed=st.integers(0, 99))
def test_whatever_finite_numbers_come_in_no_infinity_and_no_nan_comes_out(name: str, values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, x = len(values), np.array(values)
    sides = (Sample(n, x, rng.permutation(x), columns={"judge": rng.permutation(x)}) for _ in range(2))
    got = paired(named(name), *sides)
    numbers = [value for value in vars(got).values() if isinstance(value, float)]
    assert all(math.isfinite(value) for value in numbers)
    assert got.reason is not None or (
        got.low is not None and got.high is not None and got.change is not None and got.low <= got.change <= got.high
    )
    assert 0 <= p_fail(got, 0.1) <= 1
    wanted = needs(got, 0.1)
    assert wanted.n is None or wanted.n >= 1
    assert wanted.margin is None or math.isfinite(wanted.margin)
