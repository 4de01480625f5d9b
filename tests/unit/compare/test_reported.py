"""What the comment says of numbers that were not computed here."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mlops_toolkit.compare.reported import notes, refused
from mlops_toolkit.config.rules import Accepted, Rule
from mlops_toolkit.config.schema import Config
from mlops_toolkit.records.run import Elsewhere, MetricValue, Run

TODAY = date(2026, 11, 24)
CONFIG = Config(name="spam", gate={"accuracy": Rule(), "loss": Rule()})
REFUSES = replace(CONFIG, self_reported="refuse")
COMPUTED = Run(id="20261124-092057-3f9a1c", model="spam", elsewhere=Elsewhere("s3://b/m"))
RECORDED = replace(COMPUTED, self_reported=True)


def test_of_what_was_computed_here_nothing_is_said() -> None:
    assert notes(COMPUTED, COMPUTED, CONFIG) == ()
    assert notes(None, None, CONFIG) == ()


def test_each_side_is_marked_for_itself_and_why() -> None:
    assert notes(replace(RECORDED, reason="the disk is elsewhere"), COMPUTED, CONFIG) == (
        "the numbers of this run are as recorded by whoever trained it, not computed here: the disk is elsewhere",
    )
    assert notes(COMPUTED, RECORDED, CONFIG) == ("the baseline's numbers are as recorded by whoever trained it, not computed here",)


def test_a_baseline_that_a_laptop_pushed_is_said_to_be_that() -> None:
    assert notes(COMPUTED, replace(RECORDED, elsewhere=None), CONFIG) == (
        "the baseline's numbers were computed on somebody's own machine, not in a CI",
    )


def chosen(tried: int, **metrics: MetricValue) -> Run:
    return replace(COMPUTED, elsewhere=Elsewhere("s3://b/m", tried=tried), metrics=metrics)


def test_what_choosing_is_worth_is_told_of_the_first_gated_metric_that_has_an_error() -> None:
    loss = MetricValue(3.0, 2000, "loss", "lower", 0.1)
    share = MetricValue(0.9, 2000, "accuracy/1", "higher", 0.01)
    said = notes(chosen(50, loss=loss, accuracy=share), None, CONFIG)
    assert said == ("the best of 50 was chosen: if these examples chose it, that alone flatters accuracy by up to about 2.2 pp",)
    assert notes(chosen(50, loss=loss), None, CONFIG)[0].endswith("flatters loss by up to about 0.225")
    assert notes(chosen(1, loss=loss), None, CONFIG) == ()


def test_without_an_error_the_choice_is_told_and_no_number() -> None:
    assert notes(chosen(1000, loss=MetricValue(3.0, 0, "", "lower")), None, CONFIG) == ("the best of 1,000 was chosen",)


@pytest.mark.parametrize("run", [None, COMPUTED, replace(RECORDED, elsewhere=None)])
def test_refusing_is_about_recorded_models_alone(run: Run | None) -> None:
    assert refused(run, REFUSES, REFUSES, TODAY) is None


def test_what_the_base_branch_refuses_counts_unless_the_gate_is_accepted() -> None:
    assert refused(RECORDED, CONFIG, CONFIG, TODAY) is None
    for mine, base in ((REFUSES, None), (REFUSES, CONFIG), (CONFIG, REFUSES)):
        error = refused(RECORDED, mine, base, TODAY)
        assert error is not None
        assert (error.name, error.code) == ("self-reported", 2)
    said_yes = replace(CONFIG, accepted=(Accepted(check="gate", reason="we trust them"),))
    assert refused(RECORDED, said_yes, REFUSES, TODAY) is None
    assert "gate loosened: self-reported refuse → allow" in notes(RECORDED, None, said_yes, REFUSES)
