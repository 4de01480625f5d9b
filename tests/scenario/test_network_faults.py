"""A network that fails at every single call in turn: the verdict is that of a quiet night, or there is none and that is said.

One review is made undisturbed and its calls are counted, to the API and to git. Then it is made again, once for each call and each
way to fail there, from the same state of the forge and of the machine; and once more with the network gone from that call on. Time
does not pass: the clock of `build` only moves when it is slept on.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit import build
from mlops_toolkit.forge import rest
from tests.engine.events import Event
from tests.world.github import Fault
from tests.world.gitserver import Broken
from tests.world.project import WORSE
from tests.world.team import Job, Step, Team, team

GARBAGE = '{"id": 1, "body": "…'
API: dict[str, Fault | None] = {
    "hang up": Fault(drop=True),
    "hang up when it was done": Fault(drop=True, performed=True),
    "500, a page": Fault(500),
    "502 when it was done": Fault(502, performed=True),
    "403": Fault.message(403, "Resource not accessible by integration"),
    "429, try later": Fault.message(429, "API rate limit exceeded", retry_after="2"),
    "403, an hour": Fault.message(403, "You have exceeded a secondary rate limit", retry_after="3600"),
    "404": Fault.message(404, "Not Found"),
    "garbage": Fault(200, GARBAGE, "application/json"),
    "a page for data": Fault(200, "<html><title>Sign in</title></html>"),
    "an answer to something else": Fault(200, "[]", "application/json"),
    "time-out": None,
}
EVERYWHERE = ("hang up", "cut off in the middle", "a page for data")  # the others at the first reading and the first writing
PASSING = ("hang up", "cut off in the middle", "500", "429")  # once, and it is not there when the question is asked again
GIT = {
    "hang up": Broken(drop=True),
    "cut off in the middle": Broken(half=True),
    "500": Broken(500),
    "429": Broken(429, b"slow down\n", {"Retry-After": "1"}),
    "401": Broken(401, b"", {"WWW-Authenticate": 'Basic realm="GitHub"'}),
    "403": Broken(403, b"Permission denied\n"),
    "404": Broken(404, b"Repository not found.\n"),
    "a page for data": Broken(200, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"}),
}


Faults = Callable[[int], "Fault | str | None"]
Breaks = Callable[[int], "Broken | None"]


def nothing(number: int) -> None:
    """No fault at all."""


def at_call(at: int, fault: Any, *, on: bool = False) -> Callable[[int], Any]:
    """A fault at one call, or from it on."""
    return lambda number: fault if number == at or (on and number > at) else None


class Clock:
    """Moves only when slept on, so that an hour of waiting takes no time."""

    slept = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=timezone.utc) + timedelta(seconds=Clock.slept)

    def monotonic(self) -> float:
        return Clock.slept

    def sleep(self, seconds: float) -> None:
        Clock.slept += seconds


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SystemClock", Clock)
    monkeypatch.setattr(rest, "TIMEOUT_SECONDS", 1)


@dataclass
class Scene:
    """A pull request that is trained and evaluated and waits to be compared; each try starts from the same forge and machine."""

    acme: Team
    event: Event
    fresh: Path  # the machine after the checkout
    ready: Path  # and when it had trained and evaluated
    remote: Path  # the forge's repository as it was then
    asked: int = 0  # API calls of the undisturbed review
    fetched: int = 0  # git's
    first: tuple[int, ...] = ()  # the first call of git's that reads, and the first that writes

    def attempt(self, *, api: Faults = nothing, git: Breaks = nothing, verb: str = "compare") -> tuple[Job, Step]:
        """Compare (or review all of it) once more, with these answers instead of the real ones by the number of the call."""
        github, server = self.acme.github, self.acme.git_server
        shutil.rmtree(server.bare)
        shutil.copytree(self.remote, server.bare)
        github.comments.clear()
        github.statuses.clear()
        github.requests.clear()
        github.calls.clear()
        server.calls.clear()
        job = self.acme.job(self.event, run=900, checkout=False)
        shutil.copytree(self.ready if verb == "compare" else self.fresh, job.workspace, symlinks=True, dirs_exist_ok=True)
        real, count, over = type(github).handle, iter(range(10_000)), threading.Event()

        def handle(verb: str, target: str, headers: dict[str, str], raw: bytes) -> Any:
            fault = api(next(count))
            if fault == "time-out":
                over.wait()  # for an answer that does not come, however long one waits
                return None
            if isinstance(fault, Fault):
                github.fail(".", fault)
            return real(github, verb, target, headers, raw)

        github.handle = handle  # type: ignore[method-assign]
        server.fault = git
        try:
            done = job.within(verb, code=None)
        finally:
            over.set()
            del github.handle
            server.fault = lambda number: None
            github._faults.clear()
        return job, done


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, recorded_main: Path) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    with team(folder, like=recorded_main) as acme:
        acme.project.branch("feature")
        head = acme.project.commit("worse", {"src/wrong.txt": f"{WORSE}\n"})
        event = acme.pull_request(7, head, "feature")
        job = acme.job(event, run=900)
        shutil.copytree(job.workspace, folder / "fresh", symlinks=True)
        job.step("train")
        job.step("evaluate")
        shutil.copytree(job.workspace, folder / "ready", symlinks=True)
        shutil.copytree(acme.git_server.bare, folder / "forge.git")
        made = Scene(acme, event, folder / "fresh", folder / "ready", folder / "forge.git")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build, "SystemClock", Clock)
            assert made.attempt()[1].code == 1
        made.asked, made.fetched = len(acme.github.requests), len(acme.git_server.calls)
        services = [call.service for call in acme.git_server.calls]
        made.first = (services.index("fetch"), services.index("push"))
        yield made
        acme.github.violations.clear()  # garbage that we were fed is no request of ours


def whole(scene: Scene, job: Job, done: Step, what: str) -> None:
    """The outcome is told whole, and nothing else: the verdict as undisturbed, or the named error of a history that cannot be read."""
    report = job.report
    if done.code == 4:
        assert report["error"]["name"] == "history-unreadable", (what, report["error"])
        assert report["verdict"] is None, what
        assert done.outputs["verdict"] == "", what
    else:
        assert done.code == 1, (what, done.log)
        assert (report["verdict"], report["gate"]) == ("fail", "failed"), what
        assert report["baseline"]["commit"] == scene.acme.project.git("rev-parse", "main"), what
        assert done.outputs["verdict"] == "fail", what
    assert done.outputs["exit"] == str(done.code), what
    kept(scene, job, done, what)
    told(scene, done, what)


def kept(scene: Scene, job: Job, done: Step, what: str) -> None:
    """The run is in the history, whole, or waits on this machine, whole."""
    run = job.record["id"]
    lines = scene.acme.index()
    assert len({line["i"] for line in lines}) == len(lines), what
    folders = scene.acme.history("ls-tree", "-r", "--name-only", "mlops-history", "--", "runs/").splitlines()
    for line in lines:
        assert any(path.endswith(f"/{line['i']}/run.json") for path in folders), what
    recorded = run in {line["i"] for line in lines}
    waits = (job.state / "outbox" / run / "run.json").is_file()
    if done.code == 1:
        assert recorded or waits, what
        assert recorded or "waits on this machine" in done.err + done.summary, what
    for path in job.state.rglob("*.json"):
        if path.name in ("run.json", "report.json"):
            json.loads(path.read_bytes())


def told(scene: Scene, done: Step, what: str) -> None:
    """At most one comment of ours; what could not be posted is said in the job's summary, which has the verdict in any case."""
    bodies = scene.acme.github.bodies(7)
    assert len(bodies) <= 1, what
    sentence = "no verdict" if done.code == 4 else "accuracy −6.0 pp"
    assert sentence in done.summary, what
    assert all(sentence in body for body in bodies), what
    states = [each["state"] for each in scene.acme.github.statuses.get(scene.event.payload["pull_request"]["head"]["sha"], [])]
    assert "success" not in states, what
    if not bodies:
        assert "comment is not posted" in done.summary, what
    if not states:
        assert "is not set" in done.summary, what


