"""The first quarter of an hour, as a user types it: init, validate, review, paste the proposed gate, review again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.config.read import load
from tests.unit.init.places import ENV, repository
from tests.world import ready

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """\
with open("model.bin", "wb") as model:
    model.write(b"weights")
"""
EVALUATE = """\
import csv, os
with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["id", "target", "prediction"])
    for i in range(500):
        truth = "yes" if i % 3 else "no"
        table.writerow([i, truth, truth if i % 17 else "no"])
"""


def mlops(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{ENV['PATH']}"
    env = {**ENV, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(cwd.parent), "XDG_DATA_HOME": str(cwd.parent / "data")}
    return ready.mlops(args, cwd=cwd, env=env)


def commit(root: Path) -> None:
    for command in (["add", "-A"], ["commit", "-q", "-m", "next"]):
        subprocess.run(["git", "-C", str(root), *command], env=ENV, check=True)


def test_from_nothing_to_a_gate_that_this_test_set_can_decide(tmp_path: Path) -> None:
    root = repository(tmp_path / "spam-filter", {"train.py": TRAIN, "evaluate.py": EVALUATE, ".gitignore": "*.bin\n"})
    made = mlops(root, "init")
    assert made.returncode == 0, made.stderr
    assert "wrote mlops.yaml\n" in made.stdout
    checked = mlops(root, "validate")
    assert (checked.returncode, checked.stderr) == (0, "")
    commit(root)
    reviewed = mlops(root, "review")
    assert reviewed.returncode == 0, reviewed.stdout + reviewed.stderr
    proposed = json.loads((root / ".mlops" / "report.json").read_text())["next"]["gate"]
    assert proposed.startswith("gate:\n  accuracy: {max-drop: ")
    again = mlops(root, "init")
    assert "mlops.yaml is there already: left as it is" in again.stdout
    assert "\n".join(f"  {line}" for line in proposed.split("\n")) in again.stdout
    with (root / "mlops.yaml").open("a") as file:
        file.write(f"\n{proposed}\n")
    assert "accuracy" in load(root / "mlops.yaml").config.gate
    commit(root)
    same = mlops(root, "review")
    assert same.returncode == 0, same.stdout + same.stderr
    result = json.loads((root / ".mlops" / "report.json").read_text())
    assert (result["verdict"], result["gate"]) == ("pass", "passed")


@pytest.mark.parametrize("verb", ["validate", "train", "evaluate", "compare", "review"])
def test_a_wrong_file_stops_every_verb_with_all_its_errors_and_exit_2(tmp_path: Path, verb: str) -> None:
    root = repository(tmp_path / "r", {"mlops.yaml": "nam: m\ntrain: {run: t, outptu: o}\n"})
    done = mlops(root, verb)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for error in (
        'mlops.yaml:1: there is no key "nam"',
        'mlops.yaml:2: there is no key "outptu" under train',
        'mlops.yaml:2: train has no "output"',
    ):
        assert error in done.stderr
