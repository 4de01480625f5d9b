"""Plays the story: makes the repository, and calls the same commands in it that a user would type; in production, too, where that is asked for."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TextIO, cast

from mlops_toolkit.demo import engine, production, story
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
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
EXPECTED = (0, 0, 1)  # main, the harmless pull request, the one that hurts


def run(args: argparse.Namespace, world: World) -> int:
    """0 when all went as the story says: main and the harmless pull request passed, the hurting one was blocked; with --deploy, two releases are
    or were live and the third took itself back. A defect of ours otherwise."""
    if args.remove:
        return production.remove(world)
    for word in ("registry", "base", "proxy", "port"):
        if getattr(args, word) and not args.deploy:
            raise UsageError("no-effect", f"--{word} is of the second half", where=f"--{word}", hint="mlops demo --deploy")
    for package, install in (("sklearn", "scikit-learn"), ("numpy", "numpy"), ("yaml", "PyYAML")):
        if importlib.util.find_spec(package) is None:
            raise EnvironmentFailure(
                "demo-needs", f"the demo trains a model on real data and needs {install}", hint=f"pip install {install}"
            )
    with production.ready(args, world) if args.deploy else contextlib.nullcontext() as here:
        return played(Stage(folder(args.dir, world), world), here)


def played(stage: Stage, here: production.Ready | None) -> int:
    """The story, and what came of it."""
    stage.say(f"A repository with a model in it, made in {stage.folder}\n")
    codes = [main(stage)] + [pull_request(stage, change) for change in story.CHANGES]
    stage.say("What happened")
    for name, code in zip(("main", *(change.branch for change in story.CHANGES)), codes, strict=True):
        stage.say(f"  {name:12} exit {code}  {'merges' if code == 0 else 'blocked'}")
    stage.say(f"  the page to look at: {stage.folder / '.mlops' / 'report.html'}")
    stage.say(f"  the repository:      cd {stage.folder}")
    fine = _as_told(stage, tuple(codes), EXPECTED)
    if here is None:
        if fine and engine.answers(stage.world.env):
            stage.say(f"\nAnd on to production, on this machine's Docker: {words(stage.world)}")
        return 0 if fine else DEFECT
    if fine:
        stage.say("")
        fine = _as_told(stage, production.play(stage, here), production.EXPECTED)
        production.farewell(stage, here, words(stage.world, " --remove"))
    return 0 if fine else DEFECT


def _as_told(stage: Stage, codes: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    if codes != expected:
        stage.say(f"this is not what should have happened: exit codes {expected} were expected, and these came: {codes}")
    return codes == expected


def words(world: World, more: str = "") -> str:
    """How the second half is asked for, by whoever started this: make, or a person."""
    return f'make demo ARGS="--deploy{more}"' if world.env.get("MAKELEVEL") else f"mlops demo --deploy{more}"


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

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def changed(self, change: story.Change) -> None:
        """What a change replaces, replaced. Defect `demo-out-of-step`: the file has it not once."""
        text = self.read(change.file)
        if text.count(change.before) != 1:
            raise Defect("demo-out-of-step", f"{change.file} does not hold {change.before!r} once")
        self.write(change.file, text.replace(change.before, change.after))

    def mlops(self, *arguments: str, only: str = "") -> int:
        """A command of ours, shown and run as a user would; its exit code. only: lines that begin with one of these characters, "" all."""
        self.say("$ mlops " + " ".join(arguments))
        command = " ".join(["exec", f"'{sys.executable}'", "-m", "mlops_toolkit", *arguments])
        echo = cast("TextIO", Some(self.world.out, only)) if only else self.world.out
        ended = supervise.run(command, cwd=self.folder, env=self.env, log=self.folder.parent / "demo.log", echo=echo)
        code = DEFECT if ended.exit is None else ended.exit
        self.say(f"exit code {code}\n")
        return code


@dataclass
class Some:
    """Lets lines through that begin with one of these characters."""

    out: TextIO
    begin: str
    line: str = ""

    def write(self, text: str) -> int:
        *lines, self.line = (self.line + text).split("\n")
        self.out.writelines(f"{line}\n" for line in lines if (plain := COLOUR.sub("", line)) and plain[0] in self.begin)
        return len(text)

    def flush(self) -> None:
        self.out.flush()


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
    stage.changed(change)
    stage.commit(change.title)
    return stage.mlops("review", "--html")
