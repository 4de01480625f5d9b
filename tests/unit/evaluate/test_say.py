"""What `mlops evaluate` prints: aligned, with the digits the error supports, and harmless whatever names hold."""

from __future__ import annotations

from mlops_toolkit.evaluate import say
from mlops_toolkit.predictions.score import Scored
from mlops_toolkit.records.run import Measure, MetricValue
from tests.unit.predictions.hostile import HOSTILE
from tests.unit.predictions.make import made


def value(number: float | None, error: float | None = None, state: str = "ok", n: int = 100) -> MetricValue:
    return MetricValue(number, n, "s/1", "higher", error, state)


def test_a_suite_reads_as_a_small_table() -> None:
    table = made({"id": ["1", "2"], "target": ["a", "b"], "prediction": ["a", "a"]}, task=None)
    slices = {f"language={i}": {"accuracy": value(0.5 + i / 100, 0.05, n=20)} for i in range(7)}
    metrics = {
        "accuracy": value(0.97553, 0.00362),
        "f1:a": value(0.5, 0.12, "no-predicted-positives"),
        "roc-auc": value(None, None, "one-class"),
    }
    text = say.suite(
        "", table, Scored(metrics, slices, dict.fromkeys(metrics, "fraction")), {"latency-ms": Measure((10.0, 14.0), unit="ms")}
    )
    assert text == (
        "2 examples, classification, 2 labels (told by the data; say `task:` if it is something else)\n"
        "  accuracy  0.9755  ± 0.0036\n"
        "  f1:a       0.500  ± 0.120  (no predicted positives)\n"
        "  roc-auc        —  one class\n"
        "  accuracy by slice, the 5 worst of 7:\n"
        "    language=0 (20)  0.500  ± 0.050\n"
        "    language=1 (20)  0.510  ± 0.050\n"
        "    language=2 (20)  0.520  ± 0.050\n"
        "    language=3 (20)  0.530  ± 0.050\n"
        "    language=4 (20)  0.540  ± 0.050\n"
        "  latency-ms  12 ms  mean of 2"
    )


def test_the_worst_slice_of_a_loss_is_the_highest() -> None:
    loss = {"mae": MetricValue(1.0, 9, "s/1", "lower", 0.1)}
    slices = {"low": {"mae": MetricValue(0.5, 3, "s/1", "lower", 0.1)}, "high": {"mae": MetricValue(2.0, 3, "s/1", "lower", 0.1)}}
    lines = say.suite("s", None, Scored(loss, slices, {"mae": ""}), {}).splitlines()
    assert [line.split()[0] for line in lines if "(3)" in line] == ["high", "low"]


def test_a_tiny_error_is_never_shown_as_none() -> None:
    text = say.suite("s", None, Scored({"m": value(0.5, 1e-9)}, {}, {"m": "fraction"}), {})
    assert "± 0.000000001" in text


def test_names_of_any_text_stay_on_their_line() -> None:
    for name in HOSTILE:
        text = say.suite("s", None, Scored({name: value(0.5, 0.1)}, {name: {name: value(0.5, 0.1)}}, {name: ""}), {name: Measure((1.0,))})
        assert len(text.split("\n")) == 5, name
        assert not [c for c in text if not c.isprintable() and c != "\n"], name
