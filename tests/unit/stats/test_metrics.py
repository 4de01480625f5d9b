"""Every metric equals scikit-learn's, names what scikit-learn warns of, and its influence is the slope it says it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metrics import TABLE, default, resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import CLASSES, COLUMNS, NUMBERS, PROBS, SCORES, SMOOTH, make, named, reweighted, sample_for, samples

K = 3


def averaged(kind: Callable[..., Any], name: str) -> Callable[[Sample], float]:
    family, _, label = name.partition(":")
    if label:
        return lambda s: kind(words(s, s.target), words(s, s.prediction), labels=[label], average="macro", sample_weight=s.weight)
    averaging = family.partition("-")[2]
    return lambda s: kind(s.target, s.prediction, average=averaging, sample_weight=s.weight)


def words(sample: Sample, codes: Any) -> Any:
    return np.array(sample.labels)[codes]


def against(name: str) -> Callable[[Sample], float]:
    """scikit-learn's value of a metric on a Sample."""
    family = name.partition(":")[0]
    kinds = {"precision": theirs.precision_score, "recall": theirs.recall_score, "f1": theirs.f1_score}
    for word, kind in kinds.items():
        if family.split("-")[0] == word:
            return averaged(kind, name)
    plain: dict[str, Callable[..., float]] = {
        "accuracy": theirs.accuracy_score,
        "balanced-accuracy": theirs.balanced_accuracy_score,
        "mcc": theirs.matthews_corrcoef,
        "kappa": theirs.cohen_kappa_score,
        "mae": theirs.mean_absolute_error,
        "rmse": theirs.root_mean_squared_error,
        "r2": theirs.r2_score,
        "mape": theirs.mean_absolute_percentage_error,
        "median-absolute-error": theirs.median_absolute_error,
    }
    if family in plain:
        return lambda s: plain[family](s.target, s.prediction, sample_weight=s.weight)
    every = list(range(K))
    return {
        "roc-auc:spam": lambda s: theirs.roc_auc_score(s.target == 1, s.prob[:, 1], sample_weight=s.weight),
        "average-precision:spam": lambda s: theirs.average_precision_score(s.target == 1, s.prob[:, 1], sample_weight=s.weight),
        "roc-auc": lambda s: theirs.roc_auc_score(s.target, s.prob, multi_class="ovr", labels=every, sample_weight=s.weight),
        "average-precision": lambda s: theirs.average_precision_score(s.target, s.prob, sample_weight=s.weight),
        "log-loss": lambda s: theirs.log_loss(s.target, s.prob, labels=every, sample_weight=s.weight),
        "brier": lambda s: theirs.brier_score_loss(s.target, s.prob, labels=every, sample_weight=s.weight),
        "pinball:0.9": lambda s: theirs.mean_pinball_loss(s.target, s.prediction, alpha=0.9, sample_weight=s.weight),
        "mean:judge": lambda s: float(np.average(s.columns["judge"], weights=s.weight)),
        "quantile:judge": lambda s: float(np.quantile(s.columns["judge"], 0.9)),
    }[name]


