"""Average precision of few positives is too good on average, by what leaving each one out of its own precision tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.stats.optimism import optimism
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import named


def drawn(rng: np.random.Generator, n: int) -> Sample:
    target = (rng.random(n) < 0.2).astype(np.int32)
    score = rng.normal(size=n) + 1.5 * target
    return Sample(n, target, target, ("no", "yes"), score=score, positive=1)


def by_hand(sample: Sample) -> float:
    assert sample.score is not None
    assert sample.target is not None
    more, cluster = 0.0, np.arange(sample.n) if sample.cluster is None else sample.cluster
    weight = np.ones(sample.n) if sample.weight is None else sample.weight
    for i in np.flatnonzero(sample.target == 1):
        above, others = sample.score >= sample.score[i], cluster != cluster[i]

        def share(some: np.ndarray, label: int) -> float:
            return float(weight[some & (sample.target == label)].sum())

        everything = np.ones(sample.n, dtype=bool)
        found, missed = (share(above & others, c) * share(everything, c) / (share(others, c) or 1) for c in (1, 0))
        if found + missed > 0:
            more += weight[i] * (share(above, 1) / float(weight[above].sum()) - found / (found + missed))
    return more / share(everything, 1)


@pytest.mark.parametrize("digits", [17, 1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clusters", [None, 12])
def test_it_leaves_every_positive_out_with_its_cluster(weighted: bool, clusters: int | None, digits: int) -> None:
    rng = np.random.default_rng(1)
    sample = drawn(rng, 80)
    assert sample.score is not None
    sample = replace(sample, score=np.round(sample.score, digits))
    weight = rng.uniform(0.5, 2, 80) if weighted else None
    cluster = None if clusters is None else rng.integers(0, clusters, 80).astype(np.int32)
    sample = replace(sample, weight=weight, cluster=cluster)
    assert optimism(named("average-precision"), sample) == pytest.approx(by_hand(sample), rel=1e-9)
    assert optimism(named("roc-auc"), sample) == 0


def test_what_is_left_is_right_on_average() -> None:
    rng, metric = np.random.default_rng(2), named("average-precision")
    whole = metric.measure(drawn(rng, 1_000_000)).value
    assert whole is not None
    samples = [drawn(rng, 60) for _ in range(1500)]
    found = [
        (metric.measure(sample).value or 0.0, optimism(metric, sample))
        for sample in samples
        if sample.target is not None and sample.target.any()
    ]
    too_good, told = np.mean([value - whole for value, _ in found]), np.mean([more for _, more in found])
    assert too_good > 0.02
    assert told == pytest.approx(too_good, abs=0.01)


@pytest.mark.parametrize(("positives", "others"), [(1, 5), (5, 0), (2, 1)])
def test_one_positive_or_no_others_leave_nothing_undefined(positives: int, others: int) -> None:
    target = np.array([1] * positives + [0] * others, dtype=np.int32)
    sample = Sample(len(target), target, target, ("no", "yes"), score=np.arange(len(target), dtype=np.float64), positive=1)
    assert optimism(named("average-precision"), sample) == pytest.approx(by_hand(sample), abs=1e-12)
