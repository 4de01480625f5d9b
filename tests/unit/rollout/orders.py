"""Releases, orders and the running of them on a simulated target."""

from __future__ import annotations

from typing import Any

from mlops_toolkit.rollout.execute import Executor
from mlops_toolkit.rollout.order import Limits, Order, Release, Step
from mlops_toolkit.rollout.state import State, fold
from mlops_toolkit.rollout.tell import Event, Outcome
from tests.world.fake_driver import World

STEPS = (Step(0.1, 4, 8), Step(0.5, 4, 8))


def release(n: int, **more: Any) -> Release:
    """The n-th release."""
    return Release(f"{n:012x}", f"registry.example/model@sha256:{n:064x}", f"v1.{n}.0", spec={"port": 8080, "n": n}, **more)


def order(identifier: str, n: int | None, **more: Any) -> Order:
    """An order to deploy the n-th release; None: a rollback to the last good one."""
    given = {"steps": STEPS, "watch": 6.0, "start": 20.0, "drain": 2.0, "limits": Limits(memory=512 * 2**20), **more}
    kind = given.pop("kind", "deploy" if n is not None else "rollback")
    return Order(identifier, "model", "production", kind=kind, release=release(n) if n is not None else None, **given)


def give(world: World, given: Order | None, owner: str = "one", said: list[Event] | None = None) -> Outcome:
    """Carried out by a process of its own."""
    return Executor(world.place(), owner, said.append if said is not None else lambda _: None).run(given)


def state(world: World) -> State:
    return fold(world.lines)


def whole(world: World) -> None:
    """Exactly one release has the traffic, or none where none ever was good; the journal names it; nothing else runs; nothing was lost."""
    known = state(world)
    assert known.doing is None
    assert known.unread == 0
    live = known.live
    assert world.shares == ({live: 1.0} if live else {})
    assert [key for key in world.running if world.health(key) != "stopping"] == ([live] if live else [])
    assert world.shadowed == {}
    assert world.held is None or world.held[0] == "killed"  # it runs out
    assert world.wrong_moments == []
    if live:
        assert live in known.releases
        assert known.releases[live].spec
