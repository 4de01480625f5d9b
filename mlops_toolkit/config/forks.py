"""Whether a fork's code may run on this machine."""

from __future__ import annotations

from mlops_toolkit.ci import Context
from mlops_toolkit.config.read import Loaded, parse
from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.system.git import Git


def refuse_fork(context: Context, git: Git | None, loaded: Loaded) -> None:
    """EnvironmentFailure `fork-on-self-hosted`, unless the *base branch's* configuration says `allow-forks: true`.

    What the fork itself says does not count, and what cannot be read allows nothing.
    """
    if not (context.fork and context.self_hosted) or _allowed(context, git, loaded):
        return
    raise EnvironmentFailure(
        "fork-on-self-hosted",
        "this pull request comes from a fork, and its code would run on your own machine",
        hint="run forks on GitHub-hosted runners; or, if this runner is thrown away after each job, set `allow-forks: true` in the base "
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
