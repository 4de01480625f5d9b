"""`mlops report`: the last result written again, as comment, page and charts; or, with `--close`, what was left pending closed."""

from __future__ import annotations

import argparse

from mlops_toolkit.ci import Context
from mlops_toolkit.compare.perform import rewrite
from mlops_toolkit.config import read
from mlops_toolkit.errors import UsageError
from mlops_toolkit.forge.base import Check
from mlops_toolkit.records import result as record
from mlops_toolkit.world import World

LOST = "no verdict: the job was cancelled or lost before it had one"


def run(args: argparse.Namespace, world: World) -> int:
    """0; UsageError `no-result` where nothing was compared yet."""
    if getattr(args, "close", False):
        return _close(world)
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


def _close(world: World) -> int:
    """End every check that this CI run left pending; always 0: what a lost job left behind is no news about the model."""
    head = world.context.head
    if not (world.context.ci and head):
        raise UsageError("nothing-to-close", "only a CI run leaves checks pending", hint="leave --close out to write the last result again")
    found = world.forge.checks(head)
    if found is None:
        print("mlops report: the checks of this commit cannot be read; one that is left pending stays so", file=world.err)
    for check in stuck(found or (), world.context):
        posted = world.forge.status(head, check.name, "error", LOST, world.context.url)
        print(f"mlops report: {posted.reason or f'{check.name}: {LOST}'}", file=world.err)
    world.forge.output({"report": "", "exit": "0"})
    return 0


def stuck(checks: tuple[Check, ...], context: Context) -> tuple[Check, ...]:
    """The checks that this CI run set to pending and that no job of it will set again: another run's are its own to end. Pure."""
    runs = {f"{context.server_url}/{context.repository}/actions/runs/{run}" for run in (context.run, context.judged_run) if run}

    def page(check: Check) -> str:
        return (check.url or "").partition("/attempts/")[0]

    return tuple(check for check in checks if check.state == "pending" and page(check) in runs)
