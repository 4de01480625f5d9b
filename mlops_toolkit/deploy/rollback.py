"""`mlops rollback`: back to an earlier release by what the target itself keeps of it: no history, registry or CI is needed."""

from __future__ import annotations

import argparse
import contextlib

from mlops_toolkit.config import read
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.deploy import carry, policy, tell
from mlops_toolkit.deploy import run as deploying
from mlops_toolkit.deploy.follow import Story
from mlops_toolkit.deploy.targets import Standing, open_target
from mlops_toolkit.deploy.where import choose, place
from mlops_toolkit.errors import UsageError
from mlops_toolkit.report.escape import plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.world import World

LAST = ("", "last", "true")


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the earlier release is live, 5 where it could not be gone back to. UsageErrors `no-reason`, `unknown-release`."""

    def say(text: str) -> None:
        print(plain(text, 600), file=world.err, flush=True)

    reason = plain(args.reason, 300)
    if not reason:
        hint = 'say why: --reason "answers are wrong for German"; it is recorded with the release that is taken back'
        raise UsageError("no-reason", "nobody says why it is taken back", hint=hint)
    configurations = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    where = choose(configurations, args.environment, args.model, leg=world.context.matrix)
    with contextlib.closing(open_target(place(where, world, say, needed=False))) as target:
        standing = target.status()
        to = wanted(args.to, standing, where.environment)
        order = policy.rollback(to, where.name, where.environment, where.options, deploying.asker(world), reason)
        say(f"{where.model}: back from {called(standing.live)} to {called(to) if to else 'the last good release'} in {where.environment}")
        if args.dry_run:
            return tell.end(tell.Done(where, order, None, Story()), world, as_json=args.json, verb="rollback")
        history = deploying.opened(where, world, needed=False)
        done = carry.carry(where, order, target, standing, history, world, say)
    return tell.end(done, world, as_json=args.json, verb="rollback")


def wanted(text: str, standing: Standing, environment: str) -> Release | None:
    """The release that is meant: by its version, id, or digest; None for the last good one. UsageError `unknown-release`. Pure."""
    asked = text.strip()
    if asked in LAST:
        return None
    known = [*standing.good, *(one for one in standing.releases.values() if one not in standing.good)]
    digest = asked.rpartition("@")[2].removeprefix("sha256:")
    for one in known:
        if asked in (one.version, one.id) or (len(digest) >= 7 and one.image.rpartition(":")[2].startswith(digest)):
            return one
    names = ", ".join(called(one) for one in standing.good if standing.live is None or one.id != standing.live.id) or "none"
    raise UsageError("unknown-release", f"{environment} knows no release {shown(asked)}", where="--to", hint=f"it can go back to: {names}")
