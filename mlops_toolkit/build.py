"""The World of this process, made once from the command line, the environment and the CI's event."""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit import ci
from mlops_toolkit.ci import Context
from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.forge.base import Forge, connect
from mlops_toolkit.history.base import History
from mlops_toolkit.models.base import Store
from mlops_toolkit.system import git as git_module
from mlops_toolkit.system.clock import SystemClock
from mlops_toolkit.world import World

if TYPE_CHECKING:
    from mlops_toolkit.oci.auth import Login
    from mlops_toolkit.oci.reference import Reference
    from mlops_toolkit.oci.registry import Registry

# The action whose inputs a verb reads; a laptop gives flags instead.
ACTIONS = {
    "train": "train",
    "evaluate": "evaluate",
    "compare": "compare-to-main",
    "review": "review",
    "plan": "plan",
    "report": "report",
    "publish": "publish-image",
    "deploy": "deploy",
    "monitor": "monitor",
}


def world(args: argparse.Namespace) -> World:
    """Everything outside of pure functions. Action inputs become arguments; the token leaves the environment for good."""
    wrong: MlopsError | None = None
    text = os.environ.get("MLOPS_INPUTS", "")
    try:
        token = take_inputs(args, os.environ)
    except MlopsError as error:
        from mlops_toolkit.config import inputs

        token, wrong = inputs.token(text), error
    env = dict(os.environ)
    cwd, apart = Path.cwd(), None
    context = replace(ci.detect(env, _event(env)), matrix=_matrix(getattr(args, "matrix", "")))
    judging = args.verb in ("plan", "compare") and context.event == "workflow_run"
    # Where another job's run is judged nothing is checked out, and what lies in the workspace may be anybody's: no git runs there.
    told = context.event == "workflow_run" and args.verb == "report"
    repository = None if judging or told else _repository(cwd, env, str(getattr(args, "config", "")))
    root = repository.root if repository else cwd

    opened: dict[str, History] = {}

    def history(state: Path, at: str) -> History:
        from mlops_toolkit.history.branch import open_history

        # A plan or a comparison of many models takes a moment; between two trainings hours may pass, and others record their runs.
        beside = opened.get(at) if args.verb in ("plan", "compare") else None
        made = open_history(state=state, at=at, git=repository, context=context, token=lambda: token, clock=SystemClock(), beside=beside)
        opened.setdefault(at, made)
        return made

    def models(word: str) -> Store:
        from mlops_toolkit.models.open import open_models

        remote_url = repository.remote_url() if repository else None
        return open_models(word, env=env, context=context, root=root, remote_url=remote_url, token=token)

    forge = connect(context=context, env=env, token=token, clock=SystemClock(), err=sys.stderr)
    context = completed(context, repository, forge)
    if judging:
        from mlops_toolkit.compare import trusted

        seat = trusted.seat(args, context, env, cwd, lambda: token)
        apart, cwd, root, repository, context = cwd, seat.root, seat.root, seat.git, seat.context
        wrong = wrong or seat.wrong
    return World(
        cwd=cwd,
        root=root,
        env=env,
        clock=SystemClock(),
        git=repository,
        context=context,
        forge=forge,
        history=history,
        models=models,
        out=sys.stdout,
        err=sys.stderr,
        wrong=wrong,
        apart=apart,
        registry=partial(_registry, env, token, context.actor),
        login=partial(_login, env, token, context.actor),
    )


def _registry(env: Mapping[str, str], token: str | None, actor: str | None, reference: Reference) -> Registry:
    """The repository of an image, as whoever `docker login` (or the CI) says we are."""
    from mlops_toolkit.oci.registry import Registry

    return Registry(reference.host, reference.repository, _login(env, token, actor, reference.host))


def _login(env: Mapping[str, str], token: str | None, actor: str | None, host: str) -> Login | None:
    from mlops_toolkit.oci.auth import login

    return login(host, env, token, actor)


