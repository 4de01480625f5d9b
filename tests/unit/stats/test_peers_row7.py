"""What the rule decides how often: a real drop does not pass, a handful of rows proves nothing, the margin is kept at its level.

Rates for accuracy are exact (test_proportions.py enumerates them); here are the other metrics, and clusters, by simulation.
"""

from __future__ import annotations

import numpy as np
import pytest

from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.rule import decide
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import named
from tests.unit.stats.simulate import at_most, population, rates, true_drop, verdicts
from tests.unit.stats.test_paired import flips, right_or_wrong
from tests.unit.stats.test_proportions import by_tango, pass_rate

LEVEL = 0.025  # two-sided 0.95


def test_a_real_five_point_drop_on_200_examples_does_not_pass_a_margin_of_one() -> None:
    for disagreement in (0.05, 0.09, 0.13):
        assert pass_rate(by_tango, 200, -0.05, disagreement, 0.01) <= 0.03


def test_no_flip_on_ten_examples_is_inconclusive_at_one_point() -> None:
    base, head = (right_or_wrong(side) for side in flips(10, 0, 0))
    got = paired(named("accuracy"), base, head)
    assert decide(got.change, got.low, got.high, 0.01) == ("inconclusive", "inside")


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_a_drop_of_just_the_margin_passes_at_most_at_the_nominal_rate(n: int) -> None:
    for margin in (0.01, 0.02, 0.05):
        for churn in (0.0, 0.04, 0.1):
            assert pass_rate(by_tango, n, -margin, margin + churn, margin) <= 0.03


def test_two_thousand_examples_pass_and_fail_as_often_as_planned() -> None:
    harmless, broken = pass_rate(by_tango, 2000, 0.0, 0.04, 0.015), pass_rate(by_tango, 2000, -0.03, 0.07, 0.01)
    assert harmless >= 0.88
    assert broken <= 0.001


LABEL_METRICS = ["f1-macro", "f1:spam", "precision:eggs", "mcc", "kappa", "balanced-accuracy"]


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_other_metrics_keep_the_level_too_and_say_nothing_where_a_class_is_rare(name: str) -> None:
    metric = named(name)
    for n, damage, times in ((50, 0.1, 30), (200, 0.1, 150), (1000, 0.03, 150)):
        probability = population(0.9, 0.1, damage)
        found = rates(metric, probability, n, true_drop(metric, probability), times)
        assert found["pass"] <= at_most(LEVEL, times)
        assert found["fail"] <= at_most(LEVEL, times)
        if n == 50:
            assert found["inconclusive"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", LABEL_METRICS)
def test_other_metrics_keep_the_level_in_many_samples(name: str) -> None:
    metric = named(name)
    for n in (200, 1000):
        for damage in (0.03, 0.1):
            probability = population(0.9, 0.1, damage)
            found = rates(metric, probability, n, true_drop(metric, probability), 1500, seed=7)
            assert found["pass"] <= at_most(LEVEL, 1500)
            assert found["fail"] <= at_most(LEVEL, 1500)


def clustered(rng: np.random.Generator, clusters: int, size: int, drop: float, spread: float) -> Paired:
    """A mean whose every cluster moves by its own amount, on average down by `drop`."""
    cluster = np.repeat(np.arange(clusters, dtype=np.int32), size)
    moves = rng.normal(-drop, spread, clusters)[cluster] + rng.normal(0, 0.2, clusters * size)
    x = rng.normal(0, 1, clusters * size)
    sides = (Sample(clusters * size, cluster=cluster, columns={"judge": values}) for values in (x, x + moves))
    return paired(named("mean:judge"), *sides)


@pytest.mark.parametrize("clusters", [2, 3, 5, 9])
def test_a_handful_of_clusters_never_decides(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    found = verdicts(lambda: clustered(rng, clusters, 100, 0.0, 0.01), 10.0, 50)
    assert found["inconclusive"] == 1


def test_twenty_clusters_keep_the_level_where_ignoring_them_does_not() -> None:
    rng = np.random.default_rng(20)
    found = verdicts(lambda: clustered(rng, 20, 30, 0.1, 0.2), 0.1, 400)
    assert found["pass"] <= at_most(LEVEL, 400)
    assert found["fail"] <= at_most(LEVEL, 400)

    def ignoring() -> Paired:
        x = rng.normal(0, 1, 600)
        moves = np.repeat(rng.normal(-0.1, 0.2, 20), 30) + rng.normal(0, 0.2, 600)
        return paired(named("mean:judge"), *(Sample(600, columns={"judge": values}) for values in (x, x + moves)))

    assert verdicts(ignoring, 0.1, 200)["pass"] >= 0.15


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "skewed", "flips"])
def test_means_keep_the_level_in_many_samples(shape: str) -> None:
    rng = np.random.default_rng(11)
    drop, n, times = 0.05, 400, 3000
    draws = {
        "normal": lambda: rng.normal(-drop, 0.5, n),
        "skewed": lambda: drop - rng.exponential(2 * drop, n),
        "flips": lambda: np.where(rng.random(n) < 0.08, -1.0, 0.0) + np.where(rng.random(n) < 0.03, 1.0, 0.0),
    }

    def draw() -> Paired:
        x = rng.normal(0, 1, n)
        return paired(named("mean:judge"), *(Sample(n, columns={"judge": values}) for values in (x, x + draws[shape]())))

    assert verdicts(draw, drop, times)["pass"] <= at_most(LEVEL, times)


@pytest.mark.slow
def test_ranking_and_quantiles_keep_the_level_in_many_samples() -> None:
    rng = np.random.default_rng(12)
    n, times = 500, 800
    target = (np.arange(n) % 3 == 0).astype(np.int32)

    def auc() -> Paired:
        signal = target + rng.normal(0, 1, n)
        sides = (signal + rng.normal(0, 0.5, n) for _ in range(2))  # equally good by construction
        return paired(named("roc-auc"), *(Sample(n, target, target, ("no", "yes"), score=score, positive=1) for score in sides))

    def p90() -> Paired:
        x = rng.exponential(1, n)
        return paired(named("quantile:judge"), *(Sample(n, columns={"judge": x * rng.lognormal(0, 0.1, n)}) for _ in range(2)))

    for draw in (auc, p90):
        found = verdicts(draw, 0.0, times)  # the margin is 0: the true difference lies exactly on it
        assert found["pass"] <= at_most(LEVEL, times)
        assert found["fail"] <= at_most(LEVEL, times)
