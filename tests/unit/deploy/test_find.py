"""What a person asks to be deployed: in real git, here and on the remote."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.deploy.find import ask
from tests.unit.history.repositories import bare_remote, clone, draw, git, history


@pytest.mark.parametrize(
    ("ref", "commit", "tag"),
    [
        ("v1.0.0", "A", "v1.0.0"),
        ("refs/tags/v1.0.0", "A", "v1.0.0"),
        ("v1.1.0", "B", "v1.1.0"),
        ("v1.0.0^{commit}", "A", None),
        ("release/1.2.3", "B", None),
        ("fix/1.2.4", "A", None),
        ("v9.9.9", None, "v9.9.9"),
        ("", "C", None),
    ],
)
def test_a_tag_is_one_wherever_it_is_and_a_branch_is_none_whatever_it_is_called(
    tmp_path: Path, ref: str, commit: str | None, tag: str | None
) -> None:
    """v1.1.0 and fix/1.2.4 are the remote's alone; v9.9.9 is nowhere, and the history may know it."""
    remote = bare_remote(tmp_path / "origin.git")
    made = draw(remote, "A:\nB: A\nC: B\n")
    git(remote, "update-ref", "refs/heads/main", made["C"])
    git(remote, "tag", "v1.0.0", made["A"])
    git(remote, "update-ref", "refs/heads/release/1.2.3", made["B"])
    here = clone(remote, tmp_path / "work")
    git(remote, "tag", "-a", "-m", "Second", "v1.1.0", made["B"])
    git(remote, "update-ref", "refs/heads/fix/1.2.4", made["A"])
    found = ask(ref, history(here, context=Context()), SimpleNamespace(git=here, context=Context()))  # type: ignore[arg-type]
    assert (found.at and found.at.commit, found.tag) == (commit and made[commit], tag)
