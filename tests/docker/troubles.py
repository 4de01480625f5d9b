"""What can go wrong around a deployment on a Docker host, each brought about for real on an engine of our own, under load: tests and benchmark play them.

Every one deploys a good release 1 first, and then another one while clients ask and the trouble comes.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops_toolkit.deploy.targets import Event, Outcome
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout.order import Order, Release, Step
from tests.docker.deploying import ASKED, PATH, Host, Studio
from tests.docker.engine import OUTSIDE, Door, Own, door, full, own_engine, own_host
from tests.needs import require
from tests.world import images
from tests.world.load import Loaded, loading
from tests.world.waiting import wait_for

SHARE = 0.25  # of the canary
SMALL = 500 << 20  # bytes of a disk that an image or two fill
FULL = 30.0  # seconds that a disk is full at most
SLOW = 600.0  # seconds that a machine which is busy may need for what takes a few


class Given(threading.Thread):
    """An order that is followed beside us, as a CI job does it. outcome, error: one of the two at its end."""

    def __init__(self, host: Host, order: Order) -> None:
        super().__init__(daemon=True)
        self.host, self.order = host, order
        self.events: list[Event] = []
        self.error: MlopsError | None = None
        self.start()

    def run(self) -> None:
        try:
            for event in self.host.target().give(self.order):
                self.events.append(event)
        except MlopsError as error:
            self.error = error

    def until(self, step: str, state: str = "done") -> Event:
        """The first such event, once it came."""
        found = wait_for(lambda: self.seen(step, state) or not self.is_alive(), SLOW)
        assert isinstance(found, Event), (self.events[-1:], self.error)
        return found

    def seen(self, step: str, state: str) -> Event | None:
        return next((one for one in list(self.events) if (one.step, one.state) == (step, state)), None)

    def end(self) -> Outcome | None:
        """Its outcome; None where it had none."""
        self.join(SLOW)
        assert not self.is_alive(), self.events[-1:]
        return self.events[-1].outcome if self.events else None


@dataclass
class Came:
    """What a trouble came to.

    outcome, error  of the order; load: what clients met with; live: the one release that the host knows and routes to
    away            from when to when nothing could answer, by the clock of `load`; None: never
    """

    load: Loaded
    outcome: Outcome | None = None
    error: MlopsError | None = None
    live: str = ""
    away: tuple[float, float] | None = None
    events: Sequence[Event] = ()
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def result(self) -> str:
        return self.outcome.result if self.outcome else self.error.name if self.error else "?"

    @property
    def outside(self) -> list[dict[str, object]]:
        """Requests that failed while something could have answered."""
        begin, end = self.away or (0.0, 0.0)
        return [one for one in self.load.failed if not begin - 0.5 <= one["at"] <= end]


@dataclass
class Stage:
    """Where they are played, one after the other. live: the id of the good release that has the traffic."""

    own: Own
    host: Host
    studio: Studio
    registry: Door
    folder: Path
    live: str
    made: int = 1

    def release(self, kind: str = "good", **spec: object) -> Release:
        """A new one, of the next version."""
        self.made += 1
        return self.studio.release(str(self.made), kind, answer=self.made, port=self.host.port, **spec)

    def order(self, release: Release, **more: object) -> Order:
        return self.host.order(release, **{"steps": (Step(SHARE, 2.0, 30.0),), "watch": 2.0, "start": SLOW, **more})

    @contextmanager
    def load(self) -> Iterator[Loaded]:
        with loading(self.host.port, PATH, ASKED, self.folder, inside=self.own.inside(), host=OUTSIDE) as load:
            yield load

    def settled(self) -> str:
        """The id of the one release that is known, routed to, and there. AssertionError where it is not exactly one."""
        standing = wait_for(lambda: (found := self.host.target().status()).under_way is None and found, SLOW)
        assert standing.live is not None
        seen = self.own.within(lambda: self.host.driver().observe())
        assert seen.shares == {standing.live.id: 1.0}, seen
        assert set(seen.instances) == {standing.live.id}, seen
        assert standing.trouble == (), standing
        self.live = str(standing.live.id)
        return self.live

    def answers(self) -> bool:
        """Whether a client gets an answer now."""

        def ask() -> bool:
            import requests

            try:
                return requests.post(f"http://{OUTSIDE}:{self.host.port}{PATH}", json=ASKED, timeout=2).status_code == 200
            except requests.RequestException:
                return False

        return self.own.within(ask)


Play = Callable[[Stage], Came]


@contextmanager
def stage(studio: Studio, folder: Path, **engine: object) -> Iterator[Stage]:
    """An engine, a way to the registry, and release 1 live there. engine: of `own_engine`."""
    with own_engine(**engine) as own, door(own, studio.registry.host) as registry, own_host(own, folder) as host:  # type: ignore[arg-type]
        one = studio.release("1", answer=1, port=host.port)
        outcome = Given(host, host.order(one, start=SLOW)).end()
        assert outcome is not None
        assert outcome.result == "deployed", outcome
        yield Stage(own, host, studio, registry, folder, one.id)


def _interrupted(on: Stage, trouble: Callable[[], None]) -> Came:
    """A good release whose canary is interrupted by something that ends everything; the clients wait until it is there again."""
    two = on.release()
    with on.load() as load:
        begun = time.monotonic()
        given = Given(on.host, on.order(two))
        given.until("share")
        down = time.monotonic()
        trouble()
        on.own.begin()
        wait_for(on.answers, SLOW)
        up = time.monotonic()
        outcome = given.end()
        time.sleep(0.5)
    return Came(load, outcome, given.error, on.settled(), (down - begun, up - begun + 1), given.events, {"away": up - down})


def engine_restarts(on: Stage) -> Came:
    """Docker is restarted in the middle of a canary, as an update does it; all containers end with it."""
    return _interrupted(on, on.own.end)


def power_lost(on: Stage) -> Came:
    """The host loses its power in the middle of a canary."""
    return _interrupted(on, on.own.lose_power)


def disk_full_before(on: Stage) -> Came:
    """No room for the new release's image."""
    with on.load() as load, full(on.own.data):
        given = Given(on.host, on.order(on.release()))
        outcome = given.end()
    return Came(load, outcome, given.error, on.settled(), None, given.events)


