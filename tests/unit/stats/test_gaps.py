"""Gaps between groups: exact intervals of shares, how often a gap at its limit passes and fails, clusters, and what has no part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mlops_toolkit.stats import gaps
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import named
from tests.unit.stats.simulate import at_most

LEVEL = 0.03  # of a gap at its limit that passes, or fails: 2.5 % is asked for


@pytest.mark.parametrize("n", [1, 7, 400, 2500, 100_000])
@pytest.mark.parametrize("confidence", [0.95, 0.9995])
def test_the_interval_of_a_share_is_the_exact_one(n: int, confidence: float) -> None:
    for right in sorted({0, 1, n // 3, n - 1, n, min(n, 999), min(n, 1001)}):
        tail = (1 - confidence) / 2
        low = 0.0 if right == 0 else scipy_stats.beta.ppf(tail, right, n - right + 1)
        high = 1.0 if right == n else scipy_stats.beta.ppf(1 - tail, right + 1, n - right)
        got = gaps.exact(right, n, confidence)
        assert got == pytest.approx((low, high), abs=0.01 * (high - low))


def shares(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share, and the ends of its interval, of 0 … n right ones."""
    ends = np.array([gaps.exact(right, n, 0.95) for right in range(n + 1)])
    return np.arange(n + 1) / n, ends[:, 0], ends[:, 1]


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), [(30, 30), (25, 100), (30, 300), (50, 500), (100, 100), (100, 1000)])
def test_enumerated_two_groups_at_the_limit_hold_the_level(one: int, other: int) -> None:
    """Every outcome of two independent groups, at every pair of rates whose difference is exactly the limit: no more than 3.0 % either way."""
    (p, below, above), (q, low, high) = shares(one), shares(other)
    d = p[:, None] - q[None, :]
    least = d - np.hypot((p - below)[:, None], (high - q)[None, :])
    most = d + np.hypot((above - p)[:, None], (q - low)[None, :])
    ones, others = (np.arange(n + 1) for n in (one, other))
    for limit in (0.01, 0.02, 0.05, 0.1, 0.2):
        inside, outside = np.maximum(most, -least) < limit, np.maximum(least, -most) > limit
        for rate in np.linspace(0.0, 1 - limit, 41):
            for a, b in ((rate + limit, rate), (rate, rate + limit)):
                first, second = scipy_stats.binom.pmf(ones, one, min(a, 1)), scipy_stats.binom.pmf(others, other, min(b, 1))
                assert first @ inside @ second <= LEVEL, (limit, rate)
                assert first @ outside @ second <= LEVEL, (limit, rate)


# --- populations of several groups


