"""Giving an order and telling everybody who is to know: the forge that it is on its way and how it ended, the history what runs where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlops_toolkit.deploy import forge, recorded
from mlops_toolkit.deploy.follow import Story, follow
from mlops_toolkit.deploy.targets import Outcome, Standing, Target
from mlops_toolkit.deploy.tell import Done, sentence
from mlops_toolkit.deploy.where import Where
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import Reached
from mlops_toolkit.history.base import History
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World


def carry(
    where: Where, order: Order, target: Target, before: Standing, history: History | None, world: World, say: Callable[[str], None]
) -> Done:
    """The order carried out. Only what the target says decides: what could not be told or recorded is said beside it."""
    story, wanted = Story(), order.release or next(iter(before.good), None)
    troubles = list(forge.deployment(where, order, wanted, "in_progress", f"given by {order.by}", world))
    outcome = follow(target.give(order), world.clock, say, story, lasts=where.options.runs == "there")
    now = iso(world.clock.now())
    made = recorded.changes(order.kind, outcome, order.release, blamed=_blamed(order.release, outcome, target), reason=order.reason)
    troubles += recorded.record(made, history, where.environment, where.name, now)
    done = Done(where, order, outcome, story)
    # A pull request that others have yet to merge is no end: what it is waited for stays on its way.
    if outcome.result != "proposed":
        state: Reached = "success" if outcome.result in ("deployed", "same") else "failure"
        release = outcome.live if order.kind == "rollback" and outcome.live else wanted
        troubles += forge.deployment(where, order, release, state, sentence(done), world)
    troubles += forge.comments(where, made, outcome.before, history, now, world)
    return replace(done, troubles=tuple(dict.fromkeys(troubles)))


def _blamed(release: Release | None, outcome: Outcome, target: Target) -> bool:
    """Whether the target took the release back for what it is: not where its registry or engine failed."""
    if outcome.result != "rolled-back" or release is None:
        return False
    try:
        return release.id in target.status().withdrawn
    except MlopsError:
        return False
