"""The demo is what it says: two pull requests for a real model, one lets through and one blocks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_toolkit.demo import story
from mlops_toolkit.demo.run import words
from tests.check import ROOT


@dataclass(frozen=True)
class Played:
    """A demo that was played: exit code, what it printed, its repository."""

    code: int
    text: str
    folder: Path

    def result(self, branch: str) -> dict[str, Any]:
        """The result of the branch's last run."""
        for path in sorted((self.folder / ".mlops/runs").glob("*/run.json"), reverse=True):
            if json.loads(path.read_text())["branch"] == branch:
                found: dict[str, Any] = json.loads(path.with_name("report.json").read_text())
                return found
        raise AssertionError(f"no run of {branch}")


def demo(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run where there is no Docker, unless `more` says otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_") and name != "MAKELEVEL"}
    env = {**kept, "PYTHONPATH": str(ROOT), "HOME": str(cwd), "DOCKER_HOST": "unix:///nowhere", **more}
    return subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", "demo", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def docker(folder: Path) -> dict[str, str]:
    """The environment of somebody whose Docker answers."""
    program = folder / "bin/docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 27.0.1\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///var/run/docker.sock"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One demo for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo")
    done = demo("--dir", "digits", cwd=folder, **docker(folder))
    return Played(done.returncode, done.stdout + done.stderr, folder / "digits")


def test_it_ends_well(played: Played) -> None:
    """Exit 0, with the three exit codes that a reader is told to expect."""
    assert played.code == 0, played.text
    assert re.findall(r"^exit code (\d+)$", played.text, re.MULTILINE) == ["0", "0", "1"]


def test_the_harmless_pull_request_passes_its_margin(played: Played) -> None:
    """Some answers change, and the whole interval of the change lies above the allowed drop: proven, not waved through."""
    result = played.result("fewer-greys")
    check = next(check for check in result["checks"] if check["metric"] == "accuracy" and not check["slice"])
    assert result["verdict"] == "pass"
    assert check["verdict"] == "pass"
    assert check["low"] > -check["margin"]
    assert check["better"] > 0
    assert check["worse"] > 0


def test_the_other_one_fails_on_some_digits(played: Played) -> None:
    """Accuracy is worse than allowed, and so are several digits but not all: the comment shows where it hurts."""
    result = played.result("fewer-pixels")
    checks = {check["slice"]: check for check in result["checks"] if check["metric"] == "accuracy"}
    assert result["verdict"] == "fail"
    assert checks[None]["high"] < -checks[None]["margin"]
    failed = {name for name, check in checks.items() if name and check["verdict"] == "fail"}
    assert "digit=8" in failed
    assert "digit=0" not in failed


def test_both_comments_and_the_page_are_shown(played: Played) -> None:
    """The verdicts stand in the output, and the page it names is one self-contained file with the pictures in it."""
    assert re.search(r"^✅ .*digits", played.text, re.MULTILINE)
    assert re.search(r"^❌ .*digits", played.text, re.MULTILINE)
    page = played.folder / ".mlops" / "report.html"
    assert str(page) in played.text
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") > 50
    assert not re.search(r"""(?:src|href)=["']https?:""", html)


def test_where_docker_answers_it_offers_to_go_on_to_production(played: Played, tmp_path: Path) -> None:
    """In the words of whoever started it; where none answers it says what is lacking, before anything is played."""
    assert played.text.rstrip().endswith("And on to production, on this machine's Docker: mlops demo --deploy")
    made = SimpleNamespace(env={"MAKELEVEL": "1"})
    assert words(made, " --remove") == 'make demo ARGS="--deploy --remove"'  # type: ignore[arg-type]
    done = demo("--deploy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "the demo's second half runs the model in Docker" in done.stderr
    none = demo("--deploy", cwd=tmp_path, PATH="/nowhere")
    assert (none.returncode, "there is no docker command here" in none.stderr) == (4, True)
    elsewhere = demo("--deploy", cwd=tmp_path, **{**docker(tmp_path), "DOCKER_HOST": "ssh://gpu1"})
    assert (elsewhere.returncode, "docker here speaks to ssh://gpu1" in elsewhere.stderr) == (4, True)
    useless = demo("--base", "python:3.12", cwd=tmp_path)
    assert (useless.returncode, "--base is of the second half" in useless.stderr) == (2, True)


def test_it_leaves_a_repository_to_play_with(played: Played) -> None:
    """A clean checkout with main and the two branches, whose commits have the same ids on every machine."""
    git = ["git", "-C", str(played.folder)]
    branches = subprocess.run([*git, "branch", "--format=%(refname:short)"], capture_output=True, text=True, check=True).stdout.split()
    assert branches == ["fewer-greys", "fewer-pixels", "main"]
    assert not subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    dates = subprocess.run([*git, "log", "--all", "--format=%ct"], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(dates)[0] == "1767603600"  # 5 January 2026, 9:00 UTC


def test_it_never_writes_over_anything(tmp_path: Path) -> None:
    """A folder with something in it is refused, by name."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    done = demo("--dir", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_the_story_fits_the_files() -> None:
    """Every change replaces text that stands exactly once in its file."""
    for change in (*story.CHANGES, story.SERVE, story.BAD):
        text = (ROOT / "mlops_toolkit/demo/digits" / change.file).read_text(encoding="utf-8")
        assert text.count(change.before) == 1
