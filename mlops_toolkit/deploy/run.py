"""`mlops deploy`: find the release, see whether it may run, give the order, follow it, and tell what became of it."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from mlops_toolkit.config import read
from mlops_toolkit.deploy import carry, find, policy, rollback, tell
from mlops_toolkit.deploy.find import Found
from mlops_toolkit.deploy.follow import Story
from mlops_toolkit.deploy.policy import Asker
from mlops_toolkit.deploy.targets import Standing, open_target
from mlops_toolkit.deploy.where import STATE, Where, choose, place
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history.base import History
from mlops_toolkit.report.escape import plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the release is live, 5 where it was taken back or refused; everything else is raised."""
    if args.rollback:
        return rollback.run(args, world)

    def say(text: str) -> None:
        print(plain(text, 600), file=world.err, flush=True)

    configurations = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    tag = args.ref or world.context.tag or ""
    where = choose(configurations, args.environment, args.model, tag, world.context.matrix)
    history = opened(where, world, needed=not args.image)
    with contextlib.closing(open_target(place(where, world, say))) as target:
        found = find.find(where, args.ref, args.image, history, target.spec, world, say)
        order = policy.deployment(found.release, where.name, where.environment, where.options, asker(world), older=args.allow_older)
        say(f"{where.model}: {called(found.release)} for {where.environment}: {found.note}")
        if args.render:
            for path in target.render(order, Path(world.cwd / args.render)):
                print(path, file=world.out)
            return 0
        standing = target.status()
        order = policy.same_order(order, standing.under_way)
        _allowed(found, standing, args, world)
        if args.dry_run:
            lines = policy.plan(order, standing.live)
            if not args.json:
                print("\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1)), file=world.out)
            return tell.end(tell.Done(where, order, None, Story([("·", line) for line in lines])), world, as_json=args.json, verb="deploy")
        done = carry.carry(where, order, target, standing, history, world, say)
    return tell.end(done, world, as_json=args.json, verb="deploy")


def opened(where: Where, world: World, *, needed: bool) -> History | None:
    """The model's history. Where it is only needed to say what became of it, one that cannot be had is None."""
    try:
        history = world.history(where.loaded.folder / STATE, where.loaded.config.history.at)
        history.entries()
    except (EnvironmentFailure, UsageError):
        if needed:
            raise
        return None
    return history


def asker(world: World) -> Asker:
    """Who asks, as far as is known."""
    context = world.context
    by = context.actor or world.env.get("USER") or world.env.get("LOGNAME") or "somebody"
    return Asker(plain(by, 100), iso(world.clock.now()), context.run, context.attempt, context.url)


def _allowed(found: Found, standing: Standing, args: argparse.Namespace, world: World) -> None:
    """UsageErrors `withdrawn`, `older-release`: what may be meant, but is to be said."""
    release, live = found.release, standing.live
    why = standing.withdrawn.get(release.id)
    if found.entry is not None and found.entry.withdrawn and why is None:
        why = (found.run.withdrawn if found.run else None) or "its run was withdrawn"
    if why is not None and not args.allow_withdrawn and (live is None or live.id != release.id):
        hint = "release a better one, or deploy it all the same: --allow-withdrawn"
        raise UsageError("withdrawn", f"{called(release)} was taken back: {plain(why, 300)}", hint=hint)
    if live is None or args.allow_older or live.id == release.id or not (release.commit and live.commit and world.git):
        return
    if world.git.merge_base(release.commit, live.commit) == release.commit and release.commit != live.commit:
        hint = "`mlops rollback` goes back to what ran before; deploy it as a new release all the same: --allow-older"
        raise UsageError("older-release", f"{called(release)} is older than {called(live)}, which is live", hint=hint)
