"""`mlops verify`: look at an image in its registry, decide, say it. It needs the registry alone: no repository, no CI, no Docker."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil

from mlops_toolkit.errors import COMMAND
from mlops_toolkit.layered import Reader
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.supply import decide
from mlops_toolkit.supply.gather import gather
from mlops_toolkit.supply.keys import checking_key
from mlops_toolkit.verify import show
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where nothing is wrong, 5 where something is: each with a name. UsageError `no-such-image`, `bad-reference`, `bad-key`."""
    asked = decide.required(args.require)
    key = checking_key(args.key, world.env, world.cwd) if args.key else None
    reference = Reference.parse(args.image, where="IMAGE")
    with contextlib.closing(world.registry(reference)) as registry:
        facts = gather(registry, reference, key=key, deep=args.deep, reader=Reader)
    rows = decide.decide(facts, asked)
    if args.json:
        print(json.dumps(show.document(facts, rows), ensure_ascii=True, allow_nan=False), file=world.out)
    else:
        width = shutil.get_terminal_size().columns if world.out.isatty() else 100
        print("\n".join(show.lines(facts, rows, width=max(60, min(width, 120)))), file=world.out)
    return COMMAND if decide.refused(rows) else 0
