"""Train, or take the model of an equal run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.history.base import Entry, key_of
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.records.run import Command, Fingerprints, Model, Run
from mlops_toolkit.train.plan import Reuse, Train, decide

SAME, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MODEL = Model("sha256:" + "c" * 64, 10, "model/", stores=("file:x",), host="gpu-box")


def made(number: int, **more: Any) -> Run:
    fields: dict[str, Any] = {"status": "succeeded", "fingerprints": Fingerprints(train=SAME), "trained": MODEL, **more}
    return Run(id=f"20261124-12000{number}-abcdef", model="spam", **fields)


def decided(runs: list[Run], *, reachable: bool = True, entries: list[Entry] | None = None, **more: Any) -> Reuse | Train:
    by_id = {run.id: run for run in runs}
    return decide(
        key=more.pop("key", key_of("mlops.yaml", "spam", None)),
        fingerprint=SAME,
        entries=[of_run(run) for run in runs] if entries is None else entries,
        run=by_id.get,
        reachable=lambda model: reachable,
        **more,
    )


def test_the_first_run_trains() -> None:
    assert decided([]) == Train("it is the first run here", 1)


def test_an_equal_run_is_reused_whatever_commit_branch_or_event_it_was_of() -> None:
    """A squash merge: other commit, other branch, same fingerprint."""
    run = made(1, commit="1" * 40, branch="feature", pull_request=7, event="pull_request")
    assert decided([run]) == Reuse(run)


def test_the_newest_equal_run_is_taken() -> None:
    one, two = made(1), made(2)
    assert decided([one, two, made(3, fingerprints=Fingerprints(train=OTHER))]) == Reuse(two)


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_only_a_whole_training_is_reused(status: str) -> None:
    ended = {"running": "running", "failed": "failed", "interrupted": "interrupted"}[status]
    run = made(1, status=status, commands=(Command("train", "x", ended=ended),), trained=None)  # type: ignore[arg-type]
    assert decided([run]) == Train("its inputs are new", 1)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_training_whose_evaluation_failed_is_whole(status: str) -> None:
    """Hours of training are not lost to a mistake in evaluate.py."""
    run = made(1, status=status, commands=(Command("train", "x", exit=0, ended="ok"), Command("evaluate", "y", exit=1, ended="failed")))
    assert decided([run]) == Reuse(run)
    assert decided([run, made(2)], again=True) == Train("--again asks for it", 3)


@pytest.mark.parametrize(
    "spoiled",
    [{"withdrawn": "bad data"}, {"fork": True}, {"model": "ham"}, {"config": "other/mlops.yaml"}, {"fingerprints": Fingerprints()}],
)
def test_a_withdrawn_run_a_fork_s_and_another_model_s_are_not_taken(spoiled: dict[str, Any]) -> None:
    assert isinstance(decided([replace(made(1), **spoiled)]), Train)


def test_a_fork_may_take_a_fork_s() -> None:
    run = made(1, fork=True)
    assert decided([run], fork=True) == Reuse(run)


def test_a_model_out_of_reach_is_trained_again_and_said_where_it_is() -> None:
    assert decided([made(1)], reachable=False) == Train(
        "run 20261124-120001-abcdef trained the same, but its model cannot be had from here (it is on gpu-box)", 2
    )


def test_an_older_equal_run_is_taken_where_the_newest_is_out_of_reach() -> None:
    far = replace(MODEL, host="far")
    one, two = made(1), made(2, trained=far)
    by_id = {run.id: run for run in (one, two)}
    found = decide(
        key=key_of("mlops.yaml", "spam", None),
        fingerprint=SAME,
        entries=[of_run(one), of_run(two)],
        run=by_id.get,
        reachable=lambda m: m.host != "far",
    )
    assert found == Reuse(one)


def test_an_entry_without_its_record_or_without_a_model_is_not_reused() -> None:
    run = made(1)
    assert decided([], entries=[of_run(run)]) == Train("the equal run is recorded, but not its model", 2)
    assert isinstance(decided([made(1, trained=None)]), Train)


def test_a_record_that_only_begins_with_the_same_digits_is_not_the_same() -> None:
    """The index keeps 20 digits of a fingerprint; the record decides."""
    near = SAME[:-1] + "0"
    assert isinstance(decided([made(1, fingerprints=Fingerprints(train=near))]), Train)


def test_again_trains_and_counts_the_trainings_not_the_reuses() -> None:
    runs = [made(1), made(2, status="reused", source=made(1).id), made(3)]
    assert decided(runs, again=True) == Train("--again asks for it", 3)


def test_a_schedule_trains_unless_it_can_see_that_the_data_is_the_same() -> None:
    run = made(1)
    assert decided([run], scheduled=True) == Train("a schedule looks for new data, and train.data declares none", 2)
    assert decided([run], scheduled=True, data_declared=True) == Reuse(run)


def test_a_reused_run_leads_to_the_one_that_trained() -> None:
    one = made(1)
    two = made(2, status="reused", source=one.id)
    assert decided([one, two]) == Reuse(one)
    assert decided([two]) == Reuse(two)
