"""The rule: an interval wholly on one side of what is allowed decides, and nothing else does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.rule import decide, decide_least, decide_most, holm, p_fail
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import named, sample_for
from tests.unit.stats.test_paired import ALL, flips, right_or_wrong, two_models

AGAINST_BASELINE = [
    # change, low, high, margin, verdict, leaning
    (0.0, -0.005, 0.005, 0.01, "pass", None),
    (0.0, -0.01, 0.005, 0.01, "inconclusive", "inside"),  # an end exactly on the margin shows nothing
    (-0.02, -0.03, -0.01, 0.01, "inconclusive", "beyond"),
    (-0.02, -0.03, -0.0101, 0.01, "fail", None),
    (-0.01, -0.02, 0.0, 0.01, "inconclusive", "inside"),  # an estimate exactly on the margin is allowed
    (0.97 - 0.98, -0.02, 0.0, 0.01, "inconclusive", "inside"),  # … rounding or not
    (-0.011, -0.02, 0.0, 0.01, "inconclusive", "beyond"),
    (0.05, 0.01, 0.09, 0.0, "pass", None),
    (0.0, -0.01, 0.01, 0.0, "inconclusive", "inside"),
    (-0.5, None, None, 0.01, "inconclusive", "beyond"),
    (0.5, None, None, 0.01, "inconclusive", "inside"),  # without an interval nothing passes, however good
    (None, None, None, 0.01, "inconclusive", None),
]


@pytest.mark.parametrize(("change", "low", "high", "margin", "verdict", "leaning"), AGAINST_BASELINE)
def test_a_change_is_judged_by_its_interval_alone(
    change: float | None, low: float | None, high: float | None, margin: float, verdict: str, leaning: str | None
) -> None:
    assert decide(change, low, high, margin) == (verdict, leaning)


ABSOLUTE = [
    (0.85, 0.80, 0.90, 0.80, "pass", None),  # min: 0.80 allows 0.80
    (0.85, 0.79, 0.90, 0.80, "inconclusive", "inside"),
    (0.79, 0.75, 0.80, 0.80, "inconclusive", "beyond"),
    (0.79, 0.75, 0.7999, 0.80, "fail", None),
    (0.80, 0.75, 0.85, 0.80, "inconclusive", "inside"),
    (0.99, None, None, 0.80, "inconclusive", "inside"),
    (None, None, None, 0.80, "inconclusive", None),
]


@pytest.mark.parametrize(("value", "low", "high", "least", "verdict", "leaning"), ABSOLUTE)
def test_a_value_is_judged_against_min_and_max_alike(
    value: float | None, low: float | None, high: float | None, least: float, verdict: str, leaning: str | None
) -> None:
    def minus(number: float | None) -> float | None:
        return None if number is None else -number

    assert decide_least(value, low, high, least) == (verdict, leaning)
    assert decide_most(minus(value), minus(high), minus(low), -least) == (verdict, leaning)


@settings(deadline=None, max_examples=100)
@given(low=st.floats(-1, 1), width=st.floats(0, 1), share=st.floats(0, 1), margin=st.floats(0, 1))
def test_a_larger_margin_never_turns_a_pass_into_something_else(low: float, width: float, share: float, margin: float) -> None:
    order = ["fail", "inconclusive", "pass"]
    verdicts = [decide(low + share * width, low, low + width, m).verdict for m in (margin / 2, margin, margin * 2)]
    assert verdicts == sorted(verdicts, key=order.index)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**5), margin=st.floats(0, 0.3), confidence=st.sampled_from([0.9, 0.95]))
def test_the_p_value_and_the_interval_never_contradict_each_other(name: str, seed: int, margin: float, confidence: float) -> None:
    base, head = two_models(seed, 260)
    got = paired(named(name), sample_for(name, base), sample_for(name, head), confidence=confidence)
    p = p_fail(got, margin)
    assert 0 <= p <= 1
    if got.high is None:
        assert p == 1
    elif not math.isclose(got.high, -margin, abs_tol=1e-9):
        assert (p < (1 - confidence) / 2) == (decide(got.change, got.low, got.high, margin).verdict == "fail")


def test_holm_rejects_step_by_step_in_the_order_given() -> None:
    assert holm([0.03, 0.001, 0.04, 0.011], 0.05) == (False, True, False, True)  # against 0.05/4, 0.05/3, then 0.03 ≥ 0.05/2 stops
    assert holm([], 0.05) == ()
    assert holm([0.0249], 0.025) == (True,)
    assert holm([0.025], 0.025) == (False,)
    assert holm([1.0, 1.0], 0.05) == (False, False)


@settings(deadline=None, max_examples=100)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12), alpha=st.sampled_from([0.025, 0.05]))
def test_holm_stands_between_bonferroni_and_no_correction(p: list[float], alpha: float) -> None:
    stands = holm(p, alpha)
    for value, stood in zip(p, stands, strict=True):
        assert stood or value >= alpha / len(p)
        assert not stood or value < alpha
    largest = max((value for value, stood in zip(p, stands, strict=True) if stood), default=-1.0)
    assert all(stood for value, stood in zip(p, stands, strict=True) if value < largest)


def test_one_of_twenty_equal_slices_is_not_failed_for_its_luck() -> None:
    rng = np.random.default_rng(4)
    wrongly = {"alone": 0, "holm": 0}
    for _ in range(60):
        p = []
        for _ in range(20):
            worse, better = rng.multinomial(300, [0.05, 0.03, 0.92])[:2]  # each exactly at its margin of 2 points
            base, head = flips(300, int(better), int(worse))
            p.append(p_fail(paired(named("accuracy"), right_or_wrong(base), right_or_wrong(head)), 0.02))
        wrongly["alone"] += min(p) < 0.025
        wrongly["holm"] += any(holm(p, 0.025))
    assert wrongly["alone"] >= 12
    assert wrongly["holm"] <= 8


def test_a_change_without_an_interval_is_never_evidence_of_failure() -> None:
    x = np.arange(8.0)
    got = paired(named("mean:judge"), Sample(8, columns={"judge": x}), Sample(8, columns={"judge": x - 100}))
    assert (got.reason, p_fail(got, 1.0)) == ("too-few", 1.0)
