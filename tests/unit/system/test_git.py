"""The repository a person stands in, as far as git can read it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import git

ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")}, "GIT_CONFIG_GLOBAL": os.devnull}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "work")], env=ENV, check=True)
    (tmp_path / "work" / "src").mkdir()
    return tmp_path / "work"


def test_a_repository_whose_git_is_not_installed_does_not_pass_as_none(repository: Path) -> None:
    """Else its models would be first runs, with nothing to hold them against."""
    found = git.find(repository / "src", {"PATH": str(repository)})
    assert found is not None
    assert found.root == repository
    with pytest.raises(EnvironmentFailure, match="git is not installed"):
        found.commit("HEAD")


def test_a_repository_that_git_cannot_read_does_not_pass_as_none(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("no reference\n")
    found = git.find(repository, ENV)
    assert found is not None
    with pytest.raises(EnvironmentFailure, match="git cat-file failed: fatal: not a git repository"):
        found.commit("HEAD")


@pytest.mark.parametrize("env", [ENV, {"PATH": "/nowhere"}])
def test_outside_of_any_repository_there_is_none(tmp_path: Path, env: dict[str, str]) -> None:
    assert git.find(tmp_path, env) is None


def test_our_folder_is_no_change_of_the_user_s_as_a_link_to_a_larger_disk_either(repository: Path) -> None:
    here = git.find(repository, ENV)
    assert here is not None
    (repository / ".mlops").symlink_to(repository.parent)
    assert not here.dirty()
    (repository / "other").write_text("")
    assert here.dirty()
