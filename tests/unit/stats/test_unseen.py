"""What nobody has seen is bounded by the most that one example can do: then a perfect model and an unchanged one have intervals too."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.rule import decide, decide_least, p_fail
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import both_ways, interval
from mlops_toolkit.stats.unseen import Table, of_scores, units
from tests.unit.stats.samples import CLASSES, LABELS, SCORES, named
from tests.unit.stats.test_paired import flips, right_or_wrong, two_models

BOUNDED = [name for name in CLASSES + SCORES + ["brier"] if not named(name).rowwise]


def value(name: str, sample: Sample) -> float:
    found = named(name).measure(sample).value
    assert found is not None
    return found


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_longest_step_of_one_example_is_that_of_the_worst_of_all_its_answers(name: str, seed: int) -> None:
    sample = two_models(seed, 40)[0]["classes"]
    metric = named(name)
    assert metric.slope is not None
    assert sample.prediction is not None
    table = Table.of(sample)
    assert table is not None
    changes = []
    for row, answer in itertools.product(range(40), range(len(LABELS))):
        other = sample.prediction.copy()
        other[row] = answer
        changes.append(value(name, replace(sample, prediction=other)) - value(name, sample))
    steps = both_ways(metric.slope, table, 1.0)
    assert steps is not None
    assert steps == (pytest.approx(-min(changes), rel=1e-9), pytest.approx(max(changes), rel=1e-9))


@pytest.mark.parametrize("name", SCORES)
def test_no_change_of_one_score_goes_further_than_the_longest_step(name: str) -> None:
    sample = two_models(3, 60)[0]["classes"]
    assert sample.prob is not None
    step = of_scores(named(name), sample, 1.0)
    assert step is not None
    for row, column, score in itertools.product(range(60), range(len(LABELS)), (-9.0, 9.0)):
        prob = sample.prob.copy()
        prob[row, column] = score
        scored = replace(sample, prob=prob, score=prob[:, 1])
        assert abs(value(name, scored) - value(name, replace(sample, score=sample.prob[:, 1]))) <= step + 1e-12


def test_a_perfect_model_on_five_hundred_examples_is_at_least_four_fifths() -> None:
    target = np.repeat([0, 1, 2], [300, 150, 50]).astype(np.int32)
    prob = np.eye(3)[target]
    perfect = Sample(500, target, target, LABELS, prob=prob)
    for name in BOUNDED:
        low, high = interval(named(name), perfect) or (None, None)
        assert low is not None
        assert high is not None
        if named(name).direction == "higher":
            assert decide_least(value(name, perfect), low, high, 0.8).verdict == "pass", name
            assert low < 1 - 3 / 500, "about as far as for the share of right rows, or further"
        else:
            assert high < 0.02


@pytest.mark.parametrize("name", BOUNDED)
def test_three_changed_predictions_among_a_hundred_thousand_are_within_a_point(name: str) -> None:
    base = two_models(4, 100_000)[0]["classes"]
    assert base.prediction is not None
    assert base.prob is not None
    other, prob = base.prediction.copy(), base.prob.copy()
    other[:3] = (other[:3] + 1) % 3
    prob[:3] = np.roll(prob[:3], 1, axis=1)
    got = paired(named(name), base, replace(base, prediction=other, prob=prob))
    assert (got.method, got.disagree <= 3) == ("bounded", True)
    assert decide(got.change, got.low, got.high, 0.01).verdict == "pass"
    assert p_fail(got, 0.01) > 0.5


def test_no_broken_row_among_ten_proves_nothing_and_a_rare_class_needs_its_own_examples() -> None:
    for name in ("f1", "mcc", "balanced-accuracy", "f1-macro"):
        same = right_or_wrong(flips(10, 0, 0)[0])
        got = paired(named(name), same, same)
        assert decide(got.change, got.low, got.high, 0.1).verdict == "inconclusive"
    target = np.repeat([0, 1], [5000, 40]).astype(np.int32)
    rare = Sample(5040, target, target, ("no", "yes"), positive=1)
    got = paired(named("balanced-accuracy"), rare, rare)
    assert got.low == pytest.approx(-(critical(0.95) ** 2) / 40 / 2), "half of what the 40 may lose"


def test_as_many_as_may_be_expected_unseen_is_the_score_limit_of_a_count() -> None:
    assert units(0.95, 0) == pytest.approx(critical(0.95) ** 2)
    for seen in (1, 5, 9):
        more = units(0.95, seen)
        assert more / np.sqrt(seen + more) == pytest.approx(critical(0.95))


def test_heavy_examples_and_clusters_take_the_longest_steps() -> None:
    base, _ = two_models(5, 300)
    sample = base["classes"]
    heavy = np.ones(300)
    heavy[0] = 30.0
    plain, weighted, clustered = (
        interval(named("f1-macro"), replace(side, prediction=side.target))
        for side in (sample, replace(sample, weight=heavy), replace(sample, cluster=(np.arange(300) // 10).astype(np.int32)))
    )
    assert plain is not None
    assert weighted is not None
    assert clustered is not None
    assert plain[0] > clustered[0] > weighted[0]


def test_gains_turned_to_losses_are_judged_as_such() -> None:
    base, head = two_models(6, 400)
    for name in ("f1-macro", "average-precision", "accuracy", "log-loss"):
        one, other = (paired(named(name), *sides) for sides in ((base["classes"], head["classes"]), (head["classes"], base["classes"])))
        for margin in (0.0, 0.01):
            # what hides in the tail of log-loss is read off the head's own examples, which are others here
            assert p_fail(one.turned(), margin) == pytest.approx(p_fail(other, margin), rel=1e-3 if name == "log-loss" else 1e-9)


@pytest.mark.parametrize("name", ["balanced-accuracy", "f1-macro", "precision-macro", "f1-weighted"])
def test_an_average_over_many_classes_of_an_example_or_two_decides_nothing(name: str) -> None:
    rng = np.random.default_rng(4)
    k, n = 300, 600
    target = rng.integers(0, k, n).astype(np.int32)
    sides = [
        Sample(n, target, np.where(rng.random(n) < 0.8, target, rng.integers(0, k, n)).astype(np.int32), tuple(map(str, range(k))))
        for _ in range(2)
    ]
    metric = named(name)
    got = paired(metric, *sides)
    assert (got.reason, got.low, got.head_low) == ("too-few", None, None)
    assert interval(metric, sides[1]) is None


def equal_models(k: int, each: int, seed: int) -> list[Sample]:
    """Two equally good models with `each` examples of each of k classes."""
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(k), each).astype(np.int32)
    made = []
    for _ in range(2):
        prob = np.asfortranarray(np.exp(2.5 * (2.5 * np.eye(k)[target] + rng.normal(size=(len(target), k)))))
        prob = np.asfortranarray(prob / prob.sum(axis=1, keepdims=True))
        made.append(Sample(len(target), target, prob.argmax(axis=1).astype(np.int32), tuple(map(str, range(k))), prob=prob))
    return made


@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
@pytest.mark.parametrize(("weighted", "grouped"), [(False, False), (True, False), (False, True)])
def test_a_mean_of_ranking_metrics_over_many_classes_of_an_example_or_two_decides_nothing(name: str, weighted: bool, grouped: bool) -> None:
    sides = equal_models(40, 2, 5)
    if weighted:
        weight = np.random.default_rng(1).lognormal(0, 0.5, sides[0].n)
        sides = [replace(side, weight=weight) for side in sides]
    if grouped:
        sides = [replace(side, cluster=(np.arange(side.n) // 2).astype(np.int32)) for side in sides]
    got = paired(named(name), *sides)
    assert (got.reason, got.low, got.head_low) == ("too-few", None, None)
    assert "examples of class" in (got.message or "") or "rows of class" in (got.message or "")
    assert interval(named(name), sides[1]) is None


@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
def test_few_classes_of_two_examples_and_many_of_a_dozen_have_an_interval(name: str) -> None:
    for k, each in ((10, 2), (40, 12)):
        got = paired(named(name), *equal_models(k, each, 6))
        assert got.low is not None
        assert got.high is not None
        assert got.low < 0 < got.high
