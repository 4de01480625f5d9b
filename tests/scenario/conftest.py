"""A team whose main is recorded, made once and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.team import Team, team


@pytest.fixture(scope="session")
def recorded_main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a team whose first model is on main, and in the history."""
    folder = tmp_path_factory.mktemp("team")
    with team(folder) as made:
        made.reviewed(made.push())
    return folder


@pytest.fixture
def acme(tmp_path: Path, recorded_main: Path) -> Iterator[Team]:
    with team(tmp_path, like=recorded_main) as made:
        yield made
