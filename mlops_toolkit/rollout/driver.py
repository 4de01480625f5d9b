"""What a rollout asks of the place where models run. A driver is one file beside this one; contract tests run over all of them.

Every call may be repeated, after a kill at any instant: it looks at what is there and does what is missing. Failing calls raise
EnvironmentFailure (the engine, the cluster, the registry does not answer: tried again until the order's time is over) or ReleaseFailure
(this release will never work here: its words are shown to people).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mlops_toolkit.rollout.order import Release

Health = Literal["absent", "starting", "ready", "stopping", "failed"]


class ReleaseFailure(Exception):
    """A release cannot run here. name: of the cause (`image-gone`, `does-not-start`, `wrong-answers`, `out-of-memory`, …); hint: the way out."""

    def __init__(self, name: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.name, self.message, self.hint = name, message, hint


@dataclass(frozen=True)
class Instance:
    """The instances of one release together.

    why: in words, where it is not ready, or was not before it began anew; cause: the same as a name (`image-gone`, `quota`, …), "" unknown; blamed: whether it is the release's own
    doing, and not that of a registry, a quota or a full machine; in_flight: requests that wait for an answer, None: unknown.
    """

    release: str
    health: Health
    wanted: int = 1
    ready: int = 0
    restarts: int = 0
    why: str = ""
    in_flight: int | None = None
    cause: str = ""
    blamed: bool = True


@dataclass(frozen=True)
class Observed:
    """What is there. shares: release id -> its part of the traffic, 0 to 1, as the proxy or service has it now; instances by release id."""

    instances: Mapping[str, Instance] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """What a release has counted since its instances began; two of them make a window. All counters grow, but for a restart.

    at          seconds, of one monotonic clock
    requests    that were for the model; failed: answered with 5xx, or never, as the client saw it
    latency     upper bounds in seconds -> requests at or below it (cumulative, as Prometheus has it)
    answers     output -> label or bucket -> rows
    memory      bytes resident of the largest instance, None: unknown
    since       changes when counters begin anew (instances by start time)
    """

    at: float
    requests: int = 0
    failed: int = 0
    latency: Mapping[float, int] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    memory: int | None = None
    since: str = ""


class Driver(Protocol):
    """One name on one target."""

    def observe(self) -> Observed:
        """What is there now, of every release of this name."""
        ...

    def bring(self, release: Release) -> None:
        """Have its image here by its digest, where the target keeps images at all; no registry is asked where it is there."""
        ...

    def start(self, release: Release) -> None:
        """Its instances, without traffic; those that are there and as `spec` says stay, those that have failed are made anew."""
        ...

    def golden(self, release: Release) -> None:
        """Ask a ready release its golden examples over the network. ReleaseFailure `wrong-answers`."""
        ...

    def route(self, shares: Mapping[str, float]) -> None:
        """Give each release its part of the traffic (they sum to 1; the newest is named first: what was made last says only a clock that may
        be wrong), without failing one request; a share of 0 is in no traffic at all.

        An empty mapping takes the traffic from all: a first release that went wrong leaves nothing behind that could answer.
        Where shares cannot be had exactly (a few replicas behind a Service) the nearest that is not more for the newest.
        """
        ...

    def shadow(self, live: Release, beside: Release, share: float) -> None:
        """Send a copy of this part of the live release's traffic to the other one too, whose answers are compared and returned to nobody; 0 ends it."""
        ...

    def sample(self, release: Release) -> Sample:
        """Its counters."""
        ...

    def words(self, release: Release) -> Sequence[str]:
        """The last lines of its log (of an instance that is not ready, where there is one), as they are: hostile text, any number up to a hundred."""
        ...

    def stop(self, release: Release) -> None:
        """End its instances, which have no traffic any more: each answers what it has, then ends. Its image stays."""
        ...

    def forget(self, keep: Sequence[Release]) -> None:
        """Remove images and leftovers of this name's releases but these."""
        ...


class Journal(Protocol):
    """Lines that are only ever added, each whole or not at all: what the target knows of its releases, also after its power went."""

    def read(self) -> Sequence[Mapping[str, object]]: ...

    def add(self, line: Mapping[str, object]) -> None:
        """On disk when it returns."""
        ...


class Lock(Protocol):
    """One order of a name at a time. Its owner renews it; one that was not renewed for its time is anybody's."""

    def take(self, owner: str, seconds: float) -> str | None:
        """None where it is ours now; else who has it, in words for people."""
        ...

    def renew(self, owner: str, seconds: float) -> bool:
        """Whether it is still ours. Whoever lost it stops at once: another one goes on."""
        ...

    def release(self, owner: str) -> None: ...
