"""The proxy before the instances on a Docker host: which slot of it gives how much of the traffic to whom, and what every kind of proxy can do.

A slot is a fixed address in our network. An instance lives in one, so a proxy's configuration never has to learn an address, and what comes
back after a restart of the host is found where it was. A proxy is one file beside this one and a row in `PROXIES`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_toolkit.rollout.engine_api import Engine

SLOTS = 32  # instances of one name at most, of all its releases together
FIRST = 16  # the last part of slot 0's address: below are the gateway, the proxy and what else we run
OWN = 2 - FIRST  # the slot that would have the proxy's own address
MOST_WEIGHT = 256
PORT = 8080  # that instances listen on, and the proxy in its container
MARK = "# mlops: "


@dataclass(frozen=True)
class Route:
    """A slot's release, and its weight among all slots; 0: it gets nothing new."""

    slot: int
    release: str
    weight: int


@dataclass(frozen=True)
class Seen:
    """A slot as the proxy counts it. broken: requests that it began, and that nobody answered whole; in_flight: that wait, None: unknown."""

    weight: int
    in_flight: int | None = None
    broken: int = 0


class Proxy(Protocol):
    """A running proxy of one name: its files lie in `folder`, which its container sees as /proxy; `container` is its name."""

    def routes(self) -> Sequence[Route]:
        """What its configuration says, which is what it does after a restart. [] where there is none yet."""
        ...

    def seen(self) -> Mapping[int, Seen] | None:
        """What it does now, by slot; None where it does not run."""
        ...

    def put(self, routes: Sequence[Route]) -> None:
        """Do this from now on, and after a restart; no connection is cut. EnvironmentFailure `proxy-refuses`."""
        ...

    def create(self) -> Mapping[str, Any]:
        """`Cmd`, `Entrypoint` and `Tmpfs` of its container, as the engine's interface has them."""
        ...


class Maker(Protocol):
    """Makes a kind of proxy. addresses: of each slot."""

    image: str

    def __call__(self, engine: Engine, container: str, folder: Path, addresses: Sequence[str]) -> Proxy: ...


# `deploy.ENVIRONMENT.proxy` -> module of its class `Managed`
PROXIES = {"haproxy": "mlops_toolkit.rollout.haproxy", "nginx": "mlops_toolkit.rollout.nginx"}


def weights(shares: Mapping[str, float], replicas: Mapping[str, int], newest: str | None) -> dict[str, int]:
    """A weight for each instance of each release, so that together they get these shares; the newest gets never more than its share.

    Two releases: the best of all pairs of weights, exact for shares like 1 %, 5 %, a third. A share of 0 is the weight 0.
    """
    given = {name: share for name, share in shares.items() if share > 0 and replicas.get(name)}
    found = dict.fromkeys(shares, 0)
    if len(given) == 2 and newest in given:
        other = next(name for name in given if name != newest)
        part = given[newest] / sum(given.values())
        found[newest], found[other] = _pair(part, replicas[newest], replicas[other])
        return found
    largest = max((share / replicas[name] for name, share in given.items()), default=1.0)
    for name, share in given.items():
        found[name] = max(1, int(MOST_WEIGHT * share / replicas[name] / largest + 1e-9))
    return found


def _pair(part: float, new: int, old: int) -> tuple[int, int]:
    """Weights of one of `new` and of one of `old` instances; the part of the first is at most `part` (0 to 1, neither)."""
    best = (0.0, 0, MOST_WEIGHT)
    for below in range(1, MOST_WEIGHT + 1):
        above = min(MOST_WEIGHT, int(part * below * old / ((1 - part) * new) + 1e-9))
        got = above * new / (above * new + below * old)
        if got > best[0] + 1e-12:
            best = (got, above, below)
    return best[1], best[2]


def parts(routes: Sequence[Route], now: Mapping[int, Seen] | None) -> dict[str, float]:
    """Of each release that has some: its part of the traffic, by the weights that the proxy has now."""
    found: dict[str, float] = {}
    for route in routes:
        weight = now[route.slot].weight if now is not None and route.slot in now else 0
        if weight:
            found[route.release] = found.get(route.release, 0.0) + weight
    total = sum(found.values())
    return {name: weight / total for name, weight in found.items()}


def marked(routes: Sequence[Route]) -> str:
    """The routes, for the head of a configuration."""
    return MARK + json.dumps([[one.slot, one.release, one.weight] for one in sorted(routes, key=lambda one: one.slot)])


def read_marked(text: str) -> list[Route]:
    """What `marked` wrote; [] where it did not."""
    first = text.partition("\n")[0]
    if not first.startswith(MARK):
        return []
    try:
        said = [Route(int(slot), str(release), int(weight)) for slot, release, weight in json.loads(first[len(MARK) :])]
    except (ValueError, TypeError):
        return []
    return [one for one in said if 0 <= one.slot < SLOTS]