def quietly(compute: Callable[[], float]) -> tuple[float | None, bool]:
    """Their value, None where it is an exception or NaN, and whether they warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value: float | None = float(compute())
        except ValueError:
            value = None
    if value is not None and np.isnan(value):
        value = None
    return value, any(issubclass(w.category, UserWarning) for w in caught)


# where ours is undefined and theirs is a number that means nothing: why
STRICTER = {"one-class", "no-positives", "constant-target", "class-without-examples"}


@pytest.mark.parametrize("name", CLASSES + SCORES + PROBS + NUMBERS + COLUMNS)
@settings(max_examples=30, deadline=None)
@given(drawn=samples())
def test_a_metric_equals_scikit_learns_on_weights_ties_and_missing_classes(name: str, drawn: dict[str, Sample]) -> None:
    sample = sample_for(name, drawn)
    if name == "quantile:judge" and sample.weight is not None:
        return  # numpy's linear method takes no weights
    mine = named(name).measure(sample)
    value, warned = quietly(lambda: against(name)(sample))
    if mine.value is None:
        assert value is None or mine.state in STRICTER
        assert mine.state != "ok"
        return
    assert value is not None
    assert mine.value == pytest.approx(value, rel=1e-12, abs=1e-12)
    if warned:
        assert mine.state != "ok", "scikit-learn warns here: the state must say so"


@pytest.mark.parametrize("name", ["roc-auc", "average-precision", "log-loss", "brier", "f1", "precision", "recall", "mcc"])
@settings(max_examples=30, deadline=None)
@given(drawn=samples(classes=2))
def test_a_binary_metric_equals_scikit_learns_on_the_positive_class(name: str, drawn: dict[str, Sample]) -> None:
    s = drawn["classes"]
    compute: dict[str, Callable[[], float]] = {
        "roc-auc": lambda: theirs.roc_auc_score(s.target, s.score, sample_weight=s.weight),
        "average-precision": lambda: theirs.average_precision_score(s.target, s.score, sample_weight=s.weight),
        "log-loss": lambda: theirs.log_loss(s.target, s.prob, labels=[0, 1], sample_weight=s.weight),
        "brier": lambda: theirs.brier_score_loss(s.target, s.prob[:, 1], pos_label=1, sample_weight=s.weight),
        "f1": lambda: theirs.f1_score(s.target, s.prediction, sample_weight=s.weight),
        "precision": lambda: theirs.precision_score(s.target, s.prediction, sample_weight=s.weight),
        "recall": lambda: theirs.recall_score(s.target, s.prediction, sample_weight=s.weight),
        "mcc": lambda: theirs.matthews_corrcoef(s.target, s.prediction, sample_weight=s.weight),
    }
    mine = named(name).measure(s)
    value, warned = quietly(compute[name])
    if mine.value is None:
        assert value is None or mine.state in STRICTER
        return
    assert mine.value == pytest.approx(value, rel=1e-12, abs=1e-12)
    assert mine.state != "ok" or not warned


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=25, deadline=None)
@given(drawn=samples(), pick=st.integers(0, 10**6))
def test_influence_is_the_weighted_metrics_own_slope_and_sums_to_nothing(name: str, drawn: dict[str, Sample], pick: int) -> None:
    metric, sample = named(name), sample_for(name, drawn)
    mine = metric.measure(sample)
    if mine.value is None or mine.influence is None:
        return
    scale = max(1.0, abs(mine.value), float(np.abs(mine.influence).max()))
    assert abs(mine.influence.sum()) <= 1e-9 * scale * sample.n
    row, h = pick % sample.n, 1e-4
    ahead, behind = (metric.measure(reweighted(sample, row, by)).value for by in (1 + h, 1 - h))
    assert ahead is not None
    assert behind is not None
    assert mine.influence[row] == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-6 * scale)


@pytest.mark.parametrize("name", [*SMOOTH, "median-absolute-error", "quantile:judge"])
def test_neither_value_nor_influence_depends_on_the_order_of_rows(name: str) -> None:
    rng = np.random.default_rng(3)
    for spiky in (False, True):
        sample = sample_for(name, make(rng, 200, (3, 3), weighted=True, spiky=spiky, labels=("ham", "spam", "eggs")))
        order = rng.permutation(sample.n)
        first, second = named(name).measure(sample), named(name).measure(sample.take(order))
        assert first.value == pytest.approx(second.value, rel=1e-12)
        assert first.influence is not None
        assert second.influence == pytest.approx(first.influence[order], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", [*SMOOTH, "median-absolute-error"])
@settings(max_examples=20, deadline=None)
@given(drawn=samples(), seed=st.integers(0, 10**6))
def test_a_weight_of_three_is_the_row_three_times(name: str, drawn: dict[str, Sample], seed: int) -> None:
    sample = replace(sample_for(name, drawn), weight=None)
    times = np.random.default_rng(seed).integers(1, 4, sample.n)
    repeated = named(name).measure(sample.take(np.repeat(np.arange(sample.n), times)))
    weighted = named(name).measure(replace(sample, weight=times.astype(np.float64)))
    assert weighted.state == repeated.state
    assert weighted.value == (None if repeated.value is None else pytest.approx(repeated.value, rel=1e-9, abs=1e-12))


def test_equal_weights_give_numpys_quantile() -> None:
    values = np.random.default_rng(1).normal(size=101)
    for q in (0.01, 0.5, 0.95):
        metric = resolve(MetricRequest("p", "quantile", argument="x", better="lower", q=q))
        unweighted = metric.measure(Sample(101, columns={"x": values})).value
        weighted = metric.measure(Sample(101, columns={"x": values}, weight=np.full(101, 3.0))).value
        assert unweighted == float(np.quantile(values, q))
        assert weighted == pytest.approx(unweighted, rel=1e-12)


@pytest.mark.parametrize("name", ["median-absolute-error", "quantile:judge"])
def test_a_quantiles_standard_error_is_that_of_repeated_samples(name: str) -> None:
    rng = np.random.default_rng(7)
    values, errors = [], []
    for _ in range(300):
        x = rng.exponential(size=400)
        measured = named(name).measure(Sample(400, np.zeros(400), x, columns={"judge": x}))
        assert measured.influence is not None
        values.append(measured.value)
        errors.append(np.sqrt((measured.influence**2).sum()))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_the_registry_and_the_table_of_known_metrics_name_the_same() -> None:
    assert set(TABLE) == set(FAMILIES)


@pytest.mark.parametrize("family", sorted(TABLE))
def test_every_family_says_its_direction_unit_and_signature_as_the_table_does(family: str) -> None:
    argument = {"pinball": "0.5", "mean": "x", "quantile": "x"}.get(family)
    metric = resolve(
        MetricRequest(family, family, argument=argument, better=FAMILIES[family].better or "lower", q=0.5 if family == "quantile" else None)
    )
    assert metric.direction == (FAMILIES[family].better or "lower")
    assert (metric.unit, metric.bounds) == (FAMILIES[family].unit, FAMILIES[family].bounds)
    assert metric.signature.endswith("/1")
    assert metric.measure(Sample(0, np.zeros(0, np.int32), np.zeros(0, np.int32), ("a", "b"))).state == "empty"


REFUSALS = [
    (MetricRequest("acuracy", "acuracy"), "unknown-metric", 'did you mean "accuracy"?'),
    (MetricRequest("f1:spm", "f1", argument="spm"), "unknown-class", 'did you mean "spam"?'),
    (MetricRequest("f1", "f1"), "needs-class", "write f1:ham, f1:spam, f1:eggs, f1-macro, f1-micro or f1-weighted"),
    (MetricRequest("mean", "mean", better="higher"), "needs-column", "{mean: COLUMN, better: higher}"),
    (MetricRequest("judge", "mean", argument="judge"), "needs-direction", "{mean: judge, better: higher}"),
    (MetricRequest("p95", "quantile", argument="ms", better="lower", q=95.0), "bad-quantile", "q: 0.95"),
    (MetricRequest("p95", "quantile", argument="ms", better="lower"), "bad-quantile", "q: 0.95"),
    (MetricRequest("pinball:x", "pinball", argument="x"), "bad-quantile", "pinball:0.9"),
    (MetricRequest("pinball:1", "pinball", argument="1"), "bad-quantile", "pinball:0.9"),
    (MetricRequest("pinball:nan", "pinball", argument="nan"), "bad-quantile", "pinball:0.9"),
]


@pytest.mark.parametrize(("request_", "name", "hint"), REFUSALS, ids=[row[1] + "-" + row[0].name for row in REFUSALS])
def test_a_request_that_cannot_be_meant_is_a_named_error_that_says_what_to_write(request_: MetricRequest, name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(request_, labels=("ham", "spam", "eggs"), where="mlops.yaml:7")
    assert caught.value.name == name
    assert hint in (caught.value.hint or "")
    assert caught.value.where == "mlops.yaml:7"


def test_a_class_or_column_that_the_predictions_lack_is_a_named_error() -> None:
    sample = Sample(2, np.array([0, 1], np.int32), np.array([0, 1], np.int32), ("ham", "spam"), columns={"latency": np.ones(2)})
    for name, error in (("f1:egg", "unknown-class"), ("f1", "needs-class"), ("roc-auc", "needs-class"), ("mean:latncy", "unknown-column")):
        with pytest.raises(UsageError) as caught:
            named(name).measure(sample)
        assert caught.value.name == error


STATES = [
    ("roc-auc", [1, 1, 1], [1, 0, 1], "one-class"),
    ("average-precision", [0, 0, 0], [1, 0, 1], "no-positives"),
    ("recall", [0, 0, 0], [1, 0, 1], "no-positives"),
    ("f1", [0, 0, 0], [0, 0, 0], "no-positives"),
    ("mcc", [1, 1, 1], [1, 0, 1], "one-class"),
    ("kappa", [1, 1, 1], [1, 0, 1], "one-class"),
]


@pytest.mark.parametrize(("name", "target", "prediction", "state"), STATES)
def test_what_cannot_be_computed_is_none_with_a_named_state(name: str, target: list[int], prediction: list[int], state: str) -> None:
    codes = np.array(target, np.int32), np.array(prediction, np.int32)
    measured = named(name).measure(Sample(3, *codes, ("ham", "spam"), score=np.arange(3.0), positive=1))
    assert (measured.value, measured.state, measured.influence) == (None, state, None)


FILLED = [
    ("precision", [0, 1, 1], [0, 0, 0], 0.0, "no-predicted-positives"),
    ("f1", [0, 1, 1], [0, 0, 0], 0.0, "no-predicted-positives"),
    ("mcc", [0, 1, 1], [0, 0, 0], 0.0, "constant-prediction"),
    ("precision-macro", [0, 1, 1], [0, 0, 0], 1 / 6, "no-predicted-positives"),
    ("recall-macro", [1, 1, 1], [0, 1, 1], 1 / 3, "class-without-examples"),
    ("balanced-accuracy", [1, 1, 1], [0, 1, 1], 2 / 3, "class-without-examples"),
]


@pytest.mark.parametrize(("name", "target", "prediction", "value", "state"), FILLED)
def test_where_scikit_learn_fills_in_a_number_the_state_says_why(
    name: str, target: list[int], prediction: list[int], value: float, state: str
) -> None:
    codes = np.array(target, np.int32), np.array(prediction, np.int32)
    measured = named(name).measure(Sample(3, *codes, ("ham", "spam"), positive=1))
    assert (measured.value, measured.state) == (pytest.approx(value), state)


def test_missing_inputs_are_named_states() -> None:
    bare = Sample(2, np.array([0, 1], np.int32), None, ("ham", "spam"), positive=1)
    assert named("accuracy").measure(bare).state == "no-predictions"
    assert named("roc-auc").measure(bare).state == "no-scores"
    assert named("log-loss").measure(bare).state == "no-probabilities"
    assert named("mae").measure(Sample(2, np.zeros(2))).state == "no-predictions"
    assert named("roc-auc").measure(Sample(2)).state == "no-target"


@pytest.mark.filterwarnings("error")
def test_numbers_too_large_to_square_are_a_state_and_no_infinity() -> None:
    huge = Sample(3, np.array([1e308, -1e308, 0.0]), np.array([-1e308, 1e308, 0.0]))
    for name in ("rmse", "r2", "mae"):
        measured = named(name).measure(huge)
        assert (measured.value, measured.state) == (None, "not-finite")


def test_the_usual_metrics_are_all_computable() -> None:
    usual = {
        (task, binary, scores, probs): [request.name for request in default(task, binary=binary, scores=scores, probs=probs)]
        for task in ("classification", "regression")
        for binary in (True, False)
        for scores in (True, False)
        for probs in (True, False)
    }
    assert usual["regression", False, False, False] == ["mae", "rmse", "r2"]
    assert usual["classification", False, False, False] == ["accuracy", "balanced-accuracy", "f1-macro"]
    assert usual["classification", True, True, False] == ["accuracy", "precision", "recall", "f1", "roc-auc", "average-precision"]
    rng = np.random.default_rng(0)
    for (task, binary, scores, probs), names in usual.items():
        labels = ("ham", "spam") if binary else ("ham", "spam", "eggs")
        drawn = make(rng, 60, (len(labels), len(labels)), weighted=False, spiky=False, labels=labels)
        sample = drawn["numbers" if task == "regression" else "classes"]
        sample = Sample(
            sample.n,
            sample.target,
            sample.prediction,
            sample.labels,
            score=sample.score if scores else None,
            prob=sample.prob if probs else None,
            positive=1 if binary else None,
        )
        assert all(named(name).measure(sample).value is not None for name in names), names


@pytest.mark.parametrize(
    ("name", "labels"), [("accuracy", ()), ("roc-auc", ()), ("log-loss", ()), ("mae", ("no", "yes")), ("r2", ("no", "yes"))]
)
def test_a_metric_of_the_other_task_is_refused_by_name_and_not_computed_from_codes(name: str, labels: tuple[str, ...]) -> None:
    values = np.array([0, 1], np.int32) if labels else np.array([0.0, 1.0])
    sample = Sample(2, values, values, labels, prob=np.full((2, 2), 0.5), positive=1 if labels else None)
    with pytest.raises(UsageError) as caught:
        paired(named(name), sample, sample)
    assert caught.value.name == "wrong-task"
    assert "are numbers" in caught.value.message or "are classes" in caught.value.message


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CLASSES)
def test_weights_of_any_size_give_a_number_or_a_named_state(name: str) -> None:
    target, prediction = np.array([0, 1, 1, 2], np.int32), np.array([0, 1, 2, 2], np.int32)
    for weight in ([1e-300, 1.0, 1.0, 1e-300], [1e300, 1e-300, 1e300, 1.0], [1e308] * 3 + [1e307], [5e-324, 1.0, 5e-324, 5e-324]):
        sample = Sample(4, target, prediction, ("ham", "spam", "eggs"), weight=np.array(weight))
        measured = named(name).measure(sample)
        assert (measured.value is None) == (measured.influence is None)
        assert measured.value is None or np.isfinite(measured.value)
        got = paired(named(name), sample, sample)
        assert got.reason if got.low is None or got.high is None else got.low <= -0.5 < 0.5 <= got.high
