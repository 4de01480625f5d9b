"""Killed before any step, recording and evaluating a model trained elsewhere leave a whole state."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.check import ROOT
from tests.scenario.recording import COMPUTED, LOCK, Team, at_work, rows


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with at_work(tmp_path) as made:
        yield made


DYING = """\
import os, sys
from pathlib import Path
left, real = [int(sys.argv.pop(1))], {}
def dying(name):
    real[name] = getattr(Path, name)
    def step(self, *args):
        left[0] -= 1
        if left[0] < 0:
            os._exit(137)
        return real[name](self, *args)
    setattr(Path, name, step)
for name in ("replace", "rename"):
    dying(name)
from mlops_toolkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_killed_before_any_step_it_leaves_a_whole_state(team: Team) -> None:
    """Every step ends in a file or folder that takes its place at once; it dies before the first, the second, … until none is left."""
    (team.folder / "m.json").write_text('{"wrong": 100}')
    (team.folder / "n.json").write_text('{"wrong": 110}')
    team.record(str(team.folder / "m.json"), 100)
    team.push("The first model")
    old, answers = (team.laptop.root / LOCK).read_bytes(), team.folder / "110.csv"
    answers.write_text(rows(110))
    for step in range(100):
        command = [sys.executable, "-c", DYING, str(step), "record", str(team.folder / "n.json"), "--predictions", str(answers)]
        done = subprocess.run(
            command, cwd=team.laptop.root, env={**team.laptop.env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 137), done.stderr
        listed = json.loads(team.laptop.mlops("history", "list", "--json").stdout)
        assert listed["notes"] == []
        if done.returncode == 0:
            break
        assert (team.laptop.root / LOCK).read_bytes() == old
        assert all(run["status"] == "succeeded" for run in listed["runs"])
    assert step > 3
    assert team.pointer.metrics == {"accuracy": 0.945}
    team.push("Another model")
    assert team.ci().report["checks"][0]["head"] == 0.945


def test_an_evaluation_that_was_killed_at_any_step_is_made_up_for_by_the_next(team: Team) -> None:
    """Fetching the model, keeping the predictions, recording: whatever was left behind, the next one ends with the same numbers."""
    team.configure(COMPUTED)
    (team.folder / "week.json").write_text('{"wrong": 100}')
    team.record(str(team.folder / "week.json"), 10)
    for step in range(100):
        subprocess.run(["rm", "-rf", str(team.laptop.root / ".mlops" / "cache" / "models")], check=True)
        command = [sys.executable, "-c", DYING, str(step), "evaluate"]
        env = {**team.laptop.env, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=team.laptop.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 137), done.stderr
        if done.returncode == 0:
            break
        team.laptop.mlops("evaluate")
        assert team.laptop.record["metrics"]["accuracy"]["value"] == 0.95
        assert team.laptop.record["status"] == "succeeded"
    assert step > 3
