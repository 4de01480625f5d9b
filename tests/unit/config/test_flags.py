"""The command line says what mlops.yaml would, with the same dataclasses and the same errors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config import flags
from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import Rule, SliceRule
from mlops_toolkit.config.schema import MetricRequest, SliceRequest
from mlops_toolkit.errors import ConfigErrors, UsageError
from tests.unit.config.examples import read


def test_flags_mean_what_the_file_means() -> None:
    said = flags.read(
        name="m",
        metric=["accuracy", "recall:not spam", "mean:judge_score better=higher", "quantile:latency q=0.95 unit=ms"],
        slices=["language", "long=length > 512"],
        gate=["accuracy:max-drop=1pp,min=0.8,slices.max-drop=3pp", "recall:not spam:max-drop=2%"],
        task="classification",
    )
    written = read("""\
name: m
evaluate:
  run: e
  task: classification
  metrics: [accuracy, "recall:not spam", {mean: judge_score, better: higher}, {quantile: latency, q: 0.95, unit: ms}]
  slices: [language, {long: "length > 512"}]
gate:
  accuracy: {max-drop: 1pp, min: 0.8, slices: {max-drop: 3pp}}
  "recall:not spam": {max-drop: 2%}
""").config
    assert said.evaluate is not None
    assert written.evaluate is not None
    assert (said.evaluate.metrics, said.evaluate.slices, said.gate) == (written.evaluate.metrics, written.evaluate.slices, written.gate)


def test_what_is_gated_is_computed_too() -> None:
    said = flags.read(metric=["accuracy"], gate=["f1-macro:max-drop=1pp", "latency-ms:max=50"])
    assert said.evaluate is not None
    assert said.evaluate.metrics == (MetricRequest("accuracy", "accuracy"), MetricRequest("f1-macro", "f1-macro"))


def test_without_metrics_the_tasks_usual_ones_are_left_to_be_chosen() -> None:
    said = flags.read(gate=["accuracy:max-drop=1pp"])
    assert said.evaluate is not None
    assert said.evaluate.metrics == ()


def test_one_rule_in_full() -> None:
    rule = flags.gate_flag("recall:a:b:max-drop=1pp,severity=warn,slices.must=pass,slices.min=0.5")
    assert rule == {"recall:a:b": Rule(max_drop=Margin("1pp", 0.01), severity="warn", slices=SliceRule(min=0.5, must="pass"))}


@pytest.mark.parametrize(
    ("flag", "text", "error"),
    [
        ("gate", "accuracy", '--gate: "accuracy" is not a rule\n  write accuracy:max-drop=1pp, or accuracy:max-drop=1pp,min=0.8'),
        ("gate", "accuracy:max-drop=", '--gate: "max-drop=" is not KEY=VALUE\n  like max-drop=1pp'),
        ("gate", "accuracy:maxdrop=1pp", '--gate: there is no key "maxdrop" under gate.accuracy\n  did you mean "max-drop"?'),
        ("gate", "accuracy:min=0.1,min=0.2", '--gate: "min" stands twice in "accuracy:min=0.1,min=0.2"\n  keep one'),
        (
            "gate",
            "accuracy:max-rise=1pp",
            "--gate: a higher accuracy is better: max-rise would forbid it to improve\n  write max-drop: 1pp",
        ),
        (
            "gate",
            "widgets:max-rise=1",
            '--gate: nobody said whether a higher or a lower "widgets" is better\n  add `better: higher` or `better: lower` to gate.widgets',
        ),
        ("metric", "acuracy", '--metric: there is no metric "acuracy"\n  did you mean "accuracy"?'),
        ("metric", "", "--metric: the name of a metric is empty"),
        ("slices", "length > 3", '--slice: the condition "length > 3" has no name\n  give it one: --slice "some=length > 3"'),
        ("slices", "length == 3", '--slice: the condition "length == 3" has no name\n  give it one: --slice "some=length == 3"'),
        ("slices", "", "--slice: the name of a slice is empty"),
    ],
)
def test_each_wrong_flag_has_one_clear_error(flag: str, text: str, error: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        flags.read(**{flag: [text]})  # type: ignore[arg-type]
    assert str(caught.value) == error


def test_all_wrong_flags_are_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        flags.read(metric=["acuracy", "accuracy"], slices=["a > 1"], gate=["x", "accuracy:max-drop=x"])
    assert [p.where for p in caught.value.problems] == ["--gate", "--gate", "--metric", "--slice"]


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([flags.metric_flag, flags.slice_flag, flags.gate_flag]),
    st.text(max_size=30) | st.from_regex(r"[a-z:=,. ><-]{0,20}", fullmatch=True),
)
def test_any_text_is_read_or_refused(parse: object, text: str) -> None:
    try:
        assert parse(text)  # type: ignore[operator]
    except UsageError as error:
        assert error.name  # noqa: PT017


def test_a_condition_keeps_its_own_equals_signs() -> None:
    assert flags.slice_flag('german=language == "de"') == SliceRequest("german", where='language == "de"')
