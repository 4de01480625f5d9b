"""Which commit is published, and under which tag of git: as it was asked for, as the event says, or HEAD; and what the tag's message says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import lineage
from mlops_toolkit.history.base import History
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.records.run import RUN_ID
from mlops_toolkit.system.git import Commit, Git

LINE = re.compile(rf"^[ \t]*mlops-run:[ \t]*({RUN_ID.pattern})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """What is published. tag: git's, None of a bare commit; runs: those that the tag's message names; note: a word about it."""

    at: Step
    tag: str | None = None
    runs: tuple[str, ...] = ()
    note: str | None = None


def find(ref: str, git: Git | None, context: Context, history: History) -> Target:
    """ref: a tag, commit or branch, "" for what the event is about, else HEAD.

    UsageErrors `unknown-ref` for a name that means nothing, `not-to-publish`; EnvironmentFailure `no-repository` where there is no commit.
    """
    if git is None or git.commit("HEAD") is None:
        raise lineage.no_repository(git)
    if ref.strip():
        return _asked(ref.strip(), git, history)
    if context.event == "tag" and context.tag:
        commit = _commit(context.head or "HEAD", git, history)
        return Target(_step(commit), context.tag, named(_message(context.tag, git, history)))
    if context.ci and context.head and (context.event == "pull_request" or context.stranger):
        hint = "publish on a tag, or on a push to the main branch: on: {push: {tags: ['v*']}}"
        raise UsageError("not-to-publish", "a pull request is not published: it may change, or never be merged", hint=hint)
    here = _commit("HEAD", git, history)
    note = "there are uncommitted changes here: what is published is the commit" if not context.ci and git.dirty() else None
    return Target(_step(here), None, (), note)


def named(message: str) -> tuple[str, ...]:
    """The runs that the lines `mlops-run: ID` of a tag's message name. Pure."""
    return tuple(dict.fromkeys(LINE.findall(message)))


def _asked(ref: str, git: Git, history: History) -> Target:
    plain = ref.removeprefix("refs/tags/")
    found = lineage.named(git, history.ancestry, plain)
    if found is None:
        hint = "name a tag (`git tag` lists them), a commit or a branch, of this clone or its remote"
        raise UsageError("unknown-ref", f'"{plain[:80]}" is no tag, commit or branch', where="what is published", hint=hint)
    runs = named(_message(found.tag, git, history)) if found.tag else ()
    return Target(_step(found.commit), found.tag, runs)


def _commit(name: str, git: Git, history: History) -> Commit:
    found = git.commit(name) or next(iter(history.ancestry(name, 1)), None)
    if found is None:
        raise EnvironmentFailure(
            "commit-missing",
            f"the commit {name[:12]} is neither in this clone nor to be had from its remote",
            hint="check it out, or push it",
        )
    return found


def _step(commit: Commit) -> Step:
    return Step(commit.sha, commit.tree, commit.subject)


def _message(tag: str, git: Git, history: History) -> str:
    """The text of an annotated tag. A checkout makes it one that only names the commit: then the remote has the text."""
    kind = git.lines("for-each-ref", "--format=%(objecttype)", f"refs/tags/{tag}")
    if kind == ["tag"]:
        return git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}").text
    return history.message(tag) or ""