def drawn(
    rng: np.random.Generator, sizes: list[int], before: list[float], after: list[float], churn: float = 0.06
) -> tuple[np.ndarray, Sample, Sample]:
    """Codes of groups, and two models with these rates of right answers, that differ by a `churn` of rows besides."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    n, same = len(codes), rng.random(len(codes))
    target = np.zeros(n, dtype=np.int32)
    wrong = same > np.array(before)[codes], np.where(rng.random(n) < churn, rng.random(n), same) > np.array(after)[codes]
    one, other = (Sample(n, target, side.astype(np.int32), ("a", "b")) for side in wrong)
    return codes, one, other


def outcome(metric: Metric, codes: np.ndarray, before: Sample, after: Sample, limit: float, margin: float) -> np.ndarray:
    """Whether the gap is shown to be below and above the limit, and its rise below and above the margin."""
    names = [str(code) for code in range(codes.max() + 1)]
    new, old = (gaps.groups(metric, side, codes, names) for side in (after, before))
    found, ends = gaps.gap(metric, new, 0.95), gaps.rise(metric, old, new, 0.95)
    assert found is not None
    assert ends is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    return np.array([found.high < limit, found.low > limit, ends[1] < margin, ends[0] > margin])


AT_THE_LIMIT = [  # sizes, rates before and after, limit of the gap, and of its rise
    ([300, 300], [0.9, 0.9], [0.9, 0.85], 0.05, 0.05),
    ([60, 600], [0.95, 0.95], [0.95, 0.9], 0.05, 0.05),
    ([300, 300, 300], [0.9, 0.9, 0.9], [0.9, 0.875, 0.85], 0.05, 0.05),
    ([800, 800], [0.9, 0.84], [0.9, 0.82], 0.08, 0.02),
    ([800, 800], [0.9, 0.82], [0.82, 0.9], 0.08, 0.0),
    ([500] * 5, [0.9] * 5, [0.9, 0.9, 0.9, 0.9, 0.85], 0.05, 0.05),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "before", "after", "limit", "margin"), AT_THE_LIMIT)
def test_a_gap_at_its_limit_rarely_passes_and_rarely_fails(
    sizes: list[int], before: list[float], after: list[float], limit: float, margin: float
) -> None:
    rng, times = np.random.default_rng(11), 400
    got = sum(outcome(named("accuracy"), *drawn(rng, sizes, before, after), limit, margin) for _ in range(times)) / times
    assert (got <= at_most(LEVEL, times)).all(), got


def test_what_is_plain_is_found() -> None:
    rng = np.random.default_rng(3)
    none = outcome(named("accuracy"), *drawn(rng, [3000, 3000], [0.9, 0.9], [0.9, 0.9]), 0.05, 0.03)
    assert none.tolist() == [True, False, True, False]
    grown = outcome(named("accuracy"), *drawn(rng, [3000, 3000, 3000], [0.9, 0.9, 0.9], [0.9, 0.78, 0.9]), 0.05, 0.02)
    assert grown.tolist() == [False, True, False, True]
    kept = outcome(named("accuracy"), *drawn(rng, [3000, 3000], [0.9, 0.78], [0.9, 0.78]), 0.05, 0.02)
    assert kept.tolist() == [False, True, True, False]
    shrunk = outcome(named("accuracy"), *drawn(rng, [3000, 3000], [0.9, 0.78], [0.9, 0.9]), 0.05, 0.02)
    assert shrunk.tolist() == [True, False, True, False]


@pytest.mark.parametrize("name", ["f1-macro", "mcc", "balanced-accuracy"])
def test_any_metric_with_an_influence_has_gaps(name: str) -> None:
    rng = np.random.default_rng(5)
    n = 4000
    codes, target = np.repeat([0, 1], n // 2), rng.integers(0, 2, n).astype(np.int32)
    wrong = rng.random(n) < np.where(codes == 0, 0.05, 0.25)
    side = Sample(n, target, np.where(wrong, 1 - target, target).astype(np.int32), ("a", "b"))
    found = gaps.gap(named(name), gaps.groups(named(name), side, codes, ["x", "y"]), 0.95)
    assert found is not None
    assert found.low is not None
    assert (found.better, found.worse) == ("x", "y")
    assert found.low > 0.1


def test_of_what_should_be_low_the_better_group_is_the_lower_one() -> None:
    rng = np.random.default_rng(6)
    target, codes = rng.normal(size=400), np.repeat([0, 1], 200)
    side = Sample(400, target, target + rng.normal(size=400) * np.where(codes == 0, 3.0, 1.0))
    found = gaps.gap(named("mae"), gaps.groups(named("mae"), side, codes, ["x", "y"]), 0.95)
    assert found is not None
    assert (found.better, found.worse) == ("y", "x")
    assert found.value > 0


def test_clusters_that_span_groups_are_not_independent() -> None:
    """Of twins, one in either group, who are answered alike the gap is much surer than of strangers; of those answered contrary, less sure."""
    rng = np.random.default_rng(7)
    n = 600
    right = rng.random(n) < 0.8
    codes, pairs = np.repeat([0, 1], n), np.tile(np.arange(n), 2).astype(np.int32)

    def width(second: np.ndarray, cluster: np.ndarray | None) -> float:
        wrong = (~np.concatenate([right, second])).astype(np.int32)
        side = replace(Sample(2 * n, np.zeros(2 * n, dtype=np.int32), wrong, ("a", "b")), cluster=cluster)
        found = gaps.gap(named("accuracy"), gaps.groups(named("accuracy"), side, codes, ["x", "y"]), 0.95)
        assert found is not None
        assert found.high is not None
        return found.high - found.value

    flips = rng.random(n) < 0.05
    alike, contrary = np.where(flips, ~right, right), np.roll(np.where(flips, right, ~right), 0)
    assert width(alike, pairs) < 0.6 * width(alike, None)
    assert width(contrary, pairs) > 1.2 * width(contrary, None)


def test_groups_that_say_nothing_have_no_part_in_it() -> None:
    rng = np.random.default_rng(8)
    codes = np.repeat([0, 1, 2, 3], [300, 300, 20, 300])
    target = rng.integers(0, 3, len(codes)).astype(np.int32)
    target[codes == 3] = 0
    side = Sample(len(codes), target, target.copy(), ("a", "b", "c"))
    made = gaps.groups(replace(named("recall:b")), replace(side, labels=("ham", "b", "c")), codes, ["x", "y", "few", "none"], least=21)
    assert {part.name: part.why for part in made} == {
        "x": None,
        "y": None,
        "few": "20 of at least 21 examples",
        "none": "no positives",
    }
    assert gaps.gap(named("recall:b"), made[2:], 0.95) is None