@pytest.mark.parametrize("kind", API)
def test_one_call_to_the_api_that_fails_changes_neither_verdict_nor_exit_code(scene: Scene, kind: str) -> None:
    fault = API[kind] or "time-out"
    for at in range(scene.asked):
        job, done = scene.attempt(api=at_call(at, fault))
        whole(scene, job, done, f"{kind} at call {at}")
        assert done.code == 1


@pytest.mark.parametrize("kind", ["hang up", "500, a page"])
def test_an_api_that_is_gone_from_some_call_on_changes_neither_verdict_nor_exit_code(scene: Scene, kind: str) -> None:
    for at in range(scene.asked):
        job, done = scene.attempt(api=at_call(at, API[kind], on=True))
        whole(scene, job, done, f"{kind} from call {at}")
        assert done.code == 1


@pytest.mark.parametrize("kind", GIT)
def test_one_call_of_git_that_fails_gives_the_same_verdict_or_none(scene: Scene, kind: str) -> None:
    calls = range(scene.fetched) if kind in EVERYWHERE else scene.first
    for at in calls:
        job, done = scene.attempt(git=at_call(at, GIT[kind]))
        whole(scene, job, done, f"{kind} at call {at}")
        assert done.code == 1 or kind not in PASSING, f"{kind} at call {at}"


def test_a_forge_whose_git_is_gone_from_some_call_on_loses_nothing(scene: Scene) -> None:
    """What waits then is sent by the next run on this machine."""
    for at in range(scene.fetched):
        job, done = scene.attempt(git=at_call(at, GIT["hang up"], on=True))
        whole(scene, job, done, f"git is gone from call {at}")
        again = job.within("compare", code=1)
        assert again.outputs["verdict"] == "fail"
        assert job.record["id"] in {line["i"] for line in scene.acme.index()}, at


def test_a_network_that_fails_before_and_while_it_trains_keeps_nobody_from_training(scene: Scene) -> None:
    """The whole review: what is asked before training only spares work or warns."""
    _, quiet = scene.attempt(verb="review")
    asked, fetched = len(scene.acme.github.requests) - scene.asked, len(scene.acme.git_server.calls) - scene.fetched
    assert quiet.code == 1
    assert asked > 0
    for at in range(max(asked, fetched)):
        job, done = scene.attempt(verb="review", api=at_call(at, API["hang up"]), git=at_call(at, GIT["401"]))
        assert job.record["status"] == "succeeded", at
        assert done.code == 1, (at, done.log)
        assert job.report["verdict"] == "fail", at
