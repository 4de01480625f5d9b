"""Whether a fork's code may run on a self-hosted runner: only what the base branch says counts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.config import read
from mlops_toolkit.config.forks import MayWrite, refuse_fork
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import git as git_module

ENV = {
    "PATH": os.environ["PATH"], "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip
SAYS_YES, SAYS_NO = "name: spam\nallow-forks: true\n", "name: spam\n"


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *args], env=ENV, capture_output=True, text=True, check=True).stdout.strip()


def merged(folder: Path, *, base: str, fork: str) -> Context:
    """A checkout of the event's test merge of a fork's head into the base branch."""
    git(folder, "init", "-q", "-b", "main")
    (folder / "mlops.yaml").write_text(base)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "checkout", "-q", "-b", "fork")
    (folder / "mlops.yaml").write_text(fork)
    (folder / "new.py").write_text("")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "theirs")
    head = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "-q", "--detach", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", "merge", "fork")
    merge = git(folder, "rev-parse", "HEAD")
    return Context(provider="github", event="pull_request", head=head, checkout=merge, base_branch="main", fork=True, self_hosted=True)


def refused(folder: Path, context: Context, may_write: MayWrite = lambda who: None) -> bool:
    try:
        refuse_fork(context, git_module.find(folder, ENV), read.load(folder / "mlops.yaml"), may_write)
    except EnvironmentFailure as error:
        return (error.name, error.code) == ("fork-on-self-hosted", 4)
    return False


@pytest.mark.parametrize(
    ("base", "fork", "expected"),
    [(SAYS_NO, SAYS_NO, True), (SAYS_NO, SAYS_YES, True), (SAYS_YES, SAYS_NO, False), (SAYS_YES, SAYS_YES, False)],
)
def test_only_the_base_branch_can_allow_it(tmp_path: Path, base: str, fork: str, expected: bool) -> None:
    assert refused(tmp_path, merged(tmp_path, base=base, fork=fork)) is expected


def test_what_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    """A checkout of depth 1 does not know its base: it is refused, however much the base would allow."""
    (tmp_path / "whole").mkdir()
    context = merged(tmp_path / "whole", base=SAYS_YES, fork=SAYS_YES)
    git(tmp_path / "whole", "branch", "-f", "tip", "HEAD")
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=tip", f"file://{tmp_path}/whole", "shallow")
    assert refused(tmp_path / "shallow", context)


def test_a_head_that_is_checked_out_itself_is_judged_by_the_base_branch(tmp_path: Path) -> None:
    context = merged(tmp_path, base=SAYS_YES, fork=SAYS_YES)
    git(tmp_path, "checkout", "-q", "fork")
    context = replace(context, checkout=context.head)
    assert refused(tmp_path, context)
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "main")
    assert not refused(tmp_path, context)


def test_ours_and_hosted_ones_may_always(tmp_path: Path) -> None:
    context = merged(tmp_path, base=SAYS_NO, fork=SAYS_NO)
    assert not refused(tmp_path, replace(context, fork=False))
    assert not refused(tmp_path, replace(context, self_hosted=False))


PEOPLE: dict[str, bool | None] = {"ada": True, "mallory": False, "nobody-knows": None}


@pytest.mark.parametrize(
    ("who", "said", "expected"),
    [
        ("ada", "/evaluate", False),
        ("ada", "/evaluate HEAD", False),  # its commit, see below
        ("ada", "/evaluate 0123456789", True),
        ("ada", "/evaluate HEAD now", True),
        ("ada", "looks good, /evaluate", True),
        ("ada", "/evaluated", True),
        ("ada", "", True),
        ("mallory", "/evaluate", True),
        ("nobody-knows", "/evaluate", True),
        ("stranger", "/evaluate", True),
        (None, "/evaluate", True),
    ],
)
def test_a_comment_of_somebody_who_may_write_allows_this_run(tmp_path: Path, who: str | None, said: str, expected: bool) -> None:
    context = merged(tmp_path, base=SAYS_NO, fork=SAYS_YES)
    git(tmp_path, "checkout", "-q", "--detach", str(context.head))
    context = replace(context, event="comment", checkout=context.head, asked_by=who, request=said.replace("HEAD", str(context.head)))
    assert refused(tmp_path, context, PEOPLE.get) is expected


@pytest.mark.parametrize(
    ("who", "label", "expected"),
    [("ada", "evaluate", False), ("ada", "bug", True), ("mallory", "evaluate", True), (None, "evaluate", True)],
)
def test_so_does_the_label_that_they_set(tmp_path: Path, who: str | None, label: str, expected: bool) -> None:
    context = replace(merged(tmp_path, base=SAYS_NO, fork=SAYS_YES), asked_by=who, request=label)
    assert refused(tmp_path, context, PEOPLE.get) is expected


def test_a_label_allows_the_head_that_had_it_and_no_other(tmp_path: Path) -> None:
    context = replace(merged(tmp_path, base=SAYS_NO, fork=SAYS_YES), asked_by="ada", request="evaluate")
    git(tmp_path, "checkout", "-q", "fork")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "pushed since")
    assert refused(tmp_path, context, PEOPLE.get)


def test_nobody_is_asked_about_people_where_nobody_asked(tmp_path: Path) -> None:
    def never(who: str) -> bool | None:
        raise AssertionError(who)

    assert refused(tmp_path, merged(tmp_path, base=SAYS_NO, fork=SAYS_NO), never)
