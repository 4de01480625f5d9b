"""Two orders compared without sorting: what sorting gives, within what is certified, and sorting where that is not enough."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.stats import chunks
from mlops_toolkit.stats.paired import Paired, paired, paired_many
from mlops_toolkit.stats.sample import Floats, Sample
from tests.unit.stats.samples import named


def models(n: int, seed: int = 0, *, weighted: bool = False, probabilities: bool = True) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < 0.3).astype(np.int32)
    score = rng.normal(size=n) + 1.2 * target
    other = np.where(rng.random(n) < 0.5, score, score + 0.3 * rng.normal(size=n))
    weight = rng.choice([0.5, 1.0, 4.0], n) if weighted else None
    one, two = (1 / (1 + np.exp(-3 * s)) if probabilities else s for s in (score, other))
    base = Sample(n, target, target, ("no", "yes"), score=one, weight=weight, positive=1)
    return base, replace(base, score=two)


def near(name: str, base: Sample, head: Sample, tolerance: float = 1e-3) -> Paired:
    return paired_many([named(name)], base, head, tolerance={name: tolerance})[""][0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
def test_the_change_is_right_within_its_bound_and_the_interval_holds_the_exact_one(name: str, probabilities: bool, weighted: bool) -> None:
    base, head = models(60_000, weighted=weighted, probabilities=probabilities)
    exact, got = paired(named(name), base, head), near(name, base, head)
    if weighted and name == "average-precision":  # what weights can hide at the very top is too much: it is sorted
        assert got == exact
        return
    assert got.bound is not None
    assert 0 < got.bound < 1e-3
    assert None not in (exact.change, exact.low, exact.high, exact.head_low, exact.standard_error, got.low, got.high, got.head_low)
    assert abs(got.change - exact.change) <= got.bound  # type: ignore[operator]
    assert got.low <= exact.low < exact.high <= got.high  # type: ignore[operator]
    assert got.high - got.low <= 1.35 * (exact.high - exact.low) + 2 * got.bound  # type: ignore[operator]
    assert got.head_low <= exact.head_low < exact.head_high <= got.head_high  # type: ignore[operator]
    assert exact.standard_error <= got.standard_error <= 1.3 * exact.standard_error  # type: ignore[operator]
    assert got.disagree == pytest.approx(exact.disagree, rel=1e-3)
    assert got.better == pytest.approx(exact.better, rel=1e-2)
    assert (got.support, got.method, got.n) == (exact.support, exact.method, exact.n)


def test_what_bins_cannot_say_well_enough_is_sorted() -> None:
    base, head = models(20_000)
    exact = paired(named("roc-auc"), base, head)
    assert near("roc-auc", base, head, tolerance=1e-9) == exact
    clustered = [replace(side, cluster=np.arange(20_000, dtype=np.int32) // 4) for side in (base, head)]
    assert near("roc-auc", *clustered) == paired(named("roc-auc"), *clustered)
    lonely = [replace(side, target=np.ones(20_000, np.int32)) for side in (base, head)]
    assert near("roc-auc", *lonely).reason == "one-class"
    spread = [replace(side, score=1e-300 * side.score) for side in models(20_000, probabilities=False)]  # below single precision
    assert near("roc-auc", *spread) == paired(named("roc-auc"), *spread)


def test_the_same_scores_twice_change_exactly_nothing() -> None:
    base, _ = models(50_000)
    got = near("roc-auc", base, base)
    assert (got.change, got.disagree, got.better, got.worse) == (0.0, 0, 0, 0)
    exact = paired(named("roc-auc"), base, base)
    assert got.method == exact.method == "bounded"  # what one example could do, as where scores are sorted
    assert None not in (got.low, exact.low)
    assert got.low <= exact.low < 0  # type: ignore[operator]


def test_the_same_question_gets_the_same_answer() -> None:
    base, head = models(300_000, weighted=True)
    assert near("roc-auc", base, head) == near("roc-auc", base, head)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
def test_how_many_threads_there_are_changes_no_bit(name: str, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    base, head = models(600_001, weighted=weighted)
    several = near(name, base, head)
    monkeypatch.setattr(chunks, "_ROOMS", 1)
    assert near(name, base, head) == several
    monkeypatch.setattr(chunks, "_ROOMS", 7)
    assert near(name, base, head) == several


def test_a_value_that_few_positives_make_is_no_surer_than_where_all_are_sorted() -> None:
    """One of sixty positives far below the others: what it weighs counts in the interval that `min` is checked with."""
    rng, n = np.random.default_rng(3), 200_000
    target = np.zeros(n, np.int32)
    target[rng.choice(n, 60, replace=False)] = 1
    drawn = rng.normal(size=n) + 3.0 * target
    drawn[np.flatnonzero(target)[0]] = -1.0
    base = Sample(n, target, target, ("no", "yes"), score=1 / (1 + np.exp(-drawn)), positive=1)
    head = replace(base, score=1 / (1 + np.exp(-drawn - 0.3 * rng.normal(size=n))))
    exact, got = paired(named("roc-auc"), base, head), near("roc-auc", base, head)
    assert got.bound is not None
    assert None not in (got.head_low, got.head_high, exact.head_low, exact.head_high)
    assert got.head_low <= exact.head_low < exact.head_high <= got.head_high  # type: ignore[operator]


def test_single_precision_is_counted_as_it_is() -> None:
    base, head = (replace(side, score=side.score.astype(np.float32)) for side in models(60_000))  # type: ignore[union-attr]
    exact, got = paired(named("roc-auc"), base, head), near("roc-auc", base, head)
    assert None not in (got.bound, got.change, exact.change)
    assert abs(got.change - exact.change) <= got.bound < 1e-3  # type: ignore[operator]


HOSTILE: dict[str, Callable[[Floats], Floats]] = {
    "saturated": lambda z: 1 / (1 + np.exp(-40 * z)),
    "nearly sure": lambda z: 1 - 1e-9 * np.exp(z),
    "few": lambda z: np.round(z),
    "nothing but noughts of both signs, and denormals": lambda z: np.where(z > 1, 5e-324, np.where(z > 0, 0.0, -0.0)),
    "one value, mostly": lambda z: np.where(np.abs(z) < 2, 0.25, z),
    "infinite": lambda z: np.where(z > 2, np.inf, np.where(z < -2, -np.inf, z)),
    "beyond single precision": lambda z: z * 1e300,
    "just outside of probabilities": lambda z: 0.5 + 0.2 * z,
}


@pytest.mark.parametrize("shape", sorted(HOSTILE))
@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
def test_hostile_scores_are_counted_within_the_bound_or_sorted(name: str, shape: str) -> None:
    rng = np.random.default_rng(11)
    n = 200_000
    target = (rng.random(n) < 0.2).astype(np.int32)
    drawn = rng.normal(size=n) + target
    base = Sample(n, target, target, ("no", "yes"), score=HOSTILE[shape](drawn), positive=1)
    head = replace(base, score=HOSTILE[shape](drawn + 0.3 * rng.normal(size=n)))
    exact, got = paired(named(name), base, head), near(name, base, head)
    if got.bound is None:
        assert got == exact
        return
    assert None not in (exact.change, exact.low, exact.high, got.change, got.low, got.high)
    assert abs(got.change - exact.change) <= got.bound + 1e-12  # type: ignore[operator]
    assert got.low <= exact.low + 1e-12  # type: ignore[operator]
    assert got.high >= exact.high - 1e-12  # type: ignore[operator]


def test_a_score_that_is_no_number_is_refused_as_where_it_is_sorted() -> None:
    base, head = models(200_000)
    assert head.score is not None
    head.score[123_456] = np.nan
    assert near("roc-auc", base, head) == paired(named("roc-auc"), base, head)
    assert near("roc-auc", base, head).reason == "not-finite"


def test_nothing_that_grows_with_the_rows_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_ROOMS", 1)  # how many of them get to work at the same time is chance
    used = []
    for n in (500_000, 2_000_000):
        base, head = models(n)
        tracemalloc.start()
        assert near("roc-auc", base, head).bound is not None
        used.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(used) < 48e6
    assert used[1] < used[0] + 1e6, "of a million and a half rows more, not a byte each"
