"""`mlops history …` as a person at a terminal and a script meet it."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.forge.base import PullRequest
from mlops_toolkit.history import verbs
from mlops_toolkit.history.base import History
from mlops_toolkit.history.branch import open_history
from mlops_toolkit.records.run import GateOutcome
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import NOW, bare_remote, bundle, clone, draw, git, record


@dataclass
class Forge:
    """Knows which pull requests are open."""

    open: dict[int, bool] = field(default_factory=dict)

    def pull_request(self, number: int) -> PullRequest | None:
        return PullRequest(number, "h", "main", "b", open=self.open[number]) if number in self.open else None


@dataclass
class World:
    """A terminal in a folder."""

    root: Path
    git: Git | None
    cwd: Path = field(default=Path())
    context: Context = field(default_factory=Context)
    forge: Forge = field(default_factory=Forge)
    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.cwd = self.root

    def history(self, state: Path, at: str) -> History:
        return open_history(state, at, git=self.git, context=self.context, token=None, clock=FixedClock(NOW))

    def __call__(self, action: str | None, **more: object) -> str:
        """Run it; what was printed."""
        self.out, self.err = io.StringIO(), io.StringIO()
        assert verbs.run(argparse.Namespace(action=action, config="mlops.yaml", **more), self) == 0
        return self.out.getvalue()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    made = bare_remote(tmp_path / "origin.git")
    draw(made, "main:\nnext: main")
    return made


@pytest.fixture
def world(remote: Path, tmp_path: Path) -> World:
    """A laptop's clone with a mlops.yaml."""
    here = clone(remote, tmp_path / "work")
    (tmp_path / "work" / "mlops.yaml").write_text("name: spam\nevaluate: {run: python e.py, task: classification}\n")
    return World(tmp_path / "work", here)


def test_the_list_is_aligned_newest_first_and_says_where_each_run_is(world: World, remote: Path, tmp_path: Path) -> None:
    there = World(tmp_path / "ci", clone(remote, tmp_path / "ci"), context=Context("github"))
    there.history(tmp_path / "ci" / ".mlops", "mlops-history").record(
        bundle(1, pull_request=12, gate=GateOutcome("failed", accepted=True)), remote=True
    )
    world.history(world.root / ".mlops", "mlops-history").record(bundle(2, dirty=True, gate=None), remote=False)
    for action in ("list", None):
        assert world(action) == (
            "RUN                     WHEN (UTC)        MODEL  OF    COMMIT    GATE      KEPT      METRICS\n"
            "20260110-100000-000002  2026-01-10 10:00  spam   main  0000000+  -         here      accuracy 0.9\n"
            "20260110-100000-000001  2026-01-10 10:00  spam   #12   0000000   accepted  recorded  accuracy 0.9\n"
        )


def test_the_list_as_json_is_one_document(world: World) -> None:
    past = world.history(world.root / ".mlops", "mlops-history")
    past.record(bundle(1), remote=False)
    (world.root / ".mlops" / "runs" / "20260101-000000-aaaaaa").mkdir()
    (world.root / ".mlops" / "runs" / "20260101-000000-aaaaaa" / "run.json").write_text("{")
    read = json.loads(world("list", json=True))
    assert [run["id"] for run in read["runs"]] == [record(1).id]
    assert read["notes"][0].startswith("skipped a run that cannot be read")
    assert "skipped a run that cannot be read" in world.err.getvalue()


def test_an_empty_history_says_so_and_prints_nothing_to_parse(world: World) -> None:
    assert world("list") == ""
    assert world.err.getvalue() == "no run is recorded yet\n"
    assert json.loads(world("list", json=True))["runs"] == []


def test_a_run_is_shown_by_the_beginning_of_its_id(world: World) -> None:
    world.history(world.root / ".mlops", "mlops-history").record(bundle(1), remote=False)
    text = world("show", id="20260110-10")
    assert "accuracy   0.9 (n 100)\n" in text
    assert "said       spam: accuracy 0.9\n" in text
    assert json.loads(world("show", id=record(1).id, json=True))["run"]["id"] == record(1).id


@pytest.mark.parametrize(
    ("given", "name"), [("20250101-000000", "unknown-run"), ("main", "unknown-run"), ("\x1b[2J", "unknown-run"), ("", "unknown-run")]
)
def test_a_run_that_is_none_is_one_clear_error(world: World, given: str, name: str) -> None:
    for action in ("show", "forget", "withdraw"):
        with pytest.raises(UsageError) as error:
            world(action, id=given, reason="x")
        assert error.value.name == name
        assert str(error.value).isprintable() or "\n" in str(error.value)
        assert "\x1b" not in str(error.value)


