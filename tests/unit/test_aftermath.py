"""What a run that ended in an error leaves for those who wait for it."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mlops_toolkit import aftermath
from mlops_toolkit.ci import Context
from mlops_toolkit.errors import CommandFailed, ConfigErrors, InvalidFile, MlopsError, Problem
from mlops_toolkit.forge.base import connect
from mlops_toolkit.forge.board import Refused
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.world import World

CONTEXT = Context(provider="github", event="pull_request", head="a" * 40, pull_request=5, run="7", repository="octo/pets")


def world(folder: Path, context: Context = CONTEXT) -> tuple[World, Memory]:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc))
    forge = connect(context=context, env={}, token=None, clock=clock, err=io.StringIO(), name="memory")
    assert isinstance(forge, Memory)
    refuse = lambda *_: (_ for _ in ()).throw(AssertionError)
    return World(folder, folder, {}, clock, None, context, forge, refuse, refuse, io.StringIO(), io.StringIO()), forge


def failed(folder: Path, error: MlopsError, context: Context = CONTEXT) -> Memory:
    (folder / "mlops.yaml").write_text("name: pets\nevaluate: {run: x}\n")
    made, forge = world(folder, context)
    aftermath.failed(error, argparse.Namespace(verb="compare", config="mlops.yaml"), made)
    return forge


def test_the_report_names_the_error_and_has_no_verdict(tmp_path: Path) -> None:
    failed(tmp_path, CommandFailed("command-failed", "the training ended with 1", hint="it said last:\n  token=s3cr3t"))
    report = json.loads((tmp_path / ".mlops" / "report.json").read_text())
    assert (report["verdict"], report["error"]["name"], report["exit"]) == (None, "command-failed", 5)
    assert "s3cr3t" not in json.dumps(report)


def test_the_comment_and_the_status_do_not_go_on_showing_an_earlier_verdict(tmp_path: Path) -> None:
    forge = failed(tmp_path, CommandFailed("command-failed", "the training ended with 1"))
    assert "the training ended with 1" in str(vars(forge))
    assert "pets" in str(vars(forge))


@pytest.mark.parametrize("context", [replace(CONTEXT, read_only_token=True), replace(CONTEXT, pull_request=None)])
def test_where_nothing_can_be_written_no_comment_is_tried(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "comment", lambda *_: pytest.fail("a comment was tried"))
    failed(tmp_path, CommandFailed("command-failed", "no"), context)


def test_every_problem_of_a_configuration_is_annotated_at_its_line(tmp_path: Path) -> None:
    problems = [Problem("unknown-key", "there is no key gaet", "mlops.yaml:3"), Problem("missing-key", "no name", "mlops.yaml:1")]
    forge = failed(tmp_path, ConfigErrors(problems))
    assert "gaet" in str(vars(forge))
    assert "no name" in str(vars(forge))


def test_a_laptop_without_state_is_left_as_it_was(tmp_path: Path) -> None:
    failed(tmp_path, CommandFailed("command-failed", "no"), Context())
    assert not (tmp_path / ".mlops").exists()


def test_the_summary_says_the_error_and_what_of_it_could_not_be_posted(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("name: pets\nevaluate: {run: x}\n")
    made, forge = world(tmp_path)
    forge.refuse = Refused("the token may not do this", hint="give the job these permissions")
    aftermath.failed(InvalidFile("duplicate-id", "the id 7 stands twice"), argparse.Namespace(verb="compare", config="mlops.yaml"), made)
    (summary,) = forge.summaries
    assert "the id 7 stands twice" in summary
    assert "the token may not do this" in summary
    assert "give the job these permissions" in summary


def test_of_several_models_each_one_s_check_says_that_there_is_no_verdict(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mlops.yaml").write_text(f"name: {name}\nevaluate: {{run: x}}\n")
    made, forge = world(tmp_path)
    error = InvalidFile("duplicate-id", "the id 7 stands twice")
    aftermath.failed(error, argparse.Namespace(verb="compare", config="*/mlops.yaml"), made)
    assert {(name, state) for name, state, *_ in forge.statuses["a" * 40]} == {("mlops/cats", "error"), ("mlops/dogs", "error")}
    (comment,) = forge.comments[5]
    assert comment.body.count("no verdict") == 2


def test_a_configuration_that_cannot_be_read_sets_the_check_of_its_model(tmp_path: Path) -> None:
    made, forge = world(tmp_path)
    (tmp_path / "mlops.yaml").write_text("name: pets  # the cats'\nevaluate: {run: x}\ngaet: {}\n")
    aftermath.failed(
        ConfigErrors([Problem("unknown-key", "there is no key gaet")]), argparse.Namespace(verb="compare", config="mlops.yaml"), made
    )
    assert "mlops/pets" in str(vars(forge)) or "'pets'" in str(vars(forge))
    assert "gaet" in str(vars(forge))
