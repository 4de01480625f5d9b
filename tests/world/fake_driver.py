"""A target with time of its own: instances that start, serve, fail, leak and end, traffic that is counted request by request, and kills.

`World` is what is there; `World.place()` is what one process sees of it (driver, journal, lock, clock), until that process is killed: from then
on every call of it raises `Killed`, as a dead process does nothing more, not even what stands behind `finally`. After every effect the world
looks whether all traffic goes to instances that can answer, and counts the requests that failed, by whose fault.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.driver import Instance, Observed, ReleaseFailure, Sample
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.place import Place

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, math.inf)
MEBI = 2**20


class Killed(BaseException):
    """SIGKILL: nobody catches it."""


@dataclass
class Behaviour:
    """How the instances of a release behave. starts: seconds until ready, inf: never; dies: seconds after which it fails once it is ready."""

    starts: float = 1.0
    image: str = "there"  # there | gone (no registry has it) | away (no registry answers)
    crashes: bool = False
    wrong: bool = False
    errors: float = 0.0
    seconds: float = 0.004
    spam: float = 0.5
    leak: float = 0.0  # bytes a second
    dies: float = math.inf
    blamed: bool = True  # whether it is its own doing that it crashes


@dataclass
class Running:
    """Instances of a release that were started."""

    release: Release
    at: float
    behaviour: Behaviour
    restarts: int = 0
    ending: float | None = None
    requests: int = 0
    failed: int = 0
    rest: float = 0.0
    failing: float = 0.0


@dataclass
class World:
    """One name on a target. traffic: requests a second; refuses: name of an effect -> why the engine refuses it, for as long as it stands there."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    traffic: float = 200.0
    now: float = 1000.0
    boot: str = "boot-1"
    wall: float = 1_700_000_000.0
    images: set[str] = field(default_factory=set)
    running: dict[str, Running] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    shadowed: dict[str, float] = field(default_factory=dict)
    lines: list[dict[str, object]] = field(default_factory=list)
    held: tuple[str, float] | None = None
    refuses: dict[str, str] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    kill_at: int = -1  # the effect after which whoever asked for it is dead; its answer never comes
    interrupt: tuple[int, Callable[[World], object]] | None = None  # the effect after which its process hangs, and what happens meanwhile
    impatient: bool = False  # whoever waits is killed
    sent: float = 0.0
    lost: float = 0.0  # requests that nobody could answer, though something was live
    failed: Counter[str] = field(default_factory=Counter)
    wrong_moments: list[str] = field(default_factory=list)
    most: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # release -> the largest share it ever had

    def place(self) -> Place:
        """What a process that begins now sees."""
        process = _Process(self)
        return Place(FakeDriver(process), FakeJournal(process), FakeLock(process), FakeClock(process))

    def behaviour(self, identifier: str) -> Behaviour:
        return self.behaviours.get(identifier, Behaviour())

    def pass_time(self, seconds: float) -> None:
        """Traffic flows in pieces of at most a fifth of a second."""
        while seconds > 1e-9:
            piece = min(seconds, 0.2)
            self.now += piece
            self.wall += piece
            seconds -= piece
            self._flow(piece)

    def _flow(self, seconds: float) -> None:
        requests = self.traffic * seconds
        for identifier, share in self.shares.items():
            self.sent += requests * share
            self._serve(identifier, requests * share, lost=True)
        for identifier, share in self.shadowed.items():
            self._serve(identifier, requests * share, lost=False)
        for identifier in [key for key, one in self.running.items() if one.ending is not None and self.now >= one.ending]:
            del self.running[identifier]

    def _serve(self, identifier: str, requests: float, *, lost: bool) -> None:
        if requests and self.health(identifier) != "ready":
            self.lost += requests * lost
            return
        if not requests:
            return
        running = self.running[identifier]
        running.rest += requests
        whole = int(running.rest)
        running.rest -= whole
        running.requests += whole
        running.failing += whole * running.behaviour.errors
        failed = int(running.failing)
        running.failing -= failed
        running.failed += failed
        if lost:
            self.failed[identifier] += failed

    def health(self, identifier: str) -> str:
        running = self.running.get(identifier)
        if running is None:
            return "absent"
        if running.ending is not None:
            return "stopping"
        age = self.now - running.at
        if running.behaviour.crashes or age >= running.behaviour.starts + running.behaviour.dies:
            return "failed"
        return "ready" if age >= running.behaviour.starts else "starting"

    def power_cut(self, seconds: float = 5.0) -> None:
        """The machine restarts: what ran starts again by itself, shares are restored, its clock counts from another start."""
        self.now += seconds
        self.boot = f"boot-{self.now:.0f}"
        for one in self.running.values():
            one.at, one.restarts, one.requests, one.failed = self.now, one.restarts + 1, 0, 0

    def looks(self, effect: str) -> None:
        """After an effect: who has a part of the traffic can answer, unless it died of itself."""
        for identifier, share in self.shares.items():
            self.most[identifier] = max(self.most[identifier], share)
            running = self.running.get(identifier)
            own = running is not None and running.ending is None and (running.restarts or self.health(identifier) == "failed")
            if share > 0 and self.health(identifier) != "ready" and not own:
                self.wrong_moments.append(f"after {effect}: {identifier} has {share:g} and is {self.health(identifier)}")


