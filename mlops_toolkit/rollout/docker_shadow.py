"""A copy of the live release's traffic for another one, on a Docker host: a relay stands in a slot of the proxy, before a live instance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import docker_images, docker_spec, proxy
from mlops_toolkit.rollout.docker_spec import SAFE, names
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.proxy import PORT, Route

if TYPE_CHECKING:
    from mlops_toolkit.rollout.docker_driver import DockerDriver

START_SECONDS, DRAIN_SECONDS = 30.0, 30.0


def put(driver: DockerDriver, live: Release, beside: Release, share: float) -> None:
    """As `Driver.shadow`. The relay is of the live image: clients get the live release's answers through nothing that is not trusted yet."""
    title = f"{names(driver.name)['network']}-relay"
    if share <= 0:
        _gone(driver, live, title)
        return
    boxes = driver.boxes()
    from_ = next((box for box in boxes if box.release == live.id and box.runs), None)
    to = next((box for box in boxes if box.release == beside.id and box.runs), None)
    if from_ is None or to is None:
        raise EnvironmentFailure("instance-gone", "an instance of both releases must run, for one to be asked what the other is")
    wanted = f"{from_.address} {to.address}"
    relay = next(iter(driver.boxes("relay")), None)
    if relay is not None and relay.spec != wanted:
        _gone(driver, live, title)
        relay = None
    if relay is None:
        _made(driver, live, title, wanted)
    end = time.monotonic() + START_SECONDS
    while (relay := next(iter(driver.boxes("relay")), None)) is None or driver.asked(relay, "/v2/health/ready") is None:
        if time.monotonic() > end:
            raise EnvironmentFailure(
                "relay-does-not-start", f"what copies the traffic does not start: {' · '.join(driver.engine.logs(title, 3))}"
            )
        time.sleep(0.1)
    weight = proxy.weights({"live": 1 - share, "relay": share}, {"live": sum(b.release == live.id for b in boxes), "relay": 1}, "relay")
    routes = [Route(box.slot, live.id, weight["live"]) for box in boxes if box.release == live.id and box.runs]
    _front(driver).put([*routes, Route(relay.slot, live.id, weight["relay"])])


def _made(driver: DockerDriver, live: Release, title: str, wanted: str) -> None:
    image = docker_images.find(driver.engine, driver.name, live)
    if image is None:
        raise ReleaseFailure("image-gone", f"the image {live.image} is not on this host any more")
    slot, subnet = driver.free_slot(), driver.ground.network()
    from_, to = wanted.split()
    python = (image["Config"].get("Entrypoint") or ["python3"])[0]
    words = ["-m", "mlops_toolkit.serve.shadow", "--live", f"http://{from_}:{PORT}", "--beside", f"http://{to}:{PORT}"]
    driver.create(
        title,
        {
            "Image": image["Id"],
            "User": docker_spec.NOBODY,
            "Entrypoint": [python],
            "Cmd": [*words, "--port", str(PORT)],
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": docker_spec.labels(driver.name, "relay", release=live.id, slot=slot, replicas=1, spec=wanted),
            "HostConfig": {**SAFE, "NetworkMode": names(driver.name)["network"], "PidsLimit": 200, "LogConfig": docker_spec.LOGS},
            "NetworkingConfig": docker_spec.at(names(driver.name)["network"], docker_spec.address(subnet, slot), []),
        },
    )
    driver.begin(title)


def _gone(driver: DockerDriver, live: Release, title: str) -> None:
    """The live release has all its traffic without it, and it ends when it has answered what it has."""
    relay = next(iter(driver.boxes("relay")), None)
    if relay is None:
        return
    front = _front(driver)
    kept = [Route(box.slot, live.id, 1) for box in driver.boxes() if box.release == live.id and box.runs]
    front.put([*kept, Route(relay.slot, live.id, 0)])
    end = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < end and (now := front.seen()) is not None and relay.slot in now and now[relay.slot].in_flight:
        time.sleep(0.05)
    driver.engine.call("POST", f"/containers/{title}/stop", query={"t": 10}, fine=(304, 404))
    driver.engine.call("DELETE", f"/containers/{title}", query={"force": 1, "v": 1}, fine=(404, 409))
    front.put(kept)


def _front(driver: DockerDriver) -> proxy.Proxy:
    return driver.ground.proxy(driver.ground.network())
