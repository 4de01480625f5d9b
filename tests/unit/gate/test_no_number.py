"""A number that is none (NaN, infinite, missing) never passes, by whatever way it comes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded, scalars
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.records import run as record
from mlops_toolkit.records.run import MetricValue
from tests.unit.gate.drawn import answers, request, run, side
from tests.unit.gate.test_assemble import check, shifted

NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "null", '"NaN"', "[]", "{}", '"inf"']


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_in_a_metrics_file(text: str) -> None:
    def compared() -> None:
        found = read_metrics(b'{"accuracy": %s}' % text.encode(), "metrics.json")
        assemble(request("gate: {accuracy: {min: 0.5}}\n"), None, Loaded("metrics.json", scalars=scalars(found)))

    with pytest.raises(MlopsError):
        compared()


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_among_the_measures(text: str, tmp_path: Path) -> None:
    path = tmp_path / "measures.json"
    for written in (f'{{"latency-ms": {text}}}', f'{{"latency-ms": [1, {text}]}}'):
        path.write_text(written)
        with pytest.raises(MlopsError):
            read_measures(path, name="measures.json")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("at", ["value", "standard_error"])
def test_in_a_record(word: str, at: str) -> None:
    """The baseline's, or one that a job handed over."""
    whole = json.loads(record.dumps(run(metrics={"accuracy": MetricValue(0.5, 10, "a/1", "higher", 0.25)})))
    whole["metrics"]["accuracy"][at] = "HERE"
    with pytest.raises(MlopsError):
        record.loads(json.dumps(whole).replace('"HERE"', word), where="run.json")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", ["score", "weight"])
def test_in_a_column_of_the_predictions(value: float, column: str) -> None:
    numbers = [0.5] * 99 + [value]
    with pytest.raises(MlopsError):
        side({**answers(90, 10), column: numbers}, positive="cat")


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_in_a_column_that_a_metric_reads(value: float | None) -> None:
    text = "evaluate: {run: x, metrics: [{mean: quality, better: higher}]}\ngate: {quality: {min: 0.1}}\n"
    with pytest.raises(MlopsError):
        assemble(request(text), None, side({**answers(90, 10), "quality": [0.5] * 99 + [value]}))


ASKED = ["max-drop: 0.1", "max-drop: 10%", "improve-by: 0.01", "max-gain: 0.5", "min: 0.1", "max: 0.9", "max-drop: 0.1, min: 0.1"]


@pytest.mark.parametrize("rule", ASKED)
@pytest.mark.parametrize("missing", ["baseline", "head"])
def test_a_value_that_a_record_says_there_is_none_of(rule: str, missing: str) -> None:
    """`null` with a state, as a record of an undefined metric has it; what asks nothing of the baseline does not mind the baseline's."""
    values = {"baseline": 0.5, "head": 0.5, missing: None}
    sides = [
        Loaded("run", run=run(), scalars={"quality": MetricValue(value, 0, "", "higher", state="ok" if value else "one-class")})
        for value in values.values()
    ]
    result = assemble(request(f"measures: {{quality: higher}}\ngate: {{quality: {{{rule}}}}}\n"), *sides)
    if missing == "baseline" and rule in ("min: 0.1", "max: 0.9"):
        assert result.verdict == "pass"
    else:
        assert (result.verdict, result.exit, check(result, "quality").leaning) == ("inconclusive", 3, "beyond")


UNDEFINED: list[tuple[str, dict[str, Any]]] = [
    ("roc-auc", {"target": ["cat"] * 50, "prediction": ["cat"] * 50, "score": [i / 50 for i in range(50)]}),
    ("recall:dog", {"target": ["cat"] * 50, "prediction": ["cat"] * 49 + ["dog"]}),
]


@pytest.mark.parametrize("rule", ["max-drop: 1pp", "max-drop: 1%", "improve-by: 1pp", "max-gain: 5pp", "min: 0.5", "max: 0.9"])
@pytest.mark.parametrize(("metric", "columns"), UNDEFINED, ids=[name for name, _ in UNDEFINED])
@pytest.mark.parametrize("compared", [True, False])
def test_a_metric_that_is_undefined_on_these_examples(metric: str, columns: dict[str, Any], rule: str, compared: bool) -> None:
    text = f"evaluate: {{run: x, metrics: ['{metric}'], positive: cat}}\ngate: {{'{metric}': {{{rule}}}}}\n"
    head = side(columns, positive="cat")
    result = assemble(request(text, state="ok" if compared else "first-run"), head if compared else None, head)
    assert result.verdict != "pass"
    if compared or rule.startswith(("min: ", "max: ")):
        assert result.exit == 3


def test_a_relative_margin_of_the_largest_numbers_is_still_a_number() -> None:
    text = "gate: {loss: {max-rise: 200%, max-gain: 300%}}\n"
    sides = [Loaded("m", scalars=scalars({"loss": value})) for value in (1e300, -1e300)]
    made = assemble(request(text), *sides)
    assert all(math.isfinite(number) for number in (made.checks[0].change or 0.0, made.checks[0].margin or 0.0))


def test_nothing_of_a_result_is_no_number() -> None:
    from mlops_toolkit.records import codec

    text = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 1%, max-gain: 2pp}}\n"
    made = codec.dumps(assemble(request(text), side(answers(0, 40)), side(shifted(0, 40, 0, 3))))
    assert "NaN" not in made
    assert "Infinity" not in made