def disk_fills(on: Stage, kind: str) -> Came:
    """The disk with journal and proxy's files is full from the canary's beginning until the traffic was where it belongs, or for a while."""
    two = on.release(kind)
    with on.load() as load:
        given = Given(on.host, on.order(two))
        given.until("share")
        with full(on.own.data):
            begun = time.monotonic()
            with suppress(AssertionError):  # for a while
                wait_for(lambda: not given.is_alive() or on.host.driver().observe().shares == {on.live: 1.0}, FULL)
            taken = time.monotonic() - begun
        outcome = given.end()
    return Came(load, outcome, given.error, on.settled(), None, given.events, {"back": taken})


def registry_gone_before(on: Stage) -> Came:
    """No registry answers when the order is given."""
    on.registry.shut()
    with on.load() as load:
        given = Given(on.host, on.order(on.release()))
        outcome = given.end()
    on.registry.open()
    return Came(load, outcome, given.error, on.settled(), None, given.events)


def registry_gone_amid(on: Stage) -> Came:
    """The registry goes away in the middle of the new image's layers."""
    two = on.release()
    on.registry.shut()
    on.registry.open(most=4000)
    with on.load() as load:
        given = Given(on.host, on.order(two))
        outcome = given.end()
    assert not on.registry.is_open
    on.registry.open()
    return Came(load, outcome, given.error, on.settled(), None, given.events)


def registry_gone_after(on: Stage) -> Came:
    """The registry is gone once the image is there, for the whole rollout, and for a rollback after it from nothing."""
    two = on.release()
    with on.load() as load:
        given = Given(on.host, on.order(two))
        given.until("order", "begins")
        on.registry.shut()
        assert given.end() is not None
        back = Given(on.host, on.host.order(None, kind="rollback", reason="a wish"))
        outcome = back.end()
    on.registry.open()
    return Came(load, outcome, given.error or back.error, on.settled(), None, [*given.events, *back.events])


