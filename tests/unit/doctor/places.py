"""Where the doctor's checks are tried: what they look at, and what they said of it."""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.ci import Context
from mlops_toolkit.config import read
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.models.open import open_models
from mlops_toolkit.system import git as git_module
from mlops_toolkit.system.clock import SystemClock
from mlops_toolkit.world import World
from tests.world.repository import clean_environment

MODEL = """\
name: spam-filter
train: {run: python3 train.py, output: model/, inputs: [train.py]}
evaluate: {run: python3 evaluate.py, inputs: [evaluate.py], metrics: [accuracy]}
gate: {accuracy: {max-drop: 1pp}}
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A home of its own, and nothing of the tests' own CI or git."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {**clean_environment(home), **more}


def repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A git repository with one commit of these files (and a model's, unless it is among them)."""
    root = folder / "work"
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    for name, text in ({"mlops.yaml": MODEL, "train.py": "", "evaluate.py": ""} | (files or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root: Path, *args: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}
    done = subprocess.run(
        ["git", "-C", root, *args], env={**kept, **who, "GIT_CONFIG_GLOBAL": os.devnull}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def patient(root: Path, env: dict[str, str], *, context: Context | None = None, forge: Forge | None = None) -> Patient:
    """The world of a work tree, whose configurations are read."""
    found = git_module.find(root, env)
    world = World(
        cwd=root,
        root=found.root if found else root,
        env=env,
        clock=SystemClock(),
        git=found,
        context=context or Context(),
        forge=forge or Memory(),
        history=lambda state, at: LocalHistory(state),
        models=lambda word: open_models(word, env=env, context=context or Context(), root=root),
        out=io.StringIO(),
        err=io.StringIO(),
    )
    return Patient(world, read.load_all(read.discover("**/mlops.yaml", cwd=root, root=root), root=root))


def job(**changes: object) -> Context:
    """A job on GitHub."""
    made = Context(
        provider="github",
        event="pull_request",
        repository="acme/models",
        pull_request=7,
        head="a" * 40,
        default_branch="main",
        server_url="https://github.com",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def of(findings: list[Finding], level: str = "problem") -> list[str]:
    """What findings of a level say."""
    return [finding.said for finding in findings if finding.level == level]