def test_push_sends_what_a_laptop_has_and_then_has_nothing_to_send(world: World, remote: Path) -> None:
    past = world.history(world.root / ".mlops", "mlops-history")
    past.record(bundle(1, {"predictions/main.parquet": b"plain"}), remote=False)
    assert world("push") == "1 run recorded; of 1 of them the numbers alone: their predictions stay on this machine\n"
    assert record(1).id in git(remote, "show", "mlops-history:index.jsonl")
    assert "predictions" not in git(remote, "ls-tree", "-r", "--name-only", "mlops-history")
    assert world("push") == "nothing waits\n"


def test_prune_says_what_it_did_and_asks_the_forge_which_pull_requests_are_open(world: World, remote: Path) -> None:
    past = world.history(world.root / ".mlops", "mlops-history")
    for number in (1, 2, 3):
        past.record(bundle(number, event="pull_request", pull_request=number), remote=True)
    world.forge.open = {1: True, 2: False}
    assert world("prune", days=30) == "1 run dropped, 0 runs of closed pull requests left without their predictions\n"
    index = git(remote, "show", "mlops-history:index.jsonl")
    assert record(1).id in index
    assert record(2).id not in index
    assert record(3).id in index  # the forge does not know it: it stays


def test_prune_does_nothing_where_main_cannot_be_read(world: World, remote: Path) -> None:
    world.history(world.root / ".mlops", "mlops-history").record(bundle(1, pull_request=2), remote=True)
    git(remote, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(EnvironmentFailure, match="the main branch") as error:
        world("prune", days=0)
    assert error.value.name == "history-unreadable"
    assert record(1).id in git(remote, "show", "mlops-history:index.jsonl")


def test_withdraw_needs_a_reason_and_shows_in_the_list(world: World) -> None:
    world.history(world.root / ".mlops", "mlops-history").record(bundle(1), remote=True)
    with pytest.raises(UsageError) as error:
        world("withdraw", id=record(1).id, reason=" ")
    assert error.value.name == "no-reason"
    assert world("withdraw", id=record(1).id, reason="shifted labels") == f"run {record(1).id} is withdrawn: it is no baseline any more\n"
    assert " withdrawn " in world("list")
    assert "shifted labels" in world("show", id=record(1).id)


def test_forget_takes_the_run_away(world: World, remote: Path) -> None:
    world.history(world.root / ".mlops", "mlops-history").record(bundle(1), remote=True)
    world("forget", id=record(1).id)
    assert world("list") == ""
    assert git(remote, "rev-list", "--count", "mlops-history") == "1"


def test_a_remote_that_refuses_is_an_environment_error_with_its_cause(world: World, remote: Path) -> None:
    world.history(world.root / ".mlops", "mlops-history").record(bundle(1), remote=True)
    (remote / "hooks").mkdir(exist_ok=True)
    (remote / "hooks" / "pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (remote / "hooks" / "pre-receive").chmod(0o755)
    for action in ("forget", "withdraw"):
        with pytest.raises(EnvironmentFailure, match="the branch rules refuse it") as error:
            world(action, id=record(1).id, reason="x")
        assert (error.value.name, error.value.code) == ("history-not-written", 4)


def test_without_a_remote_only_this_machine_is_spoken_of(tmp_path: Path) -> None:
    world = World(tmp_path, None)
    world.history(tmp_path / ".mlops", "mlops-history").record(bundle(1), remote=False)
    assert record(1).id in world("list")
    for action in ("push", "prune"):
        with pytest.raises(UsageError) as error:
            world(action, days=1)
        assert error.value.name == "no-remote"
    world("withdraw", id=record(1).id, reason="x")
    assert " withdrawn " in world("list")
    world("forget", id=record(1).id)
    assert world("list") == ""


@pytest.mark.parametrize("days", [-1])
def test_days_are_an_age(world: World, days: int) -> None:
    with pytest.raises(UsageError) as error:
        world("prune", days=days)
    assert error.value.name == "bad-days"


def test_what_a_record_holds_cannot_move_the_cursor_or_break_a_line(world: World) -> None:
    nasty = "a\x1b[2J\nb\u202ec"
    past = world.history(world.root / ".mlops", "mlops-history")
    past.record(bundle(1, branch=nasty, gate=GateOutcome("passed", sentence=nasty), reason=nasty), remote=False)
    for text in (world("list"), world("show", id=record(1).id)):
        assert all(line.isprintable() for line in text.splitlines())
    assert len(world("list").splitlines()) == 2