def _repository(cwd: Path, env: Mapping[str, str], config: str) -> git_module.Git | None:
    """The repository that we stand in; of a workspace that holds it in a folder (`path:` at checkout), the one of the configuration."""
    found = git_module.find(cwd, env)
    if found is None and config.isprintable():
        first = min(glob.glob(config, root_dir=cwd, recursive=True), default="")  # noqa: PTH207 (Path.glob takes no absolute pattern)
        found = git_module.find((cwd / first).parent, env) if first else None
    return found


def take_inputs(args: argparse.Namespace, env: MutableMapping[str, str]) -> str | None:
    """Read the action's inputs (MLOPS_INPUTS) into `args`, remove them and our token from `env`, and return the token.

    A variable of the job that holds the same token goes too: the user's commands must not find it under another name.
    """
    text = env.pop("MLOPS_INPUTS", "")
    token = env.pop("MLOPS_TOKEN", "") or None
    if text and args.verb in ACTIONS:
        from mlops_toolkit.config import inputs

        given = inputs.read(text, ACTIONS[args.verb])
        token = given.token or token
        args.config = given.config
        for name in ("run", "metrics", "base", "ref", "model", "override", "environment", "image", "rollback", "reason", "dispatch"):
            if hasattr(args, name) and getattr(given, name):
                setattr(args, name, getattr(given, name))
        if hasattr(args, "again"):
            args.again = args.again or given.again == "true"
        if hasattr(args, "allow_older"):
            args.allow_older = args.allow_older or given.older == "true"
            args.to = given.rollback
            args.status = given.status == "true"
        if args.verb == "monitor":
            args.action, args.ask = "issue", given.prometheus
        args.comment = given.comment != "false"
        args.matrix = given.matrix or getattr(args, "matrix", "")
        args.close = getattr(args, "close", False) or given.close == "true"
    if not env.get("GITHUB_ACTIONS"):
        return token or env.get("GITHUB_TOKEN") or None  # a laptop's variables are its owner's: left where they are
    token = token or env.get("GITHUB_TOKEN") or None
    for name in [name for name, value in env.items() if token and value == token]:
        del env[name]
    return token


def completed(context: Context, git: git_module.Git | None, forge: Forge) -> Context:
    """What the event does not say and the forge knows: which pull request a comment or another run is about.

    A comment's head is the commit that the workflow checked out; the pull request may have moved on meanwhile.
    """
    if context.event == "comment" and context.pull_request is not None:
        here = git.commit("HEAD") if git else None
        pull = forge.pull_request(context.pull_request)
        known = {"base_branch": pull.base_branch, "branch": pull.head_branch, "fork": pull.fork} if pull else {}
        return replace(context, head=here.sha if here else None, checkout=here.sha if here else None, **known)  # type: ignore[arg-type]
    if context.event == "workflow_run" and context.head and context.source and context.source.event == "pull_request":
        owner = context.source.owner
        pull = forge.find_pull_request(context.head, branch=context.branch, owner=owner)
        if pull is not None:
            return replace(context, pull_request=pull.number, base_branch=pull.base_branch, fork=context.fork or pull.fork)
        return replace(context, pull_request=None)
    return context


def _matrix(text: str) -> str | None:
    """The leg of a matrix, as one printable line of at most 100 characters; UsageError `invalid-name` otherwise."""
    leg = text.strip()
    if leg and (len(leg) > 100 or not leg.isprintable() or "|" in leg):
        raise UsageError(
            "invalid-name",
            f"{leg[:100]!r} cannot name a leg of a matrix",
            where="matrix",
            hint="one line of at most 100 characters without |",
        )
    return leg or None


def _event(env: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The webhook payload of a CI that gives one; unreadable is like absent, the environment's variables still tell the most."""
    path = env.get("GITHUB_EVENT_PATH")
    if not path:
        return None
    try:
        payload = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return payload if isinstance(payload, dict) else None
