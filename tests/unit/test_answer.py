"""Whether a recorded run answers: the rule, on made-up entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from mlops_toolkit.answer import Answer, Question, decide
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.models.prints import Seen
from mlops_toolkit.records.run import Fingerprints, MetricValue, Run

T, E, G = (f"sha256:{letter * 64}" for letter in "abc")
OTHER = f"sha256:{'d' * 64}"
PRINTS = Fingerprints(T, E, G)
RUN = Run(
    id="20261124-092057-3f9a1c",
    model="cats",
    commit="a1b2c3d" + "0" * 33,
    branch="main",
    status="succeeded",
    fingerprints=PRINTS,
    metrics={"accuracy": MetricValue(0.9, 100, "accuracy", "higher")},
)
LATER = replace(RUN, id="20261125-092057-3f9a1c")
KEY = "mlops.yaml|cats|"


def answered(
    runs: Sequence[Run],
    *,
    seen: Seen | None = None,
    base: Run | None = None,
    lacks: Callable[[Run], str | None] | None = None,
    **asked: object,
) -> Answer:
    known = {run.id: run for run in runs}
    question = Question(**{"key": KEY, "seen": seen or Seen(PRINTS), "event": "push", **asked})  # type: ignore[arg-type]

    def of_base() -> Entry | None:
        return of_run(base) if base else None

    return decide(question, [of_run(run) for run in runs], run=known.get, lacks=lacks or (lambda run: None), base=of_base)


def test_an_equal_run_answers_and_of_several_the_latest() -> None:
    found = answered([RUN, LATER])
    assert (found.kind, found.source) == ("recorded", LATER)
    assert found.reason == "unchanged since run 20261125-092057-3f9a1c (main a1b2c3d)"
    assert found.prints == PRINTS


SPOILT = {
    "withdrawn": (replace(RUN, withdrawn="labels"), "was withdrawn"),
    "of a fork": (replace(RUN, fork=True), "is of a fork"),
    "failed": (replace(RUN, status="failed"), "failed"),
    "interrupted": (replace(RUN, status="interrupted"), "was interrupted"),
    "running": (replace(RUN, status="running"), "is still running"),
    "without metrics": (replace(RUN, metrics={}), "has no metrics"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_run_that_is_no_whole_one_of_ours_does_not_answer(what: str) -> None:
    run, why = SPOILT[what]
    found = answered([run])
    assert found.kind == "run"
    assert why in found.reason
    assert answered([LATER, run]).source == LATER


def test_a_fork_may_take_a_forks_run() -> None:
    assert answered([replace(RUN, fork=True)], fork=True).kind == "recorded"


@pytest.mark.parametrize(("prints", "what"), [(replace(PRINTS, train=OTHER), "training"), (replace(PRINTS, evaluate=OTHER), "evaluation")])
def test_what_differs_is_named(prints: Fingerprints, what: str) -> None:
    found = answered([RUN], seen=Seen(prints))
    assert (found.kind, found.reason) == ("run", f"its {what} reads something new")


def test_a_model_that_is_only_evaluated_has_no_training_to_compare() -> None:
    alone = replace(RUN, fingerprints=replace(PRINTS, train=None))
    assert answered([alone], seen=Seen(replace(PRINTS, train=None))).kind == "recorded"
    assert answered([RUN], seen=Seen(replace(PRINTS, train=None))).kind == "run"
    assert answered([alone]).kind == "run"


def test_a_beginning_of_a_print_is_not_the_print() -> None:
    """The index keeps 80 bits of it; the record has them all."""
    almost = replace(RUN, fingerprints=replace(PRINTS, train=T[:-1] + "b"))
    assert answered([almost]).kind == "run"


def test_kept_predictions_that_lack_a_column_do_not_answer_and_an_older_run_may() -> None:
    found = answered([RUN], lacks=lambda run: "its predictions were kept without the column language")
    assert found.reason == "run 20261124-092057-3f9a1c is equal, but its predictions were kept without the column language"
    assert answered([RUN, LATER], lacks=lambda run: "x" if run.id == LATER.id else None).source == RUN


def test_a_record_that_is_gone_does_not_answer() -> None:
    question = Question(KEY, Seen(PRINTS), "push")
    found = decide(question, [of_run(RUN)], run=lambda _: None, lacks=lambda _: None, base=lambda: None)
    assert "is not to be had" in found.reason


def test_other_models_and_legs_do_not_answer() -> None:
    assert (
        answered([replace(RUN, model="dogs"), replace(RUN, matrix="small"), replace(RUN, config="b/mlops.yaml")]).reason
        == "it is the first run here"
    )


def test_a_schedule_without_declared_data_runs_and_with_it_does_not() -> None:
    assert answered([RUN], event="schedule", undeclared="train.data").kind == "run"
    assert answered([RUN], event="schedule").kind == "recorded"


def test_nothing_to_run_is_not_asked_of_the_history() -> None:
    assert answered([], idle=True).kind == "nothing-to-run"


UNSEEN = Seen(Fingerprints(tracked=G), '"data/train.csv" is not there')


@pytest.mark.parametrize("event", ["pull_request", "merge_group"])
def test_data_that_cannot_be_seen_is_untouched_where_all_else_is_the_baselines(event: str) -> None:
    found = answered([RUN], seen=UNSEEN, base=RUN, event=event)
    assert (found.kind, found.source) == ("untouched", RUN)
    assert found.prints == PRINTS
    assert "data/train.csv" in found.reason


@pytest.mark.parametrize("event", ["push", "schedule", "tag", "dispatch", "laptop"])
def test_elsewhere_it_may_have_changed(event: str) -> None:
    found = answered([RUN], seen=UNSEEN, base=RUN, event=event)
    assert found.kind == "run"
    assert "cannot be told here" in found.reason


def test_a_pull_requests_own_last_run_answers_before_the_baseline() -> None:
    own = replace(LATER, pull_request=7)
    assert answered([RUN, own], seen=UNSEEN, base=RUN, event="pull_request", pull_request=7).source == own
    assert answered([RUN, own], seen=UNSEEN, base=RUN, event="pull_request", pull_request=8).source == RUN
    failed = replace(own, status="failed")
    assert answered([RUN, failed], seen=UNSEEN, base=RUN, event="pull_request", pull_request=7).source == RUN


def test_what_git_knows_to_differ_is_not_untouched() -> None:
    found = answered([RUN], seen=Seen(Fingerprints(tracked=OTHER), "x is not there"), base=RUN, event="pull_request")
    assert (found.kind, found.reason) == ("run", "what it reads changed")


def test_what_can_be_seen_must_be_the_same_too() -> None:
    """The test set is not here, but the training data is, and is another."""
    seen = Seen(Fingerprints(train=OTHER, tracked=G), "data/test.csv is not there")
    assert answered([RUN], seen=seen, base=RUN, event="pull_request").kind == "run"
    assert answered([RUN], seen=replace(seen, prints=replace(seen.prints, train=T)), base=RUN, event="pull_request").kind == "untouched"


def test_a_record_of_before_there_was_such_a_print_is_not_untouched() -> None:
    old = replace(RUN, fingerprints=Fingerprints(T, E))
    assert answered([old], seen=UNSEEN, base=old, event="pull_request").kind == "run"
    assert answered([old], seen=Seen(Fingerprints(), "x is not there"), base=old, event="pull_request").kind == "run"


def measured_otherwise(runs: Sequence[Run], base: Run | None, changed: str | None) -> tuple[Answer, list[str]]:
    """The answer, and how often the baseline was looked for."""
    known, looked = {run.id: run for run in runs}, list[str]()

    def of_base() -> Entry | None:
        looked.append("once")
        return of_run(base) if base else None

    question = Question(KEY, Seen(PRINTS), "pull_request")
    entries = [of_run(run) for run in runs]
    found = decide(question, entries, run=known.get, lacks=lambda run: None, base=of_base, apart=lambda base, source: changed)
    return found, looked


def test_a_baseline_that_was_measured_otherwise_has_to_be_evaluated_again() -> None:
    """What its model answered to the new questions is kept with no run: the comparison would have nothing to go by."""
    main = replace(RUN, fingerprints=replace(PRINTS, evaluate=OTHER))
    found, _ = measured_otherwise([main, LATER], main, "judge.txt changed")
    assert (found.kind, found.source) == ("run", None)
    assert found.reason.endswith("is equal, but the baseline has to be evaluated again: judge.txt changed")
    found, _ = measured_otherwise([main, LATER], main, None)  # other code, the same questions
    assert (found.kind, found.source) == ("recorded", LATER)
    assert measured_otherwise([main, LATER], None, "judge.txt changed")[0].kind == "recorded"


def test_where_all_were_measured_alike_the_baseline_is_not_looked_for() -> None:
    found, looked = measured_otherwise([RUN, LATER], RUN, "judge.txt changed")
    assert (found.kind, looked) == ("recorded", [])
