"""A paired difference: one table for many metrics and slices, exact for rows right or wrong, silent where there is too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired, paired, paired_many
from mlops_toolkit.stats.proportions import tango, wilson
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import interval, standard_error
from mlops_toolkit.stats.spread import distance
from tests.unit.stats.samples import CLASSES, COLUMNS, LABELS, NUMBERS, PROBS, SCORES, SMOOTH, make, named, sample_for

ALL = CLASSES + SCORES + PROBS + NUMBERS + COLUMNS


def two_models(seed: int, n: int, *, weighted: bool = False, clusters: int | None = None) -> tuple[dict[str, Sample], dict[str, Sample]]:
    """Two aligned pairs of samples that differ on a tenth of the rows (all scores differ a little)."""
    rng = np.random.default_rng(seed)
    base = make(rng, n, (3, 3), weighted=weighted, spiky=False, labels=LABELS)
    other = make(rng, n, (3, 3), weighted=weighted, spiky=False, labels=LABELS)
    some = rng.random(n) < 0.1
    cluster = None if clusters is None else rng.integers(0, clusters, n).astype(np.int32)
    head = {}
    for kind in base:
        b, o = base[kind], other[kind]
        assert b.prediction is not None
        mixed = None if b.prob is None or o.prob is None else np.where(some[:, None], o.prob, b.prob * 0.9 + 0.1 / 3)
        judge = {"judge": np.where(some, o.columns["judge"], b.columns["judge"])}
        base[kind] = replace(b, cluster=cluster)
        score = None if b.score is None or o.score is None else np.where(some, o.score, b.score)
        head[kind] = replace(
            base[kind],
            prediction=np.where(some, o.prediction, b.prediction).astype(b.prediction.dtype),
            prob=mixed,
            columns=judge,
            score=score,
        )
    return base, head


def as_rows(metric: Metric) -> Metric:
    """The same metric without its formula over the table: measured row by row."""
    return replace(metric, slope=None, rowwise=False)


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(30, 300), weighted=st.booleans(), clusters=st.sampled_from([None, 12]))
def test_the_table_gives_what_the_rows_give(name: str, seed: int, n: int, weighted: bool, clusters: int | None) -> None:
    base, head = two_models(seed, n, weighted=weighted, clusters=clusters)
    quick = paired(named(name), base["classes"], head["classes"])
    slow = paired(as_rows(named(name)), base["classes"], head["classes"])
    assert (quick.baseline, quick.head, quick.change) == pytest.approx((slow.baseline, slow.head, slow.change), abs=1e-12)
    assert quick.standard_error == pytest.approx(slow.standard_error, rel=1e-9)
    if quick.method not in ("tango", "bounded") and not weighted and quick.disagree == slow.disagree:
        assert quick.steps == pytest.approx(slow.steps, rel=1e-6, abs=1e-9)
    assert (quick.n, quick.clusters, quick.support, quick.baseline_state) == (slow.n, slow.clusters, slow.support, slow.baseline_state)


@pytest.mark.parametrize("clusters", [None, 15])
def test_many_metrics_on_many_slices_equal_each_one_alone_to_the_last_bit(clusters: int | None) -> None:
    base, head = two_models(5, 400, weighted=True, clusters=clusters)
    rows = {"all": None, "even": np.arange(400) % 2 == 0, "first": np.arange(60), "none": np.zeros(400, dtype=bool)}
    for kind, names in (("classes", CLASSES + SCORES + PROBS + COLUMNS), ("numbers", NUMBERS)):
        metrics = [named(name) for name in names]
        together = paired_many(metrics, base[kind], head[kind], rows_by_slice=rows)
        for slice_, some in rows.items():
            assert together[slice_] == tuple(paired(metric, base[kind], head[kind], rows=some) for metric in metrics)
        assert {one.reason for one in together["none"]} == {"empty"}


@pytest.mark.parametrize("name", ALL)
def test_a_slice_is_judged_as_if_its_rows_were_all_there_is(name: str) -> None:
    base, head = two_models(6, 500)
    b, h = sample_for(name, base), sample_for(name, head)
    some = np.arange(500) % 3 == 0
    cut, whole = paired(named(name), b, h, rows=some), paired(named(name), b.take(some), h.take(some))
    assert cut == whole
    assert cut.n == int(some.sum())


@pytest.mark.parametrize("name", ALL)
def test_plus_is_better_whichever_direction_the_metric_has(name: str) -> None:
    base, head = two_models(8, 600)
    metric = named(name)
    one, other = (
        paired(metric, *sides)
        for sides in ((sample_for(name, base), sample_for(name, head)), (sample_for(name, head), sample_for(name, base)))
    )
    assert one.change is not None
    assert other.change is not None
    assert one.head is not None
    assert one.baseline is not None
    sign = 1 if metric.direction == "higher" else -1
    assert one.change == pytest.approx(sign * (one.head - one.baseline), abs=1e-15)
    assert other.change == pytest.approx(-one.change, abs=1e-15)
    assert (one.better, one.worse) == (other.worse, other.better)
    if one.low is not None and one.high is not None:
        assert one.low < one.change < one.high
        # what hides in the tail of a metric without bounds is read off the head's own examples, which are others here
        near = {"abs": 0.2 * (one.high - one.low) if None in metric.bounds else 1e-12}
        assert (other.low, other.high) == (pytest.approx(-one.high, **near), pytest.approx(-one.low, **near))


def right_or_wrong(right: np.ndarray, *, weight: np.ndarray | None = None, cluster: np.ndarray | None = None) -> Sample:
    """A binary sample whose target is always 1 except in the last row."""
    target = np.ones(len(right), np.int32)
    target[-1] = 0
    prediction = np.where(right, target, 1 - target).astype(np.int32)
    return Sample(len(right), target, prediction, ("no", "yes"), weight=weight, cluster=cluster, positive=1)


def flips(n: int, better: int, worse: int) -> tuple[np.ndarray, np.ndarray]:
    """Correctness on baseline and head: the first `better` rows fixed, the next `worse` broken, of the rest every tenth wrong on both."""
    base, head = np.arange(n) % 10 != 0, np.arange(n) % 10 != 0
    base[:better], head[:better] = False, True
    base[better : better + worse], head[better : better + worse] = True, False
    return base, head


def test_accuracy_uses_tangos_interval_and_wilsons_for_the_head_at_every_n() -> None:
    for n, better, worse in ((1, 0, 1), (5, 0, 0), (40, 3, 1), (2000, 30, 31)):
        base, head = flips(n, better, worse)
        got = paired(named("accuracy"), right_or_wrong(base), right_or_wrong(head))
        assert (got.method, got.reason, got.better, got.worse, got.disagree, got.trials) == (
            "tango",
            None,
            better,
            worse,
            better + worse,
            n,
        )
        assert got.change == (better - worse) / n
        assert (got.low, got.high) == tango(better, worse, n, 0.95)
        assert (got.head_low, got.head_high) == wilson(int(head.sum()), n, 0.95)
        assert interval(named("accuracy"), right_or_wrong(head)) == wilson(int(head.sum()), n, 0.95)


def test_recall_of_a_class_is_the_accuracy_on_its_rows() -> None:
    base, head = two_models(9, 800)
    rows = base["classes"].target == 1
    recall = paired(named("recall:spam"), base["classes"], head["classes"])
    alone = paired(named("accuracy"), base["classes"], head["classes"], rows=rows)
    assert (recall.method, recall.trials) == ("tango", int(rows.sum()))
    assert (recall.change, recall.low, recall.high, recall.head_low) == (alone.change, alone.low, alone.high, alone.head_low)
    assert recall.n == 800


def test_a_column_of_zeros_and_ones_is_judged_as_right_and_wrong_rows() -> None:
    base, head = flips(300, 4, 2)
    sides = [Sample(300, columns={"judge": side.astype(np.float64)}) for side in (base, head)]
    got = paired(named("mean:judge"), *sides)
    assert (got.method, got.low, got.high) == ("tango", *tango(4, 2, 300, 0.95))
    errors = replace(named("mean:judge"), direction="lower")
    turned = paired(errors, *sides)
    assert (turned.change, turned.better, turned.worse) == (-2 / 300, 2, 4)
    assert (turned.low, turned.high) == tango(2, 4, 300, 0.95)
    assert turned.head_low == got.head_low


def test_equal_weights_and_clusters_of_one_row_change_nothing() -> None:
    base, head = flips(100, 2, 5)
    plain = paired(named("accuracy"), right_or_wrong(base), right_or_wrong(head))
    same = {"weight": np.full(100, 2.5), "cluster": np.arange(100, dtype=np.int32) * 7}
    assert paired(named("accuracy"), right_or_wrong(base, **same), right_or_wrong(head, **same)) == plain


def test_weights_make_accuracy_an_influence_interval() -> None:
    base, head = flips(400, 20, 25)
    weight = 1.0 + np.arange(400) % 3
    got = paired(named("accuracy"), right_or_wrong(base, weight=weight), right_or_wrong(head, weight=weight))
    assert (got.method, got.reason, got.df) == ("influence", None, 44)
    difference = (head.astype(float) - base) * weight / weight.sum()
    error = np.sqrt(400 / 399 * ((difference - difference.sum() * weight / weight.sum()) ** 2).sum())
    assert got.standard_error == pytest.approx(error, rel=1e-12)
    assert got.change == pytest.approx(difference.sum(), abs=1e-15)
    down, up = (distance(critical(0.95, 44), error, step) for step in got.steps)
    assert (got.low, got.high) == (pytest.approx(got.change - down), pytest.approx(got.change + up))


def test_clusters_are_summed_before_they_are_squared() -> None:
    base, head = flips(400, 60, 60)
    cluster = (np.arange(400) % 40).astype(np.int32)
    got = paired(named("accuracy"), right_or_wrong(base, cluster=cluster), right_or_wrong(head, cluster=cluster))
    sums = np.bincount(cluster, weights=(head.astype(float) - base) / 400)
    assert (got.method, got.clusters) == ("clusters", 40)
    assert got.standard_error == pytest.approx(np.sqrt(40 / 39 * (sums**2).sum()), rel=1e-9)


def test_repeats_of_every_example_add_nothing() -> None:
    base, head = two_models(11, 300)
    tripled = np.repeat(np.arange(300), 3)
    again = [replace(side["classes"].take(tripled), cluster=tripled.astype(np.int32)) for side in (base, head)]
    for name in ("accuracy", "f1-macro", "roc-auc", "log-loss", "f1:spam", "quantile:judge"):
        once = paired(as_rows(named(name)), base["classes"], head["classes"])  # not Tango's, which clusters do not use
        thrice = paired(named(name), *again)
        assert thrice.change == pytest.approx(once.change, abs=1e-3 if name == "quantile:judge" else 1e-12)
        assert thrice.standard_error == pytest.approx(once.standard_error, rel=0.05 if name == "quantile:judge" else 1e-9)
        assert (once.clusters, thrice.clusters, thrice.support) == (None, 300, once.support)


def too_few(got: Paired) -> str:
    assert (got.reason, got.low, got.high) == ("too-few", None, None)
    assert got.change is not None
    return got.message or ""


def test_too_little_to_say_is_said_with_the_counts() -> None:
    base, head = two_models(12, 60)
    got = paired(named("log-loss"), *(side["classes"].take(np.arange(9)) for side in (base, head)))
    assert too_few(got) == "too few examples on which the two models differ in log-loss: 9, and an interval needs 10"
    assert (got.head_low, interval(named("log-loss"), head["classes"].take(np.arange(9)))) == (None, None)
    few, _ = flips(500, 0, 0)
    other = few.copy()
    other[1:4] = ~other[1:4]
    cluster = (np.arange(500) % 9).astype(np.int32)
    got = paired(named("accuracy"), right_or_wrong(few, cluster=cluster), right_or_wrong(other, cluster=cluster))
    assert too_few(got) == "too few clusters: 9, and an interval needs 10"
    got = paired(
        named("quantile:judge"), Sample(100, columns={"judge": np.arange(100.0)}), Sample(100, columns={"judge": np.arange(100.0) ** 1.1})
    )
    assert too_few(got) == "too few examples beyond the 0.9-quantile: 10, and an interval needs 25"


@pytest.mark.parametrize("name", ALL)
def test_the_same_model_twice_changes_exactly_nothing_and_is_not_shown_to_be_equal(name: str) -> None:
    base, _ = two_models(13, 300)
    got = paired(named(name), sample_for(name, base), sample_for(name, base))
    assert (got.change, got.disagree, got.better, got.worse, got.p_same) == (0.0, 0, 0, 0, 1.0)
    if got.method in ("tango", "bounded"):
        assert got.low is not None
        assert got.high is not None
        assert got.low < 0 < got.high
    else:
        assert name in {"log-loss", *NUMBERS, *COLUMNS}, "one example can do any harm there"
        too_few(got)


def test_rows_that_only_share_a_denominator_with_a_changed_row_do_not_count_as_contributing() -> None:
    base, _ = flips(1000, 0, 0)
    head = base.copy()
    head[5] = ~head[5]
    for name in ("f1", "mcc", "kappa", "balanced-accuracy", "f1-macro"):
        assert paired(named(name), right_or_wrong(base), right_or_wrong(head)).disagree == 1
    y = np.arange(1000.0)
    nearly = y + 1.0
    nearly[5] = y[5]
    got = paired(named("rmse"), Sample(1000, y, y + 1.0), Sample(1000, y, nearly))
    assert (got.disagree, got.better, got.reason) == (1, 1, "too-few")


def test_an_undefined_side_is_the_reason_and_its_state_stays() -> None:
    base, head = (right_or_wrong(side) for side in flips(30, 1, 1))
    got = paired(named("recall"), base, head, rows=np.array([29]))
    assert (got.reason, got.baseline, got.change, got.low) == ("no-positives", None, None, None)
    assert got.message == "recall is undefined on the baseline: no positives"
    constant = Sample(3, np.ones(3), np.arange(3.0))
    assert paired(named("r2"), constant, constant).reason == "constant-target"


def test_the_heads_targets_weights_and_clusters_count_for_both_sides() -> None:
    base, head = two_models(14, 200, weighted=True)
    stale = replace(base["classes"], target=np.zeros(200, np.int32), weight=None)
    for name in ("accuracy", "roc-auc", "log-loss"):
        assert paired(named(name), stale, head["classes"]) == paired(named(name), base["classes"], head["classes"])


def test_ten_thousand_classes_need_no_table_of_all_combinations() -> None:
    rng = np.random.default_rng(0)
    k, n = 10_000, 5_000
    target = rng.integers(0, k, n).astype(np.int32)
    sides = [Sample(n, target, np.where(rng.random(n) < 0.8, target, 0).astype(np.int32), tuple(map(str, range(k)))) for _ in range(2)]
    got = paired(named("accuracy"), *sides)
    assert sides[0].prediction is not None
    assert got.baseline == (sides[0].prediction == target).mean()
    assert too_few(paired(named("f1-macro"), *sides)).startswith("too few examples of class")


@pytest.mark.parametrize("name", SMOOTH)
def test_the_standard_error_of_a_value_is_the_jackknifes(name: str) -> None:
    base, _ = two_models(15, 150)
    sample, metric = sample_for(name, base), named(name)
    left_out = [metric.measure(sample.take(np.arange(150) != row)).value for row in range(150)]
    jackknife = np.sqrt(149 / 150 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert standard_error(metric.measure(sample)) == pytest.approx(jackknife, rel=0.06)


def test_a_heads_interval_is_the_same_alone_and_in_a_pair() -> None:
    base, head = two_models(16, 400)
    for name in ALL:
        got = paired(named(name), sample_for(name, base), sample_for(name, head))
        alone = interval(named(name), sample_for(name, head))
        if alone is None:
            assert got.head_low is None
        else:
            assert (got.head_low, got.head_high) == pytest.approx(alone, rel=1e-12)


def test_an_interval_stays_within_what_the_metric_can_be() -> None:
    target = np.repeat([0, 1], 50).astype(np.int32)
    prediction = target.copy()
    prediction[::9] = 1 - prediction[::9]
    weight = np.where(np.arange(100) % 9 == 0, 0.001, 1.0)
    low, high = interval(named("accuracy"), Sample(100, target, prediction, ("no", "yes"), weight=weight, positive=1)) or (0.0, 0.0)
    assert 0.99 < low < high <= 1
    assert interval(named("f1"), Sample(100, target, target, ("no", "yes"), positive=1)) == (
        pytest.approx(f1_after(50, critical(0.95) ** 2)),
        1.0,
    ), "no error seen is not certainty"


def f1_after(positives: int, errors: float) -> float:
    """After so many false alarms (or misses, which cost less at first and more in the end)."""
    return min(2 * positives / (2 * positives + errors), 2 * (positives - errors) / (2 * positives - errors))
