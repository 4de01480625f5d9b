"""Whether a fork's code may run on a self-hosted runner: only what the base branch says counts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.config import read
from mlops_toolkit.config.forks import refuse_fork
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


def refused(folder: Path, context: Context) -> bool:
    try:
        refuse_fork(context, git_module.find(folder, ENV), read.load(folder / "mlops.yaml"))
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
