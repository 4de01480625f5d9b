"""A World on a folder, as a laptop has it: real git, nothing else outside."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mlops_toolkit.ci import Context
from mlops_toolkit.system import git
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.world import World

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def repository(folder: Path, files: Mapping[str, str], *, branch: str = "main") -> Path:
    """A git repository with these files committed."""
    write(folder, files)
    for command in (["init", "-q", "-b", branch], ["add", "-A", "-f"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(folder), *command], env=ENV, check=True)
    return folder


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Files below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def world(cwd: Path, **more: Any) -> World:
    """The World of a command given in `cwd`."""
    found = git.find(cwd, ENV)

    def refuse(*_: object) -> Any:
        raise AssertionError("init and validate touch neither history nor models")

    made = World(
        cwd=cwd,
        root=found.root if found else cwd,
        env=ENV,
        clock=FixedClock(datetime(2026, 1, 1, tzinfo=timezone.utc)),
        git=found,
        context=Context(),
        forge=None,  # type: ignore[arg-type]
        history=refuse,
        models=refuse,
        out=io.StringIO(),
        err=io.StringIO(),
    )
    return replace(made, **more)
