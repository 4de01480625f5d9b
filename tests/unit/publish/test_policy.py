"""What may be published: every state of a gate, what it takes to publish all the same, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.errors import UsageError
from mlops_toolkit.publish.policy import Allowed, Judged, Override, judged, override, rule
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import GateOutcome, Run, SeedRun

RUN = Run(id="20261124-092057-3f9a1c", model="spam", commit="c" * 40, status="succeeded")
WHO = Override("ada", "the label set changed")
DOUBT = Check("accuracy", change=-0.004, low=-0.015, high=0.007, margin=0.01, verdict="inconclusive", leaning="inside", unit="fraction")


def gate(word: Any, **changes: Any) -> GateOutcome:
    return GateOutcome(word, sentence="accuracy −3.1 pp (allowed −1.0)", **changes)


def result(*checks: Check, blocks: bool = False) -> Result:
    return Result("spam", "inconclusive", "undecided", "said", checks=checks, blocks=blocks)


def case(outcome: GateOutcome | None, report: Result | None = None, **run: Any) -> Judged:
    made = replace(RUN, gate=outcome, **run)
    return judged(made, report)


def test_a_gate_that_passed_is_enough() -> None:
    made = rule(case(gate("passed"), result()), Allowed())
    assert (made.word, made.undecided, made.notes, made.override) == ("passed", (), (), None)


def test_what_was_said_yes_to_is_printed_with_its_reason() -> None:
    made = rule(case(gate("passed", accepted=True, said_yes=("accuracy down to 0.941: new labels",)), result()), Allowed())
    assert (made.word, made.accepted) == ("accepted", ("accuracy down to 0.941: new labels",))


def test_undecided_checks_that_were_let_through_are_listed() -> None:
    small = replace(DOUBT, slice="language=de")
    made = rule(case(gate("undecided"), result(small, DOUBT, replace(small, slice="language=en"))), Allowed())
    assert made.word == "undecided"
    assert made.undecided == ("accuracy: no drop found, not proven, −0.4 pp [−1.5, +0.7]; allowed −1.0 pp", "2 slices are too small to say")


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (case(gate("failed"), result(blocks=True)), "gate-failed"),
        (case(gate("undecided"), result(replace(DOUBT, leaning="beyond"), blocks=True)), "gate-undecided"),
        (case(gate("undecided"), None), "gate-undecided"),  # fail closed: nothing says that it does not wait
        (case(gate("none"), result()), "ungated"),
        (case(gate("none"), None), "ungated"),
        (case(None), "not-judged"),
        (case(gate("passed"), result(), withdrawn="labels were shifted"), "withdrawn"),
        (case(gate("failed"), result(blocks=True), withdrawn="labels were shifted"), "withdrawn"),
    ],
)
def test_what_stands_against_it_is_refused_and_only_a_name_and_a_reason_decide_otherwise(what: Judged, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        rule(what, Allowed())
    assert (caught.value.name, caught.value.code) == (name, 2)
    assert '--override "REASON" --by NAME' in str(caught.value)
    made = rule(what, Allowed(), WHO)
    assert (made.word, made.override) == ("overridden", WHO)
    assert made.overridden


def test_everything_that_stands_against_it_is_told_at_once() -> None:
    what = case(gate("failed"), result(blocks=True), withdrawn="labels were shifted", self_reported=True)
    with pytest.raises(UsageError) as caught:
        rule(what, Allowed(self_reported=False))
    for text in ("withdrawn: labels were shifted", "its gate failed: accuracy −3.1 pp", "reported by whoever trained it"):
        assert text in str(caught.value)
    assert len(rule(what, Allowed(self_reported=False), WHO).overridden) == 3


def test_ungated_and_self_reported_models_follow_the_configuration_and_say_what_they_are() -> None:
    made = rule(case(gate("none"), result()), Allowed(ungated=True))
    assert (made.word, made.notes) == ("ungated", ("ungated: no number had to be good enough",))
    made = rule(case(gate("passed"), result(), self_reported=True), Allowed())
    assert "reported by whoever trained it" in made.notes[0]


def test_the_first_run_of_a_gated_model_has_nothing_to_be_held_against_and_says_so() -> None:
    waits = Check("accuracy", head=0.95, margin=0.01, verdict="ungated")
    made = rule(case(gate("none"), result(waits)), Allowed())
    assert (made.word, made.notes) == ("ungated", ("it is the first one: margins had nothing to be held against",))


def test_a_reused_run_carries_its_source_s_report() -> None:
    source = replace(RUN, id="20261123-092057-3f9a1c", gate=gate("failed"))
    reused = replace(RUN, status="reused", source=source.id)
    with pytest.raises(UsageError) as caught:
        rule(judged(reused, None, source, result(blocks=True)), Allowed())
    assert caught.value.name == "gate-failed"
    good = rule(judged(reused, None, replace(source, gate=gate("passed")), result()), Allowed())
    assert f"those of run {source.id}" in good.notes[0]
    own = judged(replace(reused, gate=gate("passed")), result(), source, result(blocks=True))
    assert rule(own, Allowed()).word == "passed"  # judged itself, against what was the baseline then


def test_of_several_seeds_it_says_which_one_it_is() -> None:
    made = rule(case(gate("passed"), result(), seeds=(SeedRun(3), SeedRun(4))), Allowed())
    assert made.notes == ("it is the first of 2 trainings (seed 3); the gate judged all of them",)


def test_an_override_takes_a_reason_and_a_name_and_none_is_recorded_where_nothing_stood_against_it() -> None:
    assert override("", "") is None
    for reason, by, name in (("", "ada", "no-reason"), ("because", " ", "no-name")):
        with pytest.raises(UsageError) as caught:
            override(reason, by)
        assert caught.value.name == name
    made = override("line\nbreak\u202e" + "x" * 1000, "ada\x1b[31m")
    assert made is not None
    assert made.reason.isprintable()
    assert len(made.reason) <= 300
    ruled = rule(case(gate("passed"), result()), Allowed(), WHO)
    assert (ruled.word, ruled.override) == ("passed", None)
    assert "nothing stood against it" in ruled.notes[0]
