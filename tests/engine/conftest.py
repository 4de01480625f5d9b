"""A CI for each module: a project, its remote, a fake GitHub that checks what it is asked, and act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import act
from tests.world.github import FakeGitHub, Token, serving
from tests.world.project import project

Make = Callable[..., act.Engine]


@pytest.fixture(scope="module")
def make_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """make_engine(files) -> Engine over a new project of those files."""
    program = act.program()
    servers: list[FakeGitHub] = []
    with ExitStack() as open_servers:

        def make(files: dict[str, str] | None = None) -> act.Engine:
            folder: Path = tmp_path_factory.mktemp("engine")
            github = open_servers.enter_context(serving(FakeGitHub(tokens={act.JOB_TOKEN: Token()})))
            servers.append(github)
            (folder / "home").mkdir()
            engine = act.Engine(program, folder, project(folder, files), github)
            engine.install()
            return engine

        yield make
    assert [v for server in servers for v in server.violations] == []
