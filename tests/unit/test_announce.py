"""What the forge is told when a model's run begins and ends."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mlops_toolkit.announce import Ending, announce, begin, watched
from mlops_toolkit.ci import Context, Source
from mlops_toolkit.forge.board import Refused
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.world import World

HEAD = "a" * 40
PULL = Context(provider="github", event="pull_request", head=HEAD, pull_request=5, run="7", repository="octo/pets", default_branch="main")
MAIN = replace(PULL, event="push", pull_request=None, branch="main")
GOOD = Ending("pets", None, "mlops.yaml|pets|", "success", "accuracy +1.0 pp", "✅ pets: accuracy +1.0 pp")
BAD = replace(GOOD, state="failure", sentence="accuracy −6.0 pp", line="❌ pets: accuracy −6.0 pp")


def world(context: Context, forge: Memory | None = None) -> tuple[World, Memory]:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc))
    forge = forge or Memory(clock=clock)
    refuse = lambda *_: (_ for _ in ()).throw(AssertionError)
    here = Path(__file__).parent
    return World(here, here, {}, clock, None, context, forge, refuse, refuse, io.StringIO(), io.StringIO()), forge


def test_a_pull_request_gets_its_section_and_its_check_and_no_issue() -> None:
    made, forge = world(PULL)
    url, troubles = announce([BAD], made)
    assert url is not None
    assert [reason for reason, _ in troubles[0] if reason] == []
    assert [(name, state) for name, state, *_ in forge.statuses[HEAD]] == [("mlops/pets", "failure")]
    assert forge.issues == []


def test_a_leg_of_a_matrix_has_a_check_of_its_own() -> None:
    made, forge = world(PULL)
    for leg in ("small", "large"):
        announce([replace(GOOD, matrix=leg, key=f"mlops.yaml|pets|{leg}")], made)
    assert [name for name, *_ in forge.statuses[HEAD]] == ["mlops/pets (small)", "mlops/pets (large)"]
    assert len(forge.comments[5]) == 1


def test_thirty_models_are_one_writing_of_the_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    made, forge = world(PULL)
    written = []
    real = Memory.comment
    monkeypatch.setattr(Memory, "comment", lambda self, *args, **more: written.append(args) or real(self, *args, **more))
    endings = [
        replace(BAD if i == 7 else GOOD, model=f"m{i}", key=f"m{i}/mlops.yaml|m{i}|", line=f"{'❌' if i == 7 else '✅'} m{i}")
        for i in range(30)
    ]
    url, troubles = announce(endings, made)
    assert len(written) == 1
    assert len(troubles) == len(forge.statuses[HEAD]) == 30
    (note,) = forge.comments[5]
    assert note.url == url
    assert note.body.startswith("❌ m7")
    assert all(f"m{i} " in note.body for i in range(30))


@pytest.mark.parametrize(("ending", "failing"), [(BAD, True), (replace(BAD, state="error"), True), (GOOD, False)])
def test_a_run_of_main_is_told_in_the_issue_whether_it_is_good_or_not(ending: Ending, *, failing: bool) -> None:
    made, forge = world(MAIN)
    announce([ending], made)
    assert [told for _, told in forge.issues] == [failing]


@pytest.mark.parametrize(
    ("context", "told"),
    [
        (MAIN, True),
        (replace(MAIN, event="schedule", branch="release/1"), True),
        (replace(MAIN, event="dispatch"), True),
        (replace(MAIN, event="dispatch", branch="try"), False),
        (replace(MAIN, branch="feature"), False),
        (replace(MAIN, event="merge_group"), False),
        (replace(MAIN, event="tag", branch=None, tag="v1"), False),
        (replace(MAIN, branch=None, default_branch=None), False),
        (PULL, False),
        (replace(MAIN, event="workflow_run", source=Source(run="6", event="push")), True),
        (replace(MAIN, event="workflow_run", source=Source(run="6", event="pull_request")), False),  # a fork's branch may be called main
        (replace(MAIN, event="workflow_run", source=Source(run="6", event="push"), branch="next"), False),
    ],
)
def test_an_issue_is_for_runs_that_no_pull_request_waits_for(context: Context, *, told: bool) -> None:
    assert watched(context) is told


def test_what_was_refused_comes_back_with_its_way_out_and_nothing_is_raised() -> None:
    made, forge = world(PULL)
    forge.refuse = Refused("the token may not do this", hint="pull-requests: write")
    url, troubles = announce([BAD], made)
    assert url is None
    assert ("the token may not do this", "pull-requests: write") in troubles[0]


def test_a_report_of_another_run_is_as_old_as_that_run() -> None:
    made, forge = world(PULL)
    announce([GOOD], made)
    older = replace(PULL, event="workflow_run", run="9", source=Source(run="6", attempt=2))
    announce([BAD], replace(made, context=older))
    assert forge.comments[5][0].body.startswith("✅")


@pytest.mark.parametrize("context", [Context(), replace(PULL, read_only_token=True), replace(PULL, head=None)])
def test_where_no_check_can_be_set_none_is_tried(context: Context) -> None:
    made, forge = world(context)
    begin(["pets"], made, "training")
    assert forge.statuses == {}


def test_the_checks_of_all_models_are_pending_from_the_start() -> None:
    made, forge = world(replace(PULL, matrix="large"))
    begin(["cats", "dogs"], made, "training")
    assert [(name, state, text) for name, state, text, _ in forge.statuses[HEAD]] == [
        ("mlops/cats (large)", "pending", "training"),
        ("mlops/dogs (large)", "pending", "training"),
    ]
