"""What a world says of itself: which branch pull requests go to, where no CI tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from tests.unit.doctor.places import environment, git, patient, repository


@pytest.mark.parametrize(
    ("checked_out", "remote", "head", "found"),
    [
        ("main", (), None, "main"),
        ("master", (), None, "master"),  # no remote: the usual name that is here
        ("change", (), None, "main"),
        ("develop", ("main", "develop"), None, "main"),  # a fetch by hand brings no origin/HEAD
        ("change", ("trunk",), None, "trunk"),
        ("change", ("release/2",), None, "main"),
        ("main", ("main", "release/2"), "release/2", "release/2"),
    ],
)
def test_the_branch_that_pull_requests_go_to_is_the_clone_s_own_or_a_usual_one(
    tmp_path: Path, checked_out: str, remote: tuple[str, ...], head: str | None, found: str
) -> None:
    root = repository(tmp_path)
    git(root, "checkout", "-q", "-B", checked_out)
    for name in remote:
        git(root, "update-ref", f"refs/remotes/origin/{name}", "HEAD")
    if head:
        git(root, "symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{head}")
    assert patient(root, environment(tmp_path)).world.default_branch() == found
    told = patient(root, environment(tmp_path), context=Context(default_branch="trunk")).world
    assert told.default_branch() == "trunk"
