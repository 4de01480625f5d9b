"""The driver of a Docker host: instances in containers beside each other, and a proxy before them that gives each its part of the traffic."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import counted, docker_images, docker_spec, files, proxy, said
from mlops_toolkit.rollout.docker_ground import Ground
from mlops_toolkit.rollout.docker_spec import LABEL, Spec, names
from mlops_toolkit.rollout.driver import Health, Instance, Observed, ReleaseFailure, Sample
from mlops_toolkit.rollout.engine_api import Engine, EngineRefusal
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.proxy import PORT, SLOTS, Route

ASK_SECONDS, GOLDEN_SECONDS = 2.0, 120.0
RESTARTS = 2  # after so many, what never answered is not waited for any longer


@dataclass(frozen=True)
class Box:
    """A container of an instance, as it was found."""

    id: str
    release: str
    slot: int
    replicas: int
    address: str
    spec: str
    told: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def runs(self) -> bool:
        state = self.told["State"]
        return bool(state["Running"]) and not state.get("Restarting")


@dataclass
class DockerDriver:
    """One name on one Docker host. state: the folder with the journal, where variables' values and the proxy's files lie too."""

    ground: Ground
    state: Path

    @property
    def name(self) -> str:
        return self.ground.name

    @property
    def engine(self) -> Engine:
        return self.ground.engine

    def observe(self) -> Observed:
        subnet = self.ground.subnet()
        if subnet is None:
            return Observed()
        by_release: dict[str, list[Box]] = {}
        for box in self.boxes():
            by_release.setdefault(box.release, []).append(box)
        front = self.ground.proxy(subnet)
        now = front.seen()
        if now is None and self.ground.kind() is not None and front.routes():  # it fell, or somebody stopped it: people wait
            self.ground.start_again(front)
            now = front.seen()
        found = {release: self._instance(release, boxes, now) for release, boxes in by_release.items()}
        return Observed(found, proxy.parts(front.routes(), now))

    def bring(self, release: Release) -> None:
        docker_images.bring(self.engine, self.name, release)

    def start(self, release: Release) -> None:
        spec = Spec.read(release.spec)
        image = docker_images.find(self.engine, self.name, release)
        if image is None:
            raise ReleaseFailure(
                "image-gone", f"the image {release.image} is not on this host any more", "deploy it from its registry again"
            )
        subnet = self.ground.network()
        self.ground.running(spec, subnet)
        wanted = docker_spec.digest(release)
        boxes = {box.told["Name"].lstrip("/"): box for box in self.boxes()}
        for replica in range(spec.replicas):
            title = f"{names(self.name)['network']}-r-{release.id}-{replica}"
            box = boxes.get(title)
            if box is not None and box.spec != wanted:
                self._remove(box.id)
                box = None
            if box is None:
                self._create(title, release, image, replica, subnet)
            if box is None or not box.told["State"]["Running"]:
                self.begin(title)

    def golden(self, release: Release) -> None:
        boxes = [box for box in self.boxes() if box.release == release.id and box.runs]
        if not boxes:
            raise EnvironmentFailure("instance-gone", f"no instance of {release.id} runs")
        for box in boxes:
            python = (box.told["Config"].get("Entrypoint") or ["python3"])[0]
            try:
                status, out, errors = self.engine.run(box.id, [python, "-m", "mlops_toolkit.serve.probe"], seconds=GOLDEN_SECONDS)
            except EngineRefusal as error:
                raise EnvironmentFailure("instance-gone", f"an instance could not be asked: {error.words}") from error
            if status:
                raise wrong(out, errors)

    def route(self, shares: Mapping[str, float]) -> None:
        subnet = self.ground.network()
        boxes = self.boxes()
        for release in (name for name, share in shares.items() if share > 0):
            if not any(box.release == release and box.runs for box in boxes):
                raise EnvironmentFailure("instance-gone", f"no instance of {release} runs, and it is to have traffic")
        self._put(self.ground.proxy(subnet), boxes, shares)

    def shadow(self, live: Release, beside: Release, share: float) -> None:
        from mlops_toolkit.rollout import docker_shadow

        docker_shadow.put(self, live, beside, share)

    def sample(self, release: Release) -> Sample:
        boxes = [box for box in self.boxes() if box.release == release.id]
        got = counted.sample(time.monotonic(), self._metrics(boxes))
        subnet = self.ground.subnet()
        now = self.ground.proxy(subnet).seen() if subnet else None
        if now is None:  # and what it had counted is missed, as an instance's own would be
            return replace(got, since=f"{got.since} without the proxy")
        broken = sum(now[box.slot].broken for box in boxes if box.slot in now)  # what the client never got an answer to
        return replace(got, requests=got.requests + broken, failed=got.failed + broken)

    def words(self, release: Release) -> Sequence[str]:
        boxes = [box for box in self.boxes() if box.release == release.id]
        ill = next((box for box in boxes if not box.runs), None) or next(
            (box for box in boxes if self.asked(box, "/v2/health/ready") is None), None
        )
        chosen = ill or next(iter(boxes), None)
        return self.engine.logs(chosen.id, said.READ) if chosen is not None else []

    def stop(self, release: Release) -> None:
        subnet, kind = self.ground.subnet(), self.ground.kind()
        front = self.ground.proxy(subnet, kind) if subnet is not None and kind is not None else None
        if front is not None and proxy.parts(front.routes(), front.seen()).get(release.id):
            raise EnvironmentFailure("has-traffic", f"{release.id} still has traffic: it is not stopped")
        for box in self.boxes():
            if box.release == release.id:
                self.engine.call("POST", f"/containers/{box.id}/stop", query={"t": docker_spec.STOP_SECONDS}, fine=(304, 404))
                self._remove(box.id)
        routes = front.routes() if front is not None else []
        kept = [route for route in routes if route.release != release.id]
        if front is not None and kept != list(routes):
            front.put(kept)

    def forget(self, keep: Sequence[Release]) -> None:
        known = {release.id for release in keep}
        for left in sorted({box.release for box in self.boxes()} - known):
            self.stop(Release(left, ""))
        docker_images.forget(self.engine, self.name, known)
        for path in (self.state / "env").glob("*.json"):
            if path.stem not in known:
                path.unlink(missing_ok=True)

    # ── below

    def secrets(self, release: Release) -> dict[str, str]:
        """The values of the variables that its instances get."""
        kept = files.get(self.state / "env" / f"{release.id}.json")
        return {str(key): str(value) for key, value in json.loads(kept).items()} if kept else {}

    def _put(self, front: proxy.Proxy, boxes: Sequence[Box], shares: Mapping[str, float]) -> None:
        there = {box.slot: box for box in boxes if box.told["State"]["Running"]}
        replicas = {name: sum(box.release == name for box in there.values()) for name in shares}
        weight = proxy.weights(shares, replicas, next(iter(shares), None))
        drained = {route.slot for route in front.routes()}
        front.put(
            [
                Route(box.slot, box.release, weight.get(box.release, 0))
                for box in there.values()
                if weight.get(box.release) or box.slot in drained
            ]
        )

    def boxes(self, role: str = "instance") -> list[Box]:
        """Our containers of a role (instance, relay), in whatever state."""
        told = json.dumps({"label": [f"{LABEL}name={self.name}", f"{LABEL}role={role}"]})
        found = []
        for one in self.engine.call("GET", "/containers/json", query={"all": 1, "filters": told}):
            box = self.engine.call("GET", f"/containers/{one['Id']}/json", fine=(404,))
            if box is None or box["State"]["Status"] == "removing":
                continue
            labels = box["Config"]["Labels"]
            at = box["NetworkSettings"]["Networks"].get(names(self.name)["network"]) or {}
            where = ((at.get("IPAMConfig") or {}).get("IPv4Address")) or at.get("IPAddress") or ""
            number = {key: int(labels.get(LABEL + key) or 0) for key in ("slot", "replicas")}
            release, spec = str(labels.get(f"{LABEL}release")), str(labels.get(f"{LABEL}spec"))
            found.append(Box(str(box["Id"]), release, number["slot"], number["replicas"], str(where), spec, box))
        return found

    def _create(self, title: str, release: Release, image: Mapping[str, Any], replica: int, subnet: str) -> None:
        free = self.free_slot()
        body = docker_spec.instance(self.name, release, image, replica=replica, slot=free, subnet=subnet, secrets=self.secrets(release))
        self.create(title, body)

    def free_slot(self) -> int:
        """A slot that nobody lives in, and that has no traffic. EnvironmentFailure `no-slot`."""
        taken = {box.slot for role in ("instance", "relay") for box in self.boxes(role)}
        taken |= {route.slot for route in self.ground.proxy(self.ground.network()).routes() if route.weight}
        free = next((slot for slot in range(SLOTS) if slot not in taken), None)
        if free is None:
            raise EnvironmentFailure("no-slot", f"there are {SLOTS} instances of {self.name} already", hint="fewer replicas")
        return free

    def create(self, title: str, body: Mapping[str, Any]) -> None:
        """A container; one of that name that is not ours is an error."""
        try:
            self.engine.call("POST", "/containers/create", body, query={"name": title})
        except EngineRefusal as error:
            if error.status == 409:
                raise EnvironmentFailure("name-taken", f"there is a container {title} that is not ours", hint="remove it") from error
            raise ReleaseFailure("does-not-start", f"Docker does not take it: {error.words}") from error

    def begin(self, title: str) -> None:
        """Start a container that was created."""
        try:
            self.engine.call("POST", f"/containers/{title}/start", fine=(304,))
        except EngineRefusal as error:
            if "could not select device driver" in error.words or "nvidia" in error.words:
                raise ReleaseFailure("no-gpu", f"this host gives containers no GPU: {error.words}", "install the NVIDIA Container Toolkit there") from error  # fmt: skip
            if "Address already in use" in error.words or ("network" in error.words and "not found" in error.words):
                self._remove(title)  # somebody's who joined our network by hand; another slot the next time
                raise EnvironmentFailure("address-taken", f"an address of ours is taken: {error.words}") from error
            raise ReleaseFailure("does-not-start", f"Docker cannot start it: {error.words}") from error

    def _remove(self, container: str) -> None:
        self.engine.call("DELETE", f"/containers/{container}", query={"force": 1, "v": 1}, fine=(404, 409))

    def _instance(self, release: str, boxes: Sequence[Box], now: Mapping[int, proxy.Seen] | None) -> Instance:
        wanted = max((box.replicas for box in boxes), default=1)
        found = [self._health(box) for box in boxes]
        ready = sum(health == "ready" for health, _ in found)
        health: Health = "ready" if ready >= wanted else "starting"
        worst = next((one for one in found if one[0] == "failed"), None) or next((one for one in found if one[1]), None)
        if any(one == "failed" for one, _ in found):
            health = "failed"
        elif not ready and (len(boxes) < wanted or any(one == "absent" for one, _ in found)):
            health = "absent"  # a part of it at most was made: to be started (again)
        why = worst[1] if worst and health != "ready" else ""
        if not why and health == "starting" and len(boxes) < wanted:
            why = f"{len(boxes)} of {wanted} instances are there"
        flying = [now[box.slot].in_flight for box in boxes if box.slot in now] if now is not None else []
        if any(one is None for one in flying):
            flying = [counted.in_flight(self._metrics(boxes).values())]
        return Instance(
            release, health, wanted, ready,
            restarts=sum(int(box.told["RestartCount"]) for box in boxes),
            why=why,
            in_flight=sum(one or 0 for one in flying) if now is not None else None,
        )  # fmt: skip

    def _health(self, box: Box) -> tuple[Health, str]:
        state, ended = box.told["State"], int(box.told["RestartCount"])
        if state["Status"] == "created" or (state["Status"] == "exited" and not state["ExitCode"]):
            return "absent", ""
        if box.runs and (state.get("Health") or {}).get("Status") != "unhealthy" and self.asked(box, "/v2/health/ready") is not None:
            return "ready", ""
        last = said_wrong(self.engine.logs(box.id, 20))
        if state.get("OOMKilled"):
            return "failed", "it was killed: it needs more memory than it may have"
        if ended >= RESTARTS or state["Status"] == "dead":
            return "failed", f"it ended {ended + 1} times by itself, with exit status {state['ExitCode']}: {last}"
        if box.runs and refused(self.asked(box, "/metrics") or ""):
            return "failed", last
        return "starting", last  # one that has ended is started again by the engine, also where the engine itself ended

    def _metrics(self, boxes: Sequence[Box]) -> dict[str, str]:
        """Of those that answer."""
        told = {f"{box.id[:12]}/{box.told['State']['StartedAt']}": self.asked(box, "/metrics") for box in boxes if box.runs}
        return {one: text for one, text in told.items() if text is not None}

    def asked(self, box: Box, path: str) -> str | None:
        """What an instance answers with 200; None for anything else."""
        with closing(http.client.HTTPConnection(box.address, PORT, timeout=ASK_SECONDS)) as line:
            try:
                token = next((one[18:] for one in box.told["Config"].get("Env") or [] if one.startswith("MLOPS_SERVE_TOKEN=")), None)
                line.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
                with closing(line.getresponse()) as answer:
                    raw = answer.read(16 << 20)
            except (OSError, http.client.HTTPException):
                return None
        return raw.decode("utf-8", "replace") if answer.status == 200 else None


def said_wrong(lines: Sequence[str]) -> str:
    """Of the last lines of a server, what went wrong, for people: the message of the last error that is not the answer to a question of ours."""
    for line in reversed(lines):
        try:
            told = json.loads(line)
        except ValueError:
            if "error" in line.lower() or line.startswith("serve: "):
                return line.strip()[:300]
            continue
        message = str(told.get("message", "")) if isinstance(told, dict) else ""
        if message and told.get("log.level") == "error" and "/v2/health/" not in message:
            return message[:300]
    return ""


def refused(metrics: str) -> bool:
    """Whether a server has tried to load a model and did not take it: in an image it will not be another one the next time."""
    return any(
        value for name, labels, value in counted.parsed(metrics) if name == "mlops_model_loads_total" and labels.get("outcome") == "refused"
    )


def wrong(out: str, errors: str) -> ReleaseFailure | EnvironmentFailure:
    """What the probe said, as an error: of the release, or, where it was not answered at all, one that may pass."""
    try:
        told = json.loads(out.strip().splitlines()[-1])["error"]
        name, message = str(told["name"]), str(told["message"])
    except (ValueError, KeyError, TypeError, IndexError):
        if "No module named" in errors:
            return ReleaseFailure(
                "no-golden", "the image cannot ask itself its golden examples: it was published by an older version", "publish it again"
            )
        return ReleaseFailure("wrong-answers", f"its golden examples cannot be asked: {(errors or out).strip()[-300:]}")
    if name in ("not-ready", "no-answer", "too-busy", "too-many", "too-slow"):  # of a machine that is busy: asked again
        return EnvironmentFailure("not-ready", message)
    return ReleaseFailure("wrong-answers" if name == "wrong-answers" else f"golden-{name}"[:60], message)
