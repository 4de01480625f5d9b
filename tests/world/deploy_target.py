"""A target in memory that carries orders out with the real executor on a simulated host (`fake_driver`): for tests of the verbs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.deploy.targets import TARGETS, Event, Place, Standing
from mlops_toolkit.deploy.targets.heard import heard
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.codec import dumps
from mlops_toolkit.rollout.execute import Executor
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.rollout.state import fold
from mlops_toolkit.rollout.status import standing
from tests.world.fake_driver import Behaviour, Killed, World

ROW = "tests.world.deploy_target:open_target"


@dataclass
class Hosts:
    """All that is deployed, by name.

    behaves  an image -> how its instances do; away: no host answers; orders: those that were given
    left     what happens to whoever follows an order when its agent is killed (`world.kill_at`); the agent is started again by `goes_on`
    """

    worlds: dict[str, World] = field(default_factory=dict)
    behaves: Callable[[Release], Behaviour] = field(default=lambda _: Behaviour())
    away: bool = False
    left: Callable[[], None] = field(default=lambda: None)
    orders: list[Order] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def world(self, name: str) -> World:
        return self.worlds.setdefault(name, World())

    def goes_on(self, name: str) -> None:
        """The agent's container is started again, and nobody follows it."""
        world = self.world(name)
        world.kill_at = -1
        Executor(world.place(), "its agent", lambda _: None).run(None)


HOSTS = Hosts()


@dataclass
class InMemory:
    """`give` hands over what an agent would print, and reads it as the targets do."""

    place: Place
    hosts: Hosts

    def spec(self, image: str) -> Mapping[str, Any]:
        return {"port": self.place.options.port, "env": sorted(self.place.secrets)}

    def give(self, order: Order) -> Iterator[Event]:
        self._reach()
        self.hosts.orders.append(order)
        world = self.hosts.world(order.name)
        if order.release is not None:
            world.behaviours[order.release.id] = self.hosts.behaves(order.release)
        said: list[str] = []
        killed = False
        try:
            Executor(world.place(), f"order {order.id}", lambda event: said.append(dumps(event))).run(order)
        except Killed:
            killed = True
        yield from filter(None, map(heard, said))
        if killed:
            self.hosts.left()

    def status(self) -> Standing:
        self._reach()
        world = self.hosts.world(self.place.name)
        place = world.place()
        return standing(fold(place.journal.read()), place.driver.observe())

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        to.mkdir(parents=True, exist_ok=True)
        (to / "order.json").write_text(json.dumps(json.loads(dumps(order)), indent=2) + "\n")
        return [to / "order.json"]

    def close(self) -> None:
        """Nothing is open."""

    def _reach(self) -> None:
        if self.hosts.away:
            raise EnvironmentFailure("target-unreachable", "the host does not answer", hint="is it switched on?")


def open_target(place: Place) -> InMemory:
    """On the hosts of this test."""
    HOSTS.places.append(place)
    return InMemory(place, HOSTS)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Every target is in memory, and empty."""
    global HOSTS
    HOSTS = Hosts()
    for name in ("docker", "kubernetes"):
        monkeypatch.setitem(TARGETS, name, ROW)
    return HOSTS
