"""The code where it is not checked out: commits, trees and files come one by one from a real remote, and nothing is left behind but those."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.apart import Apart, open_apart
from mlops_toolkit.history.remote import Remote
from mlops_toolkit.models.fingerprint import fingerprint
from mlops_toolkit.system.git import Git
from tests.world.repository import Repository, clean_environment, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path / "made")
    (made.root / "models" / "a").mkdir(parents=True)
    (made.root / "models" / "a" / "mlops.yaml").write_text("name: a\n")
    (made.root / "link.yaml").symlink_to("/etc/passwd")
    made.commit("more")
    return made


@pytest.fixture(params=["GitHub's settings", "git's own"])
def apart(repository: Repository, tmp_path: Path, request: pytest.FixtureRequest) -> Apart:
    if request.param == "GitHub's settings":
        for name in ("allowFilter", "allowAnySHA1InWant"):
            repository.git("config", f"uploadpack.{name}", "true")
    return open_apart(tmp_path / "ours", Remote(repository.root.as_uri()), clean_environment(tmp_path))


def test_files_of_a_commit_are_had_without_a_checkout(apart: Apart, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    assert apart.look_at(head).sha == head
    assert apart.commit("HEAD") == apart.tip("refs/heads/main")
    found = apart.contents(head, ["models/a/mlops.yaml", "train.py", "none.yaml", "models", "link.yaml"])
    assert set(found) == {"models/a/mlops.yaml", "train.py"}
    assert apart.show(head, "models/a/mlops.yaml") == b"name: a\n"
    assert {"models/a/mlops.yaml", "train.py"} < set(apart.listed(head))
    assert "link.yaml" not in apart.listed(head)
    assert list(apart.root.iterdir()) == []


def test_what_the_remote_has_not_is_said_or_none(apart: Apart) -> None:
    assert apart.tip("refs/pull/7/merge") is None
    assert apart.bring("0" * 40) is None
    assert apart.bring("--upload-pack=touch /tmp/x") is None
    with pytest.raises(EnvironmentFailure) as caught:
        apart.look_at("1" * 40)
    assert caught.value.name in ("no-such-commit", "history-unreadable")


def test_a_remote_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    apart = open_apart(tmp_path / "ours", Remote((tmp_path / "gone").as_uri()), clean_environment(tmp_path))
    with pytest.raises(EnvironmentFailure) as caught:
        apart.tip("refs/heads/main")
    assert caught.value.name == "history-unreadable"


def test_a_filled_index_stands_as_a_clean_checkout(apart: Apart, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    apart.look_at(head)
    apart.fill()
    assert apart.lines("ls-files") == repository.git("ls-files").splitlines()
    assert apart.lines("diff-files", "--name-only") == []
    assert not apart.dirty()


def test_an_index_without_files_tells_where_links_lead(apart: Apart, repository: Repository) -> None:
    """The same print as in a checkout: otherwise no recorded run would answer for such a model on the trusted side."""
    (repository.root / "src").mkdir()
    (repository.root / "src/shared.py").symlink_to("../train.py")
    apart.look_at(repository.commit("a link"))
    apart.fill()
    there = Git(repository.root, clean_environment(repository.root.parent))
    prints = [fingerprint(git=git, folder=git.root, inputs=["src/"], command="x", by_git=True) for git in (there, apart)]
    assert prints[0] == prints[1]
    assert " " in prints[0].parts["file:src/shared.py"]


def test_the_origin_is_known_to_git_and_the_token_to_no_file(repository: Repository, tmp_path: Path) -> None:
    server = "https://github.example"
    apart = open_apart(tmp_path / "ours", Remote(f"{server}/o/r", server, lambda: "s3cret"), clean_environment(tmp_path))
    assert apart("ls-remote", "--get-url", "origin").text == f"{server}/o/r"
    assert apart.remote_url() == f"{server}/o/r"
    assert "s3cret" not in str(apart.env)
    files = [path for path in (tmp_path / "ours").rglob("*") if path.is_file()]
    assert not any(b"s3cret" in path.read_bytes() for path in files)


def test_no_hook_or_setting_of_the_place_where_we_stand_is_taken(
    apart: Apart, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "hostile"
    subprocess.run(
        ["git", "init", "-q", str(hostile)], check=True, env={**apart.env, "GIT_DIR": str(hostile / ".git"), "GIT_WORK_TREE": str(hostile)}
    )
    (hostile / ".git" / "config").write_text(
        f'[core]\n\tfsmonitor = "touch {tmp_path / "canary"}"\n\tpager = "touch {tmp_path / "canary"}"\n'
    )
    monkeypatch.chdir(hostile)
    apart.look_at(repository.git("rev-parse", "HEAD"))
    apart.fill()
    assert not apart.dirty()
    assert not (tmp_path / "canary").exists()