def clock_jumps(on: Stage) -> Came:
    """The clock of agent and instances jumps an hour forward in the canary, and two back in the watch. Another order in between is refused.

    The stage's studio is `clock_studio`. notes: seconds that canary and watch lasted by our own clock, and by how much the agent's had jumped.
    """
    heard: dict[str, float] = {}
    two = on.release()
    with on.load() as load, _clock(on.host) as put:
        given = Given(on.host, on.order(two, steps=(Step(SHARE, 4.0, 60.0),), watch=6.0))
        before = given.until("share")
        heard["share"] = time.monotonic()
        put("3600")
        other = Given(on.host, on.order(on.release())).end()
        after = given.until("judged")
        heard["judged"] = time.monotonic()
        given.until("switch")
        heard["switch"] = time.monotonic()
        put("-3600")
        given.until("watched")
        heard["watched"] = time.monotonic()
        outcome = given.end()
    assert other is not None
    assert (other.result, other.name) == ("refused", "busy"), other
    notes = {"canary": heard["judged"] - heard["share"], "watch": heard["watched"] - heard["switch"]}
    ahead = (after.at or 0.0) - (before.at or 0.0) - notes["canary"]
    return Came(load, outcome, given.error, on.settled(), None, given.events, {**notes, "jump": ahead})


@contextmanager
def _clock(host: Host) -> Iterator[Callable[[str], None]]:
    """Sets what the containers' clocks are wrong by, in those that run and in those that come; they read it at every look at the time."""
    said, over = [""], threading.Event()

    def keep() -> None:
        while not over.wait(0.2):
            for container in [*host.containers("agent"), *host.containers("instance")] if said[0] else []:
                with suppress(OSError, AssertionError):  # one that just ended
                    pid = host.docker("inspect", "--format", "{{.State.Pid}}", container)
                    place = Path(f"/proc/{pid}/root/dev/shm/clock")
                    if pid != "0" and (not place.exists() or place.read_text() != said[0]):
                        place.write_text(said[0])

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield lambda offset: said.__setitem__(0, offset)
    finally:
        over.set()
        thread.join()


def clock_studio(studio: Studio, folder: Path) -> Studio:
    """One whose releases, and the agent with them, live by a clock that can be set (`clock.c`)."""
    folder.mkdir(parents=True, exist_ok=True)
    compiler = require("docker", "gcc")["gcc"]
    words = [compiler, "-shared", "-fPIC", "-nostdlib", "-O1", "-o", str(folder / "clock.so"), str(Path(__file__).with_name("clock.c"))]
    subprocess.run(words, check=True, capture_output=True)
    layers = {"amd64": [images.debian_layer(), images.layer({"usr/lib/clock.so": (folder / "clock.so").read_bytes()})]}
    config = {"Env": ["LD_PRELOAD=/usr/lib/clock.so", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    digest = images.put(images.client(studio.registry.host, "clock"), "1", layers, config=config)
    base = Reference.parse(f"{studio.registry.host}/clock:1@{digest}")
    return replace(studio, folder=folder, base=base, python=f"{base.name}@{digest}", made={})


def two_at_once(on: Stage) -> Came:
    """Two jobs give two releases in the same moment."""
    two, three = on.release(), on.release()
    with on.load() as load:
        both = [Given(on.host, on.order(one)) for one in (two, three)]
        ends = [one.end() for one in both]
    outcomes = sorted((one for one in ends if one is not None), key=lambda one: one.result)
    assert [one.result for one in outcomes] == ["deployed", "refused"], (ends, [one.error for one in both])
    assert outcomes[1].name == "busy"
    live = on.settled()
    assert outcomes[0].live is not None
    assert live == outcomes[0].live.id
    return Came(load, outcomes[0], None, live, None, both[0].events)
