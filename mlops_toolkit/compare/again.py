"""`mlops report`: the last result written again, as comment, page and charts."""

from __future__ import annotations

import argparse

from mlops_toolkit.compare.perform import rewrite
from mlops_toolkit.config import read
from mlops_toolkit.errors import UsageError
from mlops_toolkit.records import result as record
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0; UsageError `no-result` where nothing was compared yet."""
    try:
        folders = [path.parent for path in read.discover(args.config, cwd=world.cwd, root=world.root)]
    except UsageError:
        folders = [world.cwd]
    for folder in folders:
        path = folder / ".mlops" / "report.json"
        if not path.is_file():
            raise UsageError("no-result", "there is no result yet", where=str(path), hint="`mlops compare` makes one")
        rewrite(record.loads(path.read_bytes(), where=str(path)), folder / ".mlops", args, world)
    return 0
