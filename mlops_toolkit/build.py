"""The World of this process, made once from the command line, the environment and the CI's event."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mlops_toolkit import ci
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import connect
from mlops_toolkit.history.base import History
from mlops_toolkit.models.base import Store
from mlops_toolkit.system import git as git_module
from mlops_toolkit.system.clock import SystemClock
from mlops_toolkit.world import World

# The action whose inputs a verb reads; a laptop gives flags instead.
ACTIONS = {"train": "train", "evaluate": "evaluate", "compare": "compare-to-main", "review": "review"}


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
    cwd = Path.cwd()
    context = ci.detect(env, _event(env))
    repository = git_module.find(cwd, env)
    root = repository.root if repository else cwd

    def history(state: Path, at: str) -> History:
        from mlops_toolkit.history.branch import open_history

        return open_history(state=state, at=at, git=repository, context=context, token=lambda: token, clock=SystemClock())

    def models(word: str) -> Store:
        from mlops_toolkit.models.open import open_models

        remote_url = repository.remote_url() if repository else None
        return open_models(word, env=env, context=context, root=root, remote_url=remote_url, token=token)

    return World(
        cwd=cwd,
        root=root,
        env=env,
        clock=SystemClock(),
        git=repository,
        context=context,
        forge=connect(context=context, env=env, token=token, clock=SystemClock(), err=sys.stderr),
        history=history,
        models=models,
        out=sys.stdout,
        err=sys.stderr,
        wrong=wrong,
    )


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
        for name in ("run", "metrics", "base"):
            if hasattr(args, name) and getattr(given, name):
                setattr(args, name, getattr(given, name))
        if hasattr(args, "again"):
            args.again = args.again or given.again == "true"
        args.comment = given.comment != "false"
    if not env.get("GITHUB_ACTIONS"):
        return token or env.get("GITHUB_TOKEN") or None  # a laptop's variables are its owner's: left where they are
    token = token or env.get("GITHUB_TOKEN") or None
    for name in [name for name, value in env.items() if token and value == token]:
        del env[name]
    return token


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
