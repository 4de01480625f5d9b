"""What became of orders whose job did not live to tell it: found by asking the target, told by whoever looks next.

The target decides without us, so a release may be live or taken back while GitHub still shows it on its way and the history knows nothing. Whoever
deploys, goes back or says `mlops status --tell` sees what the target knows, and tells the forge and the history the difference. Telling it
twice changes nothing, and what is under way is left to whoever follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mlops_toolkit.deploy import forge, recorded
from mlops_toolkit.deploy.find import entry_of
from mlops_toolkit.deploy.follow import Story
from mlops_toolkit.deploy.recorded import Change, Trouble
from mlops_toolkit.deploy.targets import Outcome, Standing
from mlops_toolkit.deploy.tell import Done, sentence
from mlops_toolkit.deploy.where import Where
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import Reached
from mlops_toolkit.history.base import History
from mlops_toolkit.records.run import Run
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World

OVER = ("success", "failure", "error", "inactive")


@dataclass(frozen=True)
class Caught:
    """said: what was told now, as sentences; troubles: what could not be told."""

    said: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def catch_up(where: Where, standing: Standing, history: History | None, world: World) -> Caught:
    """Tell the forge and the history what they do not know yet of this environment. Nothing is raised: it is somebody else's order."""
    said: list[str] = []
    troubles: list[Trouble] = []
    told = world.forge.deployments(where.environment, where.name) if world.context.ci else ()
    if told is None:
        hint = "permissions:\n  deployments: write   # what runs where, on the repository's page"
        troubles.append((f"GitHub's own records of {where.environment} cannot be read, so what became of them is not told there", hint))
    for order, outcome in owed(standing, told or ()):
        done = Done(where, _order(where, order, outcome, standing), outcome, Story())
        release = outcome.live if outcome.result in ("deployed", "same") else done.order.release
        state: Reached = "success" if outcome.result in ("deployed", "same") else "failure"
        found = list(forge.deployment(where, done.order, release, state, sentence(done), world))
        troubles += found
        said += [] if found or release is None else [f"the deployment of {called(release)}: {sentence(done)}"]
    now = iso(world.clock.now())
    for change in _changes(where, standing, history):
        at = standing.since or now if change.live else now
        found = list(recorded.record((change,), history, where.environment, where.name, at))
        found += forge.comments(where, (change,), _before(change, standing), history, at, world)
        troubles += found
        said += [] if found else [f"the history: {called(change.release)} {recorded.what(change)}"]
    return Caught(tuple(said), tuple(dict.fromkeys(troubles)))


def owed(standing: Standing, told: Sequence[tuple[str, str]]) -> tuple[tuple[str, Outcome], ...]:
    """The orders whose end the forge's records do not show, the earliest first. told: (order, latest state), the newest first. Pure.

    An order that has no record was given where there is no forge, as on a laptop: it is told where another record says wrongly that it is
    live. A name that has no record at all gets its first by its next deployment.
    """
    states = dict(reversed(told))
    late = [order for order in standing.ended if order in states and states[order] not in OVER]
    last = next((order for order, outcome in reversed(list(standing.ended.items())) if outcome.result == "deployed"), None)
    if last is not None and last not in states and standing.under_way is None and "success" in states.values():
        late.append(last)
    return tuple((order, outcome) for order, outcome in standing.ended.items() if order in late)


def unrecorded(standing: Standing, run: Callable[[Release], Run | None], environment: str, name: str) -> Iterator[Change]:
    """What the history does not say of the releases that the target knows: which is live, which was replaced or taken back. Pure but for `run`.

    A run of which another release is live, there or elsewhere, is not withdrawn: whoever deployed it again knew better.
    """
    live = standing.live
    for release in standing.releases.values():
        found = run(release)
        if found is None:
            continue
        here = [one for one in found.deployed if (one.environment, one.name) == (environment, name) and one.until is None]
        elsewhere = any(one.until is None for one in found.deployed if one not in here)
        if live is not None and release.run == live.run:
            settled = standing.under_way is None and standing.final
            if settled and release.id == live.id and all(one.digest != release.image.rpartition("@")[2] for one in here):
                yield Change(release, True)
        elif release.id in standing.withdrawn and found.withdrawn is None and not elsewhere:
            yield Change(release, False, standing.withdrawn[release.id] or "rolled back")
        elif here and standing.under_way is None:
            yield Change(release, False)


def _order(where: Where, order: str, outcome: Outcome, standing: Standing) -> Order:
    """As much of an order as its end is told with."""
    kind, _, _ = order.partition("-")
    release = standing.releases.get(order.rpartition("-")[2])
    made = Order(order, where.name, where.environment, "rollback" if kind == "rollback" else "deploy", release)
    return made if release or made.kind == "rollback" else replace(made, release=outcome.live)


def _changes(where: Where, standing: Standing, history: History | None) -> list[Change]:
    def run(release: Release) -> Run | None:
        entry = entry_of(release, history)
        return history.run(entry.id) if entry is not None and history is not None else None

    try:
        return list(unrecorded(standing, run, where.environment, where.name))
    except (MlopsError, OSError):
        return []


def _before(change: Change, standing: Standing) -> Release | None:
    """What a release came after, for the pull requests that it contains."""
    return next(iter(standing.good), None) if change.live else standing.live
