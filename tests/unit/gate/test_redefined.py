"""The same name for another number is never compared as if it were the same."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.records.result import Result
from mlops_toolkit.records.run import MetricValue
from mlops_toolkit.report.comment import comment
from tests.unit.gate.drawn import answers, request, run, side
from tests.unit.gate.test_assemble import check, shifted

N = 400


def scored(**more: Any) -> dict[str, Any]:
    made = shifted(380, 20, 3, 3)
    return {**made, "score": [0.9 if p == "cat" else 0.1 for p in made["prediction"]], **more}


def value(signature: str, direction: str = "higher") -> MetricValue:
    return MetricValue(0.9, N, signature, direction, 0.01)  # type: ignore[arg-type]


QUALITY = "evaluate: {run: x, metrics: [{mean: easy, name: quality, better: higher}]}\ngate: {quality: {%s}}\n"
COLUMNS = {"easy": [0.9 + i % 3 / 100 for i in range(N)], "hard": [0.5 + i % 3 / 100 for i in range(N)]}


@pytest.mark.parametrize(
    "rule", ["max-drop: 0.1", "max-drop: 10%", "min: 0.5", "max-gain: 0.5", "improve-by: 0.01", "min: 0.5, max-drop: 0.1"]
)
@pytest.mark.parametrize("by", ["record", "base branch"])
def test_another_column_under_the_same_name_is_in_doubt(rule: str, by: str) -> None:
    text = QUALITY % rule
    old = run(metrics={"quality": value("mean column=hard/1")}) if by == "record" else None
    base = text.replace("mean: easy", "mean: hard") if by == "base branch" else None
    result = assemble(request(text, base=base), side(scored(**COLUMNS), run=old), side(scored(**COLUMNS)))
    found = check(result, "quality")
    assert (result.verdict, result.exit, found.reason, found.change) == ("inconclusive", 3, "metric-redefined", None)
    assert "defined differently on the baseline (mean" in comment(result).text.replace("\\", "")
    assert all(column in (found.message or "") for column in ("easy", "hard"))
    yes = assemble(request(text + (result.next.accept or ""), base=base), side(scored(**COLUMNS), run=old), side(scored(**COLUMNS)))
    assert yes.exit == 0, "somebody may say yes to the new definition"


def test_a_gain_turned_into_a_loss_by_its_direction_is_in_doubt() -> None:
    text = QUALITY % "max-drop: 0.1"
    turned = text.replace("better: higher", "better: lower").replace("max-drop", "max-rise")
    result = assemble(request(turned, base=text), side(scored(**COLUMNS)), side(scored(**COLUMNS)))
    assert (result.exit, check(result, "quality").reason) == (3, "metric-redefined")


@pytest.mark.parametrize("metric", ["f1", "recall", "precision", "roc-auc", "average-precision", "log-loss", "brier"])
def test_another_positive_class_is_another_metric(metric: str) -> None:
    key = "max-rise" if metric in ("log-loss", "brier") else "max-drop"
    text = f"evaluate: {{run: x, metrics: [{metric}, accuracy]}}\ngate: {{{metric}: {{{key}: 0.05}}, accuracy: {{max-drop: 5pp}}}}\n"
    result = assemble(request(text), side(scored(), positive="cat"), side(scored(), positive="dog"))
    found = check(result, metric)
    assert (found.verdict, found.reason, result.exit) == ("inconclusive", "metric-redefined", 3)
    assert 'positive: "cat" → "dog"' in (found.message or "")
    assert check(result, "accuracy").verdict == "pass", "it has no positive class"


def test_a_class_that_is_named_does_not_depend_on_the_positive_one() -> None:
    text = "evaluate: {run: x, metrics: ['f1:cat', f1-macro]}\ngate: {'f1:cat': {max-drop: 5pp}, f1-macro: {max-drop: 5pp}}\n"
    result = assemble(request(text), side(answers(1900, 100), positive="cat"), side(shifted(1900, 100, 8, 8), positive="dog"))
    assert result.verdict == "pass"


def test_slices_of_it_are_in_doubt_too() -> None:
    text = "evaluate: {run: x, metrics: [f1], slices: [half]}\ngate: {f1: {max-drop: 5pp, slices: {max-drop: 5pp, must: pass}}}\n"
    halves = {"half": [str(i % 2) for i in range(N)]}
    result = assemble(request(text), side(scored(**halves), positive="cat"), side(scored(**halves), positive="dog"))
    assert {c.reason for c in result.checks} == {"metric-redefined"}


def test_a_newer_version_of_our_own_code_is_no_other_metric() -> None:
    """Both sides are computed anew from their predictions, by the same code."""
    text = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 2pp}}\n"

    def compared(old: Loaded) -> Result:
        return assemble(request(text), old, side(shifted(1900, 100, 5, 5)))

    plain = compared(side(answers(1900, 100)))
    signature = check(plain).signature
    assert signature.endswith("/1")
    older = side(answers(1900, 100), run=run(metrics={"accuracy": value(signature[:-1] + "0")}))
    assert compared(older).verdict == plain.verdict == "pass"


def test_what_nobody_gates_is_shown_and_says_so() -> None:
    text = (QUALITY % "min: 0").partition("gate")[0]
    old = side(scored(**COLUMNS), run=run(metrics={"quality": value("mean column=hard/1")}))
    result = assemble(request(text), old, side(scored(**COLUMNS)))
    assert (result.verdict, check(result, "quality").reason, check(result, "quality").change) == ("ungated", "metric-redefined", None)
