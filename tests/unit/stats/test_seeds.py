"""Two recipes, several trainings each: the variance parts, what is paired, and the rate of false passes at the margin."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from mlops_toolkit.config import requests
from mlops_toolkit.stats import seeds
from mlops_toolkit.stats.luck import Spread
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Sample

LABELS = ("0", "1")
Wrong = npt.NDArray[np.bool_]


def metric(name: str) -> Metric:
    return resolve(requests.metric(name), labels=LABELS, where="metrics")


ACCURACY = metric("accuracy")


def answers(wrong: Wrong, target: npt.NDArray[np.int32] | None = None, cluster: npt.NDArray[np.int32] | None = None) -> Sample:
    """Of a model that gets these rows wrong."""
    target = (np.arange(len(wrong)) % 3 == 0).astype(np.int32) if target is None else target
    return Sample(len(wrong), target, np.where(wrong, 1 - target, target).astype(np.int32), LABELS, positive=1, cluster=cluster)


def trainings(draw: np.random.Generator, n: int, luck: Sequence[float], *, error: float, common: float) -> list[Wrong]:
    """Models that err on a share of rows (`common` of it on the same rows, the rest each on its own), by their luck more."""
    hard = draw.random(n) < error * common
    return [hard | (draw.random(n) < max(0.0, (error * (1 - common) + more) / (1 - error * common))) for more in luck]


def sides(
    draw: np.random.Generator, n: int, k: int, sigma: float, drop: float, *, error: float = 0.1, common: float = 0.5
) -> tuple[dict[int, Sample], dict[int, Sample]]:
    luck = [*draw.normal(0, sigma, k), *draw.normal(drop, sigma, k)]
    models = [answers(wrong) for wrong in trainings(draw, n, luck, error=error, common=common)]
    return dict(enumerate(models[:k])), dict(enumerate(models[k:]))


def test_common_seeds_are_paired_the_others_left_out_and_without_two_all_count() -> None:
    assert seeds.choose((0, 1, 2), (0, 1, 2, 3)) == seeds.Choice((0, 1, 2), (0, 1, 2))
    assert seeds.choose((0, 1, 2), (2, 1, 7)).head == (2, 1)
    assert seeds.choose((0, 1), (1, 2)) == seeds.Choice((0, 1), (1, 2))
    assert not seeds.choose((0, 1), (1, 2)).paired
    assert not seeds.choose((0,), (0,)).paired
    assert seeds.choose((0,), (0, 1, 2)) == seeds.Choice((0,), (0, 1, 2))


@pytest.mark.parametrize("name", ["accuracy", "f1-macro", "recall:1", "mcc", "balanced-accuracy"])
def test_the_two_parts_of_the_variance_are_those_of_a_simulation(name: str) -> None:
    """Over many test sets and trainings the estimates are right on average: of the mean's variance, and of the luck."""
    draw, of = np.random.default_rng(3), metric(name)
    n, k, sigma, repeats = 1500, 4, 0.012, 300
    changes, tests, lucks = [], [], []
    for _ in range(repeats):
        base, head = sides(draw, n, k, sigma, 0.0)
        one = seeds.compare(of, paired(of, base[0], head[0]), base, head)
        assert one.luck is not None
        assert one.standard_error is not None
        changes.append(one.change)
        tests.append(one.standard_error**2)
        (part,) = one.luck.parts
        lucks.append(part.share * (part.spread.variance - part.spread.explained))  # without the clip, which is a bias
    whole = np.var(np.array(changes, dtype=float), ddof=1)
    assert np.mean(tests) + np.mean(lucks) == pytest.approx(whole, rel=4 * math.sqrt(2 / repeats))
    if name == "accuracy":
        assert np.mean(lucks) == pytest.approx(2 * sigma**2 / k, rel=0.15)


def test_what_a_seed_does_to_both_sides_cancels_where_they_are_paired() -> None:
    draw, n, k = np.random.default_rng(4), 4000, 4
    shared = draw.normal(0, 0.02, k)
    models = [answers(wrong) for wrong in trainings(draw, n, [*shared, *shared], error=0.15, common=0.5)]
    base, head = dict(enumerate(models[:k])), dict(enumerate(models[k:]))
    first = paired(ACCURACY, base[0], head[0])
    with_pairs = seeds.compare(ACCURACY, first, base, head)
    without = seeds.compare(ACCURACY, first, base, {seed + 10: model for seed, model in head.items()})
    assert with_pairs.luck is not None
    assert without.luck is not None
    assert with_pairs.change == pytest.approx(without.change or 0.0)
    assert with_pairs.luck.training < without.luck.training / 2
    assert len(without.luck.parts) == 2


def test_where_one_side_has_a_single_training_its_luck_is_taken_to_be_as_large() -> None:
    base, head = sides(np.random.default_rng(5), 3000, 5, 0.01, 0.0)
    one = seeds.compare(ACCURACY, paired(ACCURACY, base[0], head[0]), {0: base[0]}, head)
    assert one.luck is not None
    (part,) = one.luck.parts
    assert part.share == pytest.approx(1 + 1 / 5)
    assert part.spread == seeds.spread(ACCURACY, list(head.values()))


