"""`mlops deploy`: find the release, see whether it may run, give the order, follow it, and tell what became of it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path

from mlops_toolkit.config import read
from mlops_toolkit.deploy import carry, catch_up, find, policy, rollback, status, tell
from mlops_toolkit.deploy.find import Found
from mlops_toolkit.deploy.follow import Story
from mlops_toolkit.deploy.forge import MOST_COMMITS
from mlops_toolkit.deploy.policy import Asker
from mlops_toolkit.deploy.targets import Standing, open_target
from mlops_toolkit.deploy.where import Where, choose, opened, place
from mlops_toolkit.errors import UsageError
from mlops_toolkit.history import lineage
from mlops_toolkit.history.base import History
from mlops_toolkit.report.escape import plain
from mlops_toolkit.rollout import versions
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the release is live, 5 where it was taken back or refused; everything else is raised."""
    if args.status:
        return status.run(args, world)
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
        if not args.dry_run:
            caught_up(where, standing, history, world, say)
        order = policy.same_order(order, standing.under_way)
        _allowed(found, standing, args, history, world)
        if args.dry_run:
            lines = policy.plan(order, standing.live)
            if not args.json:
                print("\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1)), file=world.out)
            return tell.end(tell.Done(where, order, None, Story([("·", line) for line in lines])), world, as_json=args.json, verb="deploy")
        done = carry.carry(where, order, target, standing, history, world, say)
    return tell.end(done, world, as_json=args.json, verb="deploy")


def caught_up(where: Where, standing: Standing, history: History | None, world: World, say: Callable[[str], None]) -> None:
    """Say, and tell others, what became of earlier orders whose job did not live to tell it."""
    caught = catch_up.catch_up(where, standing, history, world)
    for text in (*caught.said, *(reason for reason, _ in caught.troubles)):
        say(f"· of an earlier order: {text}")


def asker(world: World) -> Asker:
    """Who asks, as far as is known."""
    context = world.context
    by = context.actor or world.env.get("USER") or world.env.get("LOGNAME") or "somebody"
    return Asker(plain(by, 100), iso(world.clock.now()), context.run, context.attempt, context.url)


def _allowed(found: Found, standing: Standing, args: argparse.Namespace, history: History | None, world: World) -> None:
    """UsageErrors `withdrawn`, `older-release`: what may be meant, but is to be said."""
    release, live = found.release, standing.live
    why = standing.withdrawn.get(release.id)
    if found.entry is not None and found.entry.withdrawn and why is None:
        why = (found.run.withdrawn if found.run else None) or "its run was withdrawn"
    if why is not None and not args.allow_withdrawn and (live is None or live.id != release.id):
        hint = "release a better one, or deploy it all the same: --allow-withdrawn"
        raise UsageError("withdrawn", f"{called(release)} was taken back: {plain(why, 300)}", hint=hint)
    if live is not None and not args.allow_older and live.id != release.id and _older(release, live, history, world):
        hint = "`mlops rollback` goes back to what ran before; deploy it as a new release all the same: --allow-older"
        raise UsageError("older-release", f"{called(release)} is older than {called(live)}, which is live", hint=hint)


def _older(release: Release, live: Release, history: History | None, world: World) -> bool:
    """By their versions; by their commits where those do not say so, also where this clone is too shallow to know both."""
    if versions.older(release.version, live.version):
        return True
    if not (release.commit and live.commit and world.git) or release.commit == live.commit:
        return False
    if world.git.merge_base(release.commit, live.commit) == release.commit:
        return True
    if history is None:
        return False
    steps, _ = lineage.walk(world.git, live.commit, history.ancestry, frozenset({release.commit}), MOST_COMMITS)
    return any(step.commit == release.commit for step in steps)
