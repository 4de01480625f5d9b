"""Two orders compared without sorting: what sorting gives, within what is certified, and sorting where that is not enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.stats.paired import Paired, paired, paired_many
from mlops_toolkit.stats.sample import Sample
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
    assert got.standard_error == pytest.approx(exact.standard_error, rel=1e-2)
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
