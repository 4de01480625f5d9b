"""Whether a fork's code may run on this machine."""

from __future__ import annotations

from collections.abc import Callable

from mlops_toolkit.ci import Context
from mlops_toolkit.config.read import Loaded, parse
from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.system.git import Git

# How a person asks for a run of a pull request: by a comment that begins so, or by this label.
COMMAND, LABEL = "/evaluate", "evaluate"
MayWrite = Callable[[str], "bool | None"]


def refuse_fork(context: Context, git: Git | None, loaded: Loaded, may_write: MayWrite) -> None:
    """EnvironmentFailure `fork-on-self-hosted`, unless the *base branch's* configuration says `allow-forks: true`, or a person who may
    write here asked for this very run.

    What the fork itself says does not count, and what cannot be read or asked allows nothing. may_write: whether a person may push to this
    repository; None where that cannot be told.
    """
    if not (context.fork and context.self_hosted) or _allowed(context, git, loaded) or _asked(context, git, may_write):
        return
    raise EnvironmentFailure(
        "fork-on-self-hosted",
        "this pull request comes from a fork, and its code would run on your own machine",
        hint=f"run forks on GitHub-hosted runners; or look at all of its code and comment {COMMAND} on the pull request (the job then needs "
        "`permissions: {pull-requests: read}`); or, if this runner is thrown away after each job, set `allow-forks: true` in the base "
        "branch's mlops.yaml (and `fetch-depth: 2` at actions/checkout, so that it can be read)",
    )


def _allowed(context: Context, git: Git | None, loaded: Loaded) -> bool:
    if git is None:
        return False
    here = git.commit("HEAD")
    merge = here is not None and here.sha == context.checkout and context.checkout != context.head and len(here.parents) > 1
    base = here.parents[0] if here is not None and merge else f"refs/remotes/origin/{context.base_branch}"
    text = git.show(base, loaded.where)
    try:
        return text is not None and parse(text, where=f"{loaded.where} at {base}", path=loaded.path).config.allow_forks
    except MlopsError:
        return False


def _asked(context: Context, git: Git | None, may_write: MayWrite) -> bool:
    """Whether somebody who may write asked for this run, and of this commit where they named one or labelled it."""
    who, words = context.asked_by, (context.request or "").split()
    here = git.commit("HEAD") if git else None
    if who is None or here is None or not words:
        return False
    if context.event == "comment":
        meant = words[0] == COMMAND and len(words) <= 2 and (len(words) == 1 or _names(words[1], here.sha))
    else:
        # The label was set when this was the head. A test merge was made of it as well.
        meant = words == [LABEL] and context.head in (here.sha, *here.parents[1:])
    return meant and may_write(who) is True


def _names(word: str, commit: str) -> bool:
    return len(word) >= 7 and commit.startswith(word.casefold())
