"""A real Docker engine, models of real frameworks, and images of them in a real registry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Pushed, Wanted
from mlops_toolkit.oci.reference import Reference
from tests.docker import deploying
from tests.docker.deploying import Studio
from tests.needs import missing
from tests.programs.conftest import CACHE
from tests.programs.test_formats import python, train
from tests.world import images
from tests.world.once import once
from tests.world.registry import Running, open_registry

__all__ = ["open_registry"]
# As a careful platform runs it: nothing may be written, nobody may become somebody else, memory ends somewhere.
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "1g", "--pids-limit", "200")


@pytest.fixture(scope="session")
def docker() -> Callable[..., str]:
    """Runs `docker WORDS`, gives its output."""
    try:
        deploying.docker("info")
    except (AssertionError, OSError) as error:
        missing("docker", f"no Docker engine answers: {str(error)[-200:]}")
    return deploying.docker


@pytest.fixture(scope="session")
def base(open_registry: Running, docker: object) -> Reference:
    """An image with Debian's Python and no shell."""
    digest = images.put(images.client(open_registry.host, "base"), "1", {"amd64": [images.debian_layer()]})
    return Reference.parse(f"{open_registry.host}/base:1@{digest}")


@pytest.fixture(scope="session")
def studio(open_registry: Running, base: Reference, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Where releases of deployments are made."""
    return Studio.opened(open_registry, tmp_path_factory.mktemp("releases"), base)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, docker: object) -> Path:
    """The folder below which models of all frameworks lie, each with what its training process answered: those of tests/programs, and `topics`."""

    def topics(folder: Path) -> None:
        python("frameworks", str(Path(__file__).parent / "topics/train.py"), str(folder / "topics"), cwd=folder)

    folder = tmp_path_factory.mktemp("models")
    for place in (once(tmp_path_factory, "models", train), once(tmp_path_factory, "topics", topics)):
        for made in place.iterdir():
            (folder / made.name).symlink_to(made)
    return folder


@pytest.fixture(scope="session")
def published(saved: Path, base: Reference, open_registry: Running) -> Callable[..., tuple[Wanted, Pushed]]:
    """Puts a model's image into the registry."""

    def make(name: str, **more: Any) -> tuple[Wanted, Pushed]:
        wanted = Wanted(
            saved / name / "model",
            name,
            Reference.parse(f"{open_registry.host}/models/{name}"),
            base,
            CACHE / "images",
            epoch=1_700_000_000,
            **more,
        )
        return wanted, push(wanted, images.registries(), lambda _: None)

    return make


@dataclass
class Container:
    """One that runs. address: http://HOST:PORT, "" without a network."""

    id: str
    docker: Callable[..., str] = field(repr=False)
    address: str = ""

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", "--format", "{{json .State}}", self.id))
        return found

    def until_ready(self, seconds: float = 60) -> float:
        """How long it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            try:
                if requests.get(f"{self.address}/v2/health/ready", timeout=5).status_code == 200:
                    return time.monotonic() - begun
            except requests.RequestException:
                pass
            assert self.state()["Running"], self.docker("logs", self.id)
            time.sleep(0.05)
        raise AssertionError(self.docker("logs", self.id))

    def until_healthy(self, seconds: float = 60) -> None:
        """By Docker's own word."""
        begun = time.monotonic()
        while (state := self.state())["Health"]["Status"] != "healthy":
            assert time.monotonic() - begun < seconds, (state, self.docker("logs", self.id))
            time.sleep(0.3)

    def infer(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The answers of the Open Inference Protocol to these arrays, as arrays."""
        types = {one["name"]: one["datatype"] for one in requests.get(f"{self.address}/v2/models/{name}", timeout=30).json()["inputs"]}
        inputs = [{"name": key, "datatype": types[key], "shape": list(value.shape), "data": value.tolist()} for key, value in asked.items()]
        answer = requests.post(f"{self.address}/v2/models/{name}/infer", json={"inputs": inputs}, timeout=60)
        assert answer.status_code == 200, answer.text
        return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer.json()["outputs"]}


@pytest.fixture
def start(docker: Callable[..., str]) -> Iterator[Callable[..., Container]]:
    """Pulls and runs an image; what runs at the end of the test is removed, and the image too."""
    made: list[tuple[str, str]] = []

    def run(image: str, *options: str, network: bool = True) -> Container:
        docker("pull", "--quiet", image)
        net = ("--publish", "127.0.0.1::8080") if network else ("--network", "none")
        container = Container(docker("run", "--detach", *HARDENED, *net, *options, image), docker)
        made.append((container.id, image))
        if network:
            container.address = "http://" + docker("port", container.id, "8080").splitlines()[0]
        return container

    yield run
    for container, _ in made:
        docker("rm", "--force", container)
    for image in {image for _, image in made}:
        docker("rmi", "--force", image)


def asked(folder: Path, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows that were no part of the example, and what the training process itself answered to them."""
    rows = arrays(folder / model / "asked.npz")
    if list(rows) == ["rows"]:
        told = json.loads((folder / model / "model/mlops-model.json").read_text())
        rows = {told["inputs"][0]["name"]: rows["rows"]}
    return rows, arrays(folder / model / "answers.npz")


def arrays(place: Path) -> dict[str, Any]:
    with np.load(place) as kept:
        return dict(kept)
