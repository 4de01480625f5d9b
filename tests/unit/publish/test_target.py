"""Which commit and tag are published, of what a person asks for: in real git, here and on the remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import UsageError
from mlops_toolkit.publish import target
from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import bare_remote, clone, draw, git, history

World = tuple[Git, dict[str, str]]
RUN = "20261124-092057-3f9a1c"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A line of commits A, B and C in a clone; v1 (with a message) and v2 are tags here, v3 (with one) is the remote's alone."""
    remote = bare_remote(tmp_path / "origin.git")
    commits = draw(remote, "A:\nB: A\nC: B\n")
    git(remote, "update-ref", "refs/heads/main", commits["C"])
    git(remote, "tag", "-a", "-m", f"First\n\nmlops-run: {RUN}", "v1", commits["B"])
    git(remote, "tag", "v2", commits["C"])
    here = clone(remote, tmp_path / "work")
    git(remote, "tag", "-a", "-m", f"Third\n\nmlops-run: {RUN}", "v3", commits["A"])
    return here, commits


@pytest.mark.parametrize(
    ("ref", "commit", "tag", "runs"),
    [
        ("v1", "B", "v1", (RUN,)),
        ("refs/tags/v1", "B", "v1", (RUN,)),
        ("v2", "C", "v2", ()),
        ("v3", "A", "v3", (RUN,)),
        ("v1^", "A", None, ()),
        ("main", "C", None, ()),
        ("", "C", None, ()),
    ],
)
def test_a_tag_is_one_by_its_name(world: World, ref: str, commit: str, tag: str | None, runs: tuple[str, ...]) -> None:
    here, made = world
    found = target.find(ref, here, Context(), history(here, context=Context()))
    assert (found.at.commit, found.tag, found.runs) == (made[commit], tag, runs)


@pytest.mark.parametrize("ref", ["v9", "v*", "--all", "v1\x1b[2J"])
def test_what_is_nothing_is_said_to_be_no_tag_commit_or_branch(world: World, ref: str) -> None:
    here, _ = world
    with pytest.raises(UsageError, match="is no tag, commit or branch") as caught:
        target.find(ref, here, Context(), history(here, context=Context()))
    assert (caught.value.name, caught.value.where) == ("unknown-ref", "what is published")
