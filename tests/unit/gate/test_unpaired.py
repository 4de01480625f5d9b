"""A baseline whose predictions were not kept is still a baseline: its recorded values are held against, and nothing passes for want of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import Data, Evaluation, MetricValue
from tests.unit.gate.drawn import answers, request, run, side

GATED = "evaluate: {run: x, metrics: [accuracy], slices: [part]}\ngate: {accuracy: {max-drop: 3pp, slices: {max-drop: 6pp}}}\n"
SIGNATURE = "accuracy/1"


def value(accuracy: float, n: int = 2000, error: float | None = 0.005, signature: str = SIGNATURE) -> MetricValue:
    return MetricValue(accuracy, n, signature, "higher", standard_error=error)


def numbers(old: MetricValue, *, digest: str = "sha256:same", model: str = "old", part: MetricValue | None = None) -> Loaded:
    """A baseline of which only the record is left."""
    record = run(
        model,
        metrics={"accuracy": old},
        slices={"part=a": {"accuracy": part or old}},
        evaluations={"": Evaluation(data=Data(digest, 2000))},
    )
    return Loaded(label="main", run=record, scalars={})


def head(right: int, wrong: int, *, digest: str = "sha256:same", model: str = "new") -> Loaded:
    columns: dict[str, Any] = {**answers(right, wrong), "part": ["a" if i % 4 else "b" for i in range(right + wrong)]}
    return side(columns, run=run(model, evaluations={"": Evaluation(data=Data(digest, right + wrong))}))


def compared(baseline: Loaded, mine: Loaded) -> tuple[Result, Check]:
    result = assemble(request(GATED), baseline, mine)
    return result, next(c for c in result.checks if c.slice is None)


def test_a_large_drop_is_shown_worse() -> None:
    result, check = compared(numbers(value(0.95)), head(1700, 300))
    assert (result.exit, check.method, check.baseline) == (1, "unpaired", 0.95)


def test_a_harmless_change_is_shown_not_worse_where_the_margin_is_wide_enough() -> None:
    result, check = compared(numbers(value(0.95)), head(1898, 102))
    assert (result.verdict, check.verdict) == ("pass", "pass")


def test_the_interval_is_wider_than_a_paired_one_would_be() -> None:
    _, check = compared(numbers(value(0.95)), head(1900, 100))
    assert check.low is not None
    assert check.low < -0.012


def test_slices_are_held_against_the_recorded_ones() -> None:
    result, _ = compared(numbers(value(0.95), part=value(0.99, 1500, 0.002)), head(1860, 140))
    part = next(c for c in result.checks if c.slice == "part=a")
    assert (part.baseline, part.verdict) == (0.99, "inconclusive")
    other = next(c for c in result.checks if c.slice == "part=b")
    assert (other.baseline, other.verdict) == (None, "ungated")


@pytest.mark.parametrize(
    ("old", "mine", "reason"),
    [
        (numbers(value(0.95, error=None)), head(1700, 300), "no-interval"),
        (numbers(value(0.95, signature="accuracy/0")), head(1950, 50), "metric-redefined"),
        (numbers(value(0.95), digest="sha256:other"), head(1950, 50), "data-changed"),
    ],
)
def test_what_cannot_be_held_against_is_in_doubt_and_never_a_pass(old: Loaded, mine: Loaded, reason: str) -> None:
    result, check = compared(old, mine)
    assert (result.exit, check.verdict, check.reason) == (3, "inconclusive", reason)


def test_the_same_model_on_the_same_data_changes_exactly_nothing() -> None:
    result, check = compared(numbers(value(0.95), model="m"), head(1900, 100, model="m"))
    assert (result.verdict, check.change, check.low) == ("pass", 0.0, 0.0)


def test_a_metric_that_the_record_does_not_have_either_waits() -> None:
    old = numbers(value(0.95))
    assert old.run is not None
    result, check = compared(replace(old, run=replace(old.run, metrics={}, slices={})), head(1900, 100))
    assert (result.exit, check.verdict) == (0, "ungated")
