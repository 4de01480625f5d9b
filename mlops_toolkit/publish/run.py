"""`mlops publish`: find the run of a commit, see whether it may be published, and bring its model to where it is pulled from."""

from __future__ import annotations

import argparse
import contextlib

from mlops_toolkit.config import read
from mlops_toolkit.publish import perform, policy, search, target, tell
from mlops_toolkit.publish.send import Registries
from mlops_toolkit.report.escape import plain
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the model is published, or was before; everything else is raised."""

    def say(text: str) -> None:
        print(plain(text, 600), file=world.err, flush=True)

    configurations = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    override = perform.override(args, world)
    first = configurations[0]
    wanted = target.find(args.ref, world.git, world.context, world.history(first.folder / perform.STATE, first.config.history.at))
    found = search.find(wanted, configurations, args.run, args.model, world, say)
    config = found.loaded.config
    allowed = policy.Allowed(config.publish.ungated == "allow", config.self_reported == "allow")
    ruling = policy.rule(found.judged, allowed, override)
    with contextlib.closing(Registries(world.registry)) as registries:
        plan = perform.plan(wanted, found, ruling, registries, world)
        tell.found(plan, world)
        done = None if args.dry_run else perform.perform(plan, registries, world, say)
    for note in found.history.notes:
        say(f"mlops publish: {note}")
    tell.done(plan, done, world, as_json=args.json)
    return 0