class _Process:
    """Lives until it is killed."""

    def __init__(self, world: World) -> None:
        self.world, self.dead = world, False

    def alive(self) -> None:
        if self.dead:
            raise Killed

    def effect(self, name: str) -> None:
        """Something in the world has changed by it; perhaps it was its last."""
        self.world.effects.append(name)
        assert len(self.world.effects) < 1000, "an order that never ends"
        self.world.looks(name)
        if len(self.world.effects) == self.world.kill_at:
            self.dead = True
            raise Killed
        if self.world.interrupt is not None and len(self.world.effects) == self.world.interrupt[0]:
            meanwhile, self.world.interrupt = self.world.interrupt[1], None
            meanwhile(self.world)

    def refused(self, name: str) -> None:
        if name in self.world.refuses:
            raise EnvironmentFailure("engine-away", self.world.refuses[name])


class FakeClock:
    def __init__(self, process: _Process) -> None:
        self.process = process

    def now(self) -> Moment:
        self.process.alive()
        return Moment(self.process.world.now, self.process.world.boot, self.process.world.wall)

    def sleep(self, seconds: float) -> None:
        self.process.alive()
        if self.process.world.impatient:
            self.process.dead = True
            raise Killed
        assert self.process.world.now < 100_000, "an order that waits for ever"
        self.process.world.pass_time(seconds)


class FakeJournal:
    def __init__(self, process: _Process) -> None:
        self.process = process

    def read(self) -> Sequence[Mapping[str, object]]:
        self.process.alive()
        return list(self.process.world.lines)

    def add(self, line: Mapping[str, object]) -> None:
        self.process.alive()
        self.process.refused("journal")
        self.process.world.lines.append(dict(line))
        self.process.effect(f"journal {line['what']} {line.get('step', '')}".strip())


class FakeLock:
    def __init__(self, process: _Process) -> None:
        self.process = process

    def take(self, owner: str, seconds: float) -> str | None:
        self.process.alive()
        world = self.process.world
        if world.held is not None and world.held[0] != owner and world.now < world.held[1]:
            return f"{world.held[0]} since a while"
        world.held = (owner, world.now + seconds)
        return None

    def renew(self, owner: str, seconds: float) -> bool:
        self.process.alive()
        world = self.process.world
        if world.held is None or world.held[0] != owner:
            return False
        world.held = (owner, world.now + seconds)
        return True

    def release(self, owner: str) -> None:
        self.process.alive()
        if self.process.world.held is not None and self.process.world.held[0] == owner:
            self.process.world.held = None


