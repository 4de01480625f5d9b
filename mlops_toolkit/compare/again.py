"""`mlops report`: the last result written again, as comment, page and charts; or, with `--close`, what was left pending closed."""

from __future__ import annotations

import argparse

from mlops_toolkit.ci import Context
from mlops_toolkit.compare.perform import rewrite
from mlops_toolkit.config import read
from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.forge.base import Check, check_name
from mlops_toolkit.records import result as record
from mlops_toolkit.world import World

LOST = "no verdict: the job was cancelled or lost before it had one"


def run(args: argparse.Namespace, world: World) -> int:
    """0; UsageError `no-result` where nothing was compared yet."""
    if getattr(args, "close", False):
        return _close(args, world)
    try:
        folders = [path.parent for path in read.discover(args.config, cwd=world.cwd, root=world.root)]
    except UsageError:
        folders = [world.cwd]
    for folder in folders:
        path = folder / ".mlops" / "report.json"
        if not path.is_file():
            raise UsageError("no-result", "there is no result yet", where=str(path), hint="`mlops compare` makes one")
        rewrite(record.loads(path.read_bytes(), where=str(path)), folder / ".mlops", args, world)
    world.forge.output({"report": "\n".join(str(folder / ".mlops" / "report.json") for folder in folders), "exit": "0"})
    return 0


def _close(args: argparse.Namespace, world: World) -> int:
    """End the checks that this CI run left pending; always 0: what a lost job left behind is no news about the model.

    Of the models that are configured here and of this leg of a matrix, for other jobs may still be at work on the others; in a job
    without a checkout, which comes last, of all.
    """
    head = world.context.head
    if not (world.context.ci and head):
        raise UsageError("nothing-to-close", "only a CI run leaves checks pending", hint="leave --close out to write the last result again")
    found = world.forge.checks(head)
    if found is None:
        print("mlops report: the checks of this commit cannot be read; one that is left pending stays so", file=world.err)
    for check in stuck(found or (), world.context, _models(args, world)):
        posted = world.forge.status(head, check.name, "error", LOST, world.context.url)
        print(f"mlops report: {posted.reason or f'{check.name}: {LOST}'}", file=world.err)
    world.forge.output({"report": "", "exit": "0"})
    return 0


def _models(args: argparse.Namespace, world: World) -> tuple[str, ...] | None:
    """The models configured here; None where nothing can be read, or may be: where another run is judged, what lies here is anybody's."""
    if world.context.source is not None:
        return None
    try:
        return tuple(one.config.name for one in read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root))
    except MlopsError:
        return None


def stuck(checks: tuple[Check, ...], context: Context, models: tuple[str, ...] | None = None) -> tuple[Check, ...]:
    """The checks of these models (None: of all) that this CI run set to pending: another run's are its own to end. Pure.

    Without a leg of a matrix in the context, those of all legs.
    """
    runs = {f"{context.server_url}/{context.repository}/actions/runs/{run}" for run in (context.run, context.judged_run) if run}

    def page(check: Check) -> str:
        return (check.url or "").partition("/attempts/")[0]

    def mine(check: Check) -> bool:
        if models is None:
            return True
        if context.matrix:
            return check.name in {check_name(model, context.matrix) for model in models}
        return check.name.partition(" (")[0] in models  # a model's name holds no space

    return tuple(check for check in checks if check.state == "pending" and page(check) in runs and mine(check))
