"""From a table to a record's numbers: names, values, errors, slices, and what cannot be computed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, Evaluate, MetricRequest, SliceRequest, Suite
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.predictions.score import reported, score
from mlops_toolkit.records import codec
from tests.unit.predictions.make import made

ROWS = {
    "id": [str(i) for i in range(8)],
    "target": ["spam", "ham"] * 4,
    "prediction": ["spam", "ham", "spam", "spam", "ham", "ham", "spam", "ham"],
    "language": ["de"] * 3 + ["en"] * 5,
    "judge": [1, 2, 3, 4, 5, 6, 7, 8],
}


def asked(*metrics: str) -> tuple[MetricRequest, ...]:
    return tuple(MetricRequest(name, name.partition(":")[0], name.partition(":")[2] or None) for name in metrics)


def config(**suite: object) -> Config:
    return Config("m", evaluate=Evaluate(**suite))  # type: ignore[arg-type]


def test_metrics_have_value_error_count_and_signature() -> None:
    scored = score(made(ROWS), config(metrics=asked("accuracy", "recall:spam")))
    accuracy = scored.metrics["accuracy"]
    assert (accuracy.value, accuracy.n, accuracy.state, accuracy.direction) == (0.75, 8, "ok", "higher")
    assert accuracy.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 7), abs=1e-12)
    assert scored.metrics["recall:spam"].value == 0.75
    assert accuracy.signature
    assert scored.units["accuracy"] == "fraction"


def test_slices_carry_the_same_metrics_on_fewer_rows() -> None:
    slices = (SliceRequest("language", column="language"), SliceRequest("hard", where="judge > 6"))
    scored = score(made(ROWS), config(metrics=asked("accuracy"), slices=slices))
    assert {name: (values["accuracy"].n, values["accuracy"].value) for name, values in scored.slices.items()} == {
        "language=de": (3, 1.0),
        "language=en": (5, 0.6),
        "hard": (2, 1.0),
    }


def test_the_rows_of_a_cluster_count_as_one() -> None:
    rows = {**ROWS, "cluster": ["a"] * 4 + ["b"] * 4}
    plain, clustered = (score(made(r), config(metrics=asked("accuracy"))).metrics["accuracy"] for r in (ROWS, rows))
    assert plain.value == clustered.value
    assert clustered.standard_error == pytest.approx(0.0, abs=1e-12), "both clusters have three of four right"


def test_suites_prefix_their_metrics() -> None:
    suites = {"safety": Suite(run="x", metrics=asked("accuracy")), "quality": Suite(run="x", metrics=asked("accuracy"))}
    assert list(score(made(ROWS), config(suites=suites), "safety").metrics) == ["safety/accuracy"]


def test_without_a_list_the_usual_metrics_and_those_of_the_gate_are_computed() -> None:
    assert list(score(made(ROWS), config()).metrics) == ["accuracy", "balanced-accuracy", "f1-macro"]
    gated = Config("m", evaluate=Evaluate(), gate={"mcc": Rule(min=0.1), "latency-ms": Rule(max=5.0), "accuracy": Rule(min=0.5)})
    assert list(score(made(ROWS), gated).metrics) == ["accuracy", "balanced-accuracy", "f1-macro", "mcc"]
    regression = made({"id": ["1", "2"], "target": [1.0, 2.5], "prediction": [1.5, 2.0]}, task="regression")
    assert list(score(regression, config()).metrics) == ["mae", "rmse", "r2"]


def test_means_and_quantiles_read_the_users_columns() -> None:
    metrics = (
        MetricRequest("judge", "mean", "judge", better="higher", unit="points"),
        MetricRequest("p50:judge", "quantile", "judge", better="higher", q=0.5),
    )
    answers = made({"id": ["1", "2", "3"], "judge": [1, 2, 6]}, task=None)
    scored = score(answers, config(metrics=metrics))
    assert scored.metrics["judge"].value == 3.0
    assert scored.metrics["p50:judge"].value == np.quantile([1, 2, 6], 0.5)
    with pytest.raises(InvalidFile, match='there is no column "judgement" of numbers'):
        score(answers, config(metrics=(MetricRequest("x", "mean", "judgement", better="higher"),)))
    with pytest.raises(UsageError) as caught:
        score(answers, config())
    assert caught.value.name == "no-metrics"
    assert "metrics: [{mean: judge, better: higher}]" in str(caught.value)


def test_an_undefined_metric_has_no_value_and_a_state_and_can_be_recorded() -> None:
    rows = {"id": ["1", "2"], "target": ["1", "1"], "prediction": ["1", "0"], "score": [0.5, 0.25]}
    scored = score(made(rows), config(metrics=asked("roc-auc"), slices=(SliceRequest("one", where="id = 1"),)))
    assert scored.metrics["roc-auc"].value is None
    assert scored.metrics["roc-auc"].state == "one-class"
    assert scored.slices["one"]["roc-auc"].standard_error is None
    assert codec.to_json(scored.slices)


def test_a_metric_these_predictions_cannot_have_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        score(made(ROWS), config(metrics=asked("recall:spma")))
    assert caught.value.name == "unknown-class"
    assert caught.value.where == "evaluate.metrics"


def test_numbers_of_a_metrics_file_have_no_examples_and_no_error() -> None:
    values = reported({"bleu": 31.5, "test/wer": 0.25}, config(), "mt")
    assert {name: (v.value, v.n, v.direction, v.standard_error) for name, v in values.items()} == {
        "mt/bleu": (31.5, 0, "higher", None),
        "mt/test/wer": (0.25, 0, "lower", None),
    }
