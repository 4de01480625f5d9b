"""A CI for each module: a project, its remote, a fake GitHub that checks what it is asked, and act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import act
from tests.world.github import FakeGitHub, Token, serving
from tests.world.project import project

ALL = frozenset({"pull-requests", "statuses", "issues", "contents", "deployments", "actions"})


def tokens() -> dict[str, Token]:
    """What a job's token may at most: all that ours ever ask for, or, of a fork or Dependabot, only read."""
    return {act.JOB_TOKEN: Token(may=ALL), act.READ_ONLY: Token(may=frozenset())}


Make = Callable[..., act.Engine]


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our actions as they are released."""
    return act.release(tmp_path_factory.mktemp("release") / "ours")


@pytest.fixture(scope="module")
def make_engine(tmp_path_factory: pytest.TempPathFactory, ours: Path) -> Iterator[Make]:
    """make_engine(files) -> Engine over a new project of those files."""
    program = act.program()
    servers: list[FakeGitHub] = []
    folders: list[Path] = []
    with ExitStack() as open_servers:

        def make(files: dict[str, str] | None = None) -> act.Engine:
            folder: Path = tmp_path_factory.mktemp("engine")
            github = open_servers.enter_context(serving(FakeGitHub(tokens=tokens())))
            servers.append(github)
            folders.append(folder)
            (folder / "home").mkdir()
            engine = act.Engine(project(folder, files), github, program, folder, ours)
            engine.install()
            return engine

        yield make
        for folder in folders:
            for path in folder.rglob("*"):  # act hands every input to the user's command, and GitHub none: that is what `seen.json` shows
                if path.is_file() and not path.is_symlink() and path.name != "seen.json":
                    assert act.JOB_TOKEN.encode() not in path.read_bytes(), path
    assert [v for server in servers for v in server.violations] == []