class FakeDriver:
    """The driver's protocol over the world."""

    def __init__(self, process: _Process) -> None:
        self.process, self.world = process, process.world

    def _asked(self, name: str, seconds: float = 0.1) -> None:
        self.process.alive()
        self.world.pass_time(seconds)
        self.process.refused(name)

    def observe(self) -> Observed:
        self._asked("observe", 0.0)
        world = self.world
        found = {}
        for identifier, running in world.running.items():
            health = world.health(identifier)
            ready = int(health == "ready")
            in_flight = 0 if not world.shares.get(identifier) else 3
            why = {"failed": "it ended with code 1", "starting": "no answer yet"}.get(health, "")
            found[identifier] = Instance(identifier, health, 1, ready, running.restarts, why, in_flight, "", running.behaviour.blamed)  # type: ignore[arg-type]
        return Observed(found, {key: share for key, share in world.shares.items() if share > 0})

    def bring(self, release: Release) -> None:
        self._asked("bring")
        if release.id in self.world.images:
            return
        state = self.world.behaviour(release.id).image
        if state == "gone":
            raise ReleaseFailure("image-gone", f"no registry has {release.image}", "publish it again")
        if state == "away":
            raise EnvironmentFailure("registry-away", "the registry does not answer")
        self.world.images.add(release.id)
        self.process.effect("bring")

    def start(self, release: Release) -> None:
        self._asked("start")
        assert release.id in self.world.images, "an image is brought before it is started"
        if self.world.health(release.id) in ("absent", "failed"):
            self.world.running[release.id] = Running(release, self.world.now, self.world.behaviour(release.id))
        self.process.effect("start")

    def golden(self, release: Release) -> None:
        self._asked("golden")
        if self.world.health(release.id) != "ready":
            raise EnvironmentFailure("not-ready", "it does not answer")
        if self.world.behaviour(release.id).wrong:
            raise ReleaseFailure("wrong-answers", "2 of 5 golden examples are answered otherwise than they were")
        self.process.effect("golden")

    def route(self, shares: Mapping[str, float]) -> None:
        self._asked("route")
        assert not shares or abs(sum(shares.values()) - 1) < 1e-9
        self.world.shares = {key: share for key, share in shares.items() if share > 0}
        self.process.effect("route")

    def shadow(self, live: Release, beside: Release, share: float) -> None:
        self._asked("shadow")
        self.world.shadowed = {beside.id: share} if share else {}
        self.process.effect("shadow")

    def sample(self, release: Release) -> Sample:
        self._asked("sample", 0.0)
        running = self.world.running.get(release.id)
        if running is None or self.world.health(release.id) != "ready":
            raise EnvironmentFailure("not-there", "nobody answers")
        behaviour, n = running.behaviour, running.requests
        spam = round(n * behaviour.spam)
        return Sample(
            self.world.now,
            n,
            running.failed,
            {bound: n if bound >= behaviour.seconds else 0 for bound in BUCKETS},
            {"label": {"spam": spam, "ham": n - spam}},
            int(100 * MEBI + behaviour.leak * (self.world.now - running.at)),
            f"{running.at}",
        )

    def words(self, release: Release) -> Sequence[str]:
        self._asked("words", 0.0)
        return [f'{{"message": "\x1b[2Jthe last of {release.id}"}}'] if release.id in self.world.running else []

    def stop(self, release: Release) -> None:
        self._asked("stop")
        assert not self.world.shares.get(release.id), "what is stopped has no traffic any more"
        running = self.world.running.get(release.id)
        if running is not None and running.ending is None:
            running.ending = self.world.now + 0.5
        self.process.effect("stop")

    def forget(self, keep: Sequence[Release]) -> None:
        self._asked("forget")
        kept = {one.id for one in keep} | set(self.world.running)
        self.world.images &= kept
        self.process.effect("forget")
