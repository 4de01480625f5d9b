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
from mlops_toolkit.deploy.where import choose, opened, place
from mlops_toolkit.errors import UsageError
from mlops_toolkit.report.escape import plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.world import World

LAST = ("", "last", "true")


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the earlier release is live, 5 where it could not be gone back to. UsageErrors `no-reason`, `nothing-deployed`, `unknown-release`, `withdrawn`."""

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
        # one that is not final is of a target that does not know itself what runs (a repository that is watched)
        if standing.live is None and standing.final and not (standing.good or standing.releases or standing.under_way):
            hint = "deploy a release first: mlops deploy v1.2.3"
            message = f"nothing of {where.name} runs in {where.environment}, so there is nothing to go back to"
            raise UsageError("nothing-deployed", message, where=where.at("target"), hint=hint)
        history = opened(where, world, needed=False)
        if not args.dry_run:
            deploying.caught_up(where, standing, history, world, say)
        to = wanted(args.to, standing, where.environment)
        allowed(to, standing, withdrawn=args.allow_withdrawn)
        order = policy.rollback(to, where.name, where.environment, where.options, deploying.asker(world), reason)
        say(f"{where.model}: back from {called(standing.live)} to {called(to) if to else 'the last good release'} in {where.environment}")
        if args.dry_run:
            return tell.end(tell.Done(where, order, None, Story()), world, as_json=args.json, verb="rollback")
        done = carry.carry(where, order, target, standing, history, world, say)
    return tell.end(done, world, as_json=args.json, verb="rollback")


def allowed(to: Release | None, standing: Standing, *, withdrawn: bool) -> None:
    """UsageError `withdrawn`: what was taken back itself is gone back to only where that is said. Pure."""
    why = standing.withdrawn.get(to.id) if to else None
    if to is None or why is None or withdrawn or (standing.live is not None and standing.live.id == to.id):
        return
    hint = "go back to another one (`mlops status` lists them), or to it all the same: --allow-withdrawn"
    raise UsageError("withdrawn", f"{called(to)} was taken back itself: {plain(why, 300)}", where="--to", hint=hint)


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
