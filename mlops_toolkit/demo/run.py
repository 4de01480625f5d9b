"""Plays the story: makes the repository, and calls the same commands in it that a user would type."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mlops_toolkit.demo import story
from mlops_toolkit.errors import DEFECT, Defect, EnvironmentFailure, UsageError
from mlops_toolkit.system import proc, supervise
from mlops_toolkit.world import World

# Fixed, so that the demo's commits have the same ids on every machine.
AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
EXPECTED = (0, 0, 1)  # main, the harmless pull request, the one that hurts


def run(args: argparse.Namespace, world: World) -> int:
    """0 when main and the harmless pull request passed and the hurting one was blocked; a defect of ours otherwise."""
    for package, install in (("sklearn", "scikit-learn"), ("numpy", "numpy"), ("yaml", "PyYAML")):
        if importlib.util.find_spec(package) is None:
            raise EnvironmentFailure(
                "demo-needs", f"the demo trains a model on real data and needs {install}", hint=f"pip install {install}"
            )
    stage = Stage(folder(args.dir, world), world)
    stage.say(f"A repository with a model in it, made in {stage.folder}\n")
    codes = [main(stage)] + [pull_request(stage, change) for change in story.CHANGES]
    stage.say("What happened")
    for name, code in zip(("main", *(change.branch for change in story.CHANGES)), codes, strict=True):
        stage.say(f"  {name:12} exit {code}  {'merges' if code == 0 else 'blocked'}")
    stage.say(f"  the page to look at: {stage.folder / '.mlops' / 'report.html'}")
    stage.say(f"  the repository:      cd {stage.folder}")
    if tuple(codes) != EXPECTED:
        stage.say(f"this is not what should have happened: exit codes {EXPECTED} were expected")
        return DEFECT
    return 0


def folder(wanted: str, world: World) -> Path:
    """An empty folder: the one wanted, or a new temporary one."""
    if not wanted:
        return Path(tempfile.mkdtemp(prefix="mlops-demo-")) / "digits"
    made = (world.cwd / wanted).resolve()
    if made.exists() and any(made.iterdir()):
        raise UsageError(
            "folder-not-empty", f"{made} is not empty", where="--dir", hint="name a new folder: the demo never writes over anything"
        )
    return made


@dataclass
class Stage:
    """The repository and how commands are given in it; every command is shown before it runs."""

    folder: Path
    world: World
    commits: int = 0

    def say(self, text: str) -> None:
        print(text, file=self.world.out, flush=True)

    @property
    def env(self) -> Mapping[str, str]:
        """Ours, with this Python first on PATH (it has what the project needs) and this toolkit importable; no CI, whoever runs the demo."""
        own = {k: v for k, v in self.world.env.items() if not k.startswith(("GITHUB_", "GIT_", "MLOPS_")) and k != "CI"}
        paths = [str(Path(sys.executable).parent), own.get("PATH", os.defpath)]
        toolkit = [str(Path(__file__).resolve().parents[2]), *([own["PYTHONPATH"]] if own.get("PYTHONPATH") else [])]
        terminal = {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)} if self.world.out.isatty() else {}
        one = {"OPENBLAS_NUM_THREADS": "1"}  # matrices this small only lose by waiting for a second core
        return {
            **one,
            **own,
            **AUTHOR,
            **terminal,
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": os.pathsep.join(toolkit),
            "XDG_DATA_HOME": str(self.folder.parent / "store"),
        }

    def git(self, *arguments: str) -> None:
        """A git command, shown."""
        self.say("$ git " + " ".join(f'"{word}"' if " " in word else word for word in arguments))
        day = f"2026-01-{5 + self.commits:02}T09:00:00Z"
        done = proc.run(["git", *arguments], cwd=self.folder, env={**self.env, "GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day})
        if done.status != 0:
            raise EnvironmentFailure("git-failed", f"git {arguments[0]} failed: {done.trouble}", where=str(self.folder))

    def commit(self, message: str) -> None:
        """Everything, committed a day after the last."""
        self.git("commit", "--quiet", "--all", "--message", message)
        self.commits += 1

    def mlops(self, *arguments: str) -> int:
        """A command of ours, shown and run as a user would; its exit code."""
        self.say("$ mlops " + " ".join(arguments))
        command = " ".join(["exec", f"'{sys.executable}'", "-m", "mlops_toolkit", *arguments])
        ended = supervise.run(command, cwd=self.folder, env=self.env, log=self.folder.parent / "demo.log", echo=self.world.out)
        code = DEFECT if ended.exit is None else ended.exit
        self.say(f"exit code {code}\n")
        return code


def main(stage: Stage) -> int:
    """The project's first commit, trained and recorded."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    project = resources.files("mlops_toolkit.demo") / "digits"
    for name in story.FILES:
        (stage.folder / name).write_bytes((project / name).read_bytes())
    (stage.folder / ".gitignore").write_text(story.IGNORED, encoding="utf-8")
    stage.git("init", "--quiet", "--initial-branch", "main")
    stage.git("add", ".")
    stage.commit("Read handwritten digits")
    return stage.mlops("review")


def pull_request(stage: Stage, change: story.Change) -> int:
    """A branch off main with one change, reviewed."""
    stage.say(f"── a pull request: {change.title} ({change.why})")
    stage.git("switch", "--quiet", "--create", change.branch, "main")
    file = stage.folder / change.file
    text = file.read_text(encoding="utf-8")
    if text.count(change.before) != 1:
        raise Defect("demo-out-of-step", f"{change.file} does not hold {change.before!r} once")
    file.write_text(text.replace(change.before, change.after), encoding="utf-8")
    stage.commit(change.title)
    return stage.mlops("review", "--html")