def test_models_that_are_all_the_same_have_no_luck_and_the_interval_of_one() -> None:
    draw = np.random.default_rng(6)
    before, after = (answers(draw.random(2000) < 0.1) for _ in range(2))
    first = paired(ACCURACY, before, after)
    one = seeds.compare(ACCURACY, first, dict.fromkeys(range(3), before), dict.fromkeys(range(3), after))
    assert (one.baseline, one.head) == pytest.approx((first.baseline, first.head))
    assert (one.low, one.high) == pytest.approx((first.low, first.high), abs=1e-9)
    assert one.luck is not None
    assert one.luck.training == 0


def test_slices_and_clusters_have_their_own_parts() -> None:
    draw, n, k = np.random.default_rng(7), 2000, 3
    cluster = (np.arange(n) // 10).astype(np.int32)
    models = [answers(w, cluster=cluster) for w in trainings(draw, n, draw.normal(0, 0.01, 2 * k), error=0.1, common=0.5)]
    base, head = dict(enumerate(models[:k])), dict(enumerate(models[k:]))
    rows = np.arange(n) < 800
    whole, part = (seeds.compare(ACCURACY, paired(ACCURACY, base[0], head[0], rows=r), base, head, rows=r) for r in (None, rows))
    assert whole.low is not None
    assert part.low is not None
    assert part.n == 800
    assert part.clusters == 80
    assert part.head == pytest.approx(np.mean([ACCURACY.measure(model.take(rows)).value for model in head.values()]))


def test_one_training_a_side_with_a_stored_spread_only_gets_wider() -> None:
    base, head = sides(np.random.default_rng(8), 2000, 1, 0.01, 0.0)
    first = paired(ACCURACY, base[0], head[0])
    none = seeds.stored(first, [Spread(3, 0.0, 0.0)], metric=ACCURACY)
    some = seeds.stored(first, [Spread(3, 1e-4, 1e-6)], metric=ACCURACY)
    assert (none.low, none.high) == pytest.approx((first.low, first.high))
    assert some.low is not None and first.low is not None and some.low < first.low  # noqa: PT018
    assert some.head_low is not None and first.head_low is not None and some.head_low < first.head_low  # noqa: PT018
    assert some.head_high is not None
    assert some.head_high <= 1


def test_a_metric_that_a_further_seed_has_not_is_undefined_and_says_with_which() -> None:
    base, head = sides(np.random.default_rng(9), 500, 2, 0.0, 0.0)
    spam = metric("precision:1")
    nobody = Sample(500, head[1].target, np.zeros(500, dtype=np.int32), LABELS, positive=1)
    one = seeds.compare(metric("mcc"), paired(metric("mcc"), base[0], head[0]), base, {0: head[0], 1: nobody})
    assert one.low is None or one.head is not None
    empty = Sample(500, np.zeros(500, dtype=np.int32), np.zeros(500, dtype=np.int32), LABELS, positive=1)
    one = seeds.compare(spam, paired(spam, base[0], head[0]), base, {0: head[0], 1: empty})
    assert one.head is None
    assert one.low is None
    assert "with seed 1" in (one.message or "")


def false_passes(k: int, sigma: float, common: float, *, n: int, repeats: int, stored: int | None = None) -> int:
    """How often a change that is worse by just the margin passes."""
    draw, margin, passed = np.random.default_rng([k, int(sigma * 1e6), int(common * 10), stored or 0]), 0.01, 0
    for _ in range(repeats):
        base, head = sides(draw, n, k, sigma, margin, common=common)
        first = paired(ACCURACY, base[0], head[0])
        if stored is None:
            one = seeds.compare(ACCURACY, first, base, head)
        else:
            earlier = [answers(w) for w in trainings(draw, n, draw.normal(0, sigma, stored), error=0.1, common=common)]
            known = seeds.spread(ACCURACY, earlier)
            assert known is not None
            one = seeds.stored(first, [known], metric=ACCURACY)
        passed += one.low is not None and one.low > -margin
    return passed


@pytest.mark.slow
@pytest.mark.parametrize(("k", "stored"), [(2, None), (3, None), (5, None), (1, 3), (1, 5)])
def test_few_seeds_do_not_pass_changes_at_the_margin_too_often(k: int, stored: int | None) -> None:
    repeats = 200
    for sigma in (0.0, 0.001, 0.002, 0.005, 0.01):
        for common in (0.2, 0.8):
            passed = false_passes(k, sigma, common, n=2000, repeats=repeats, stored=stored) / repeats
            assert passed <= 0.03 + 3 * math.sqrt(0.03 * 0.97 / repeats), (sigma, common)


@pytest.mark.slow
def test_to_count_only_the_test_set_passes_them_often() -> None:
    """What the scope `artifact` says of a recipe: why the other one is there."""
    draw, passed = np.random.default_rng(10), 0
    for _ in range(300):
        base, head = sides(draw, 5000, 1, 0.005, 0.01, common=0.8)
        one = paired(ACCURACY, base[0], head[0])
        passed += one.low is not None and one.low > -0.01
    assert passed / 300 > 0.1
