"""Releases good and bad, a proxy, and a place to run them: what tests of deployments on a Docker host stand on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import mlops_toolkit as mlops
from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.deploy.targets import Place
from mlops_toolkit.deploy.targets.docker import DockerTarget
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout.docker_driver import DockerDriver
from mlops_toolkit.rollout.docker_ground import Ground
from mlops_toolkit.rollout.docker_spec import Spec, names
from mlops_toolkit.rollout.engine_api import Engine
from mlops_toolkit.rollout.order import Order, Release, Step
from mlops_toolkit.system.clock import SystemClock
from tests.programs.conftest import CACHE
from tests.world import images
from tests.world.registry import Running

DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"  # Debian's own client first: others may lack BuildKit
PATH = "/v2/models/digits/infer"
ASKED = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}]}
# What a release does wrong, by kind. wrong: right while it is loaded, wrong when it is asked over the network.
KINDS: dict[str, dict[str, float]] = {
    "good": {},
    "wrong": {"wrong": 1},
    "slow": {"sleep": 0.25},
    "failing": {"fails": 3},
    "leaking": {"leaks": 8_000_000},
    "exits": {"exits": 1},
    "broken": {"broken": 1},
}
CODE = '''"""A model that answers one number for all. Clients ask another row than its example, and some kinds fail at that alone."""
import json, os, sys, time

def served():
    """Whether it is asked over the network, and not while it is loaded and proven."""
    frame, files = sys._getframe(), set()
    while frame is not None:
        files.add(os.path.basename(frame.f_code.co_filename))
        frame = frame.f_back
    return "batching.py" in files and not files & {"bring.py", "load.py"}

class Model:
    def load(self, folder):
        self.told = json.loads((folder / "told.json").read_text())
        self.asked, self.kept = 0, []
        if os.environ.get("MLOPS_SERVE_PORT") and self.told.get("exits"):
            os._exit(9)
        if os.environ.get("MLOPS_SERVE_PORT") and self.told.get("broken"):
            raise RuntimeError("a file is missing")

    def predict(self, inputs):
        told, clients = self.told, float(inputs["x"][0][-1]) == 2.0
        self.asked += clients
        if clients and told.get("sleep"):
            time.sleep(told["sleep"])
        if clients and told.get("leaks"):
            self.kept.append(os.urandom(int(told["leaks"])))
        if clients and told.get("fails") and self.asked % told["fails"] == 0:
            raise RuntimeError("no answer this time")
        wrong = told.get("wrong") and served()
        return {"y": [told["answer"] + (5 if wrong else 0)] * len(inputs["x"])}
'''


def docker(*words: str, expected: int = 0) -> str:
    """What `docker WORDS` says. AssertionError where it ends otherwise than expected."""
    done = subprocess.run([DOCKER, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout.strip() or done.stderr.strip()


@dataclass
class Studio:
    """Makes releases in a registry. proxy, nginx: their images, by digest."""

    registry: Running
    folder: Path
    base: Reference
    haproxy: str
    nginx: str
    python: str = ""
    made: dict[str, Release] = field(default_factory=dict)

    @classmethod
    def opened(cls, registry: Running, folder: Path, base: Reference) -> Studio:
        path = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
        found = {}
        for name, packages in (("haproxy", images.HAPROXY), ("nginx", images.NGINX)):
            digest = images.put(images.client(registry.host, name), "1", {"amd64": [images.debian_layer(packages)]}, config=path)
            found[name] = f"{registry.host}/{name}@{digest}"
        return cls(registry, folder, base, found["haproxy"], found["nginx"], python=f"{base.name}@{base.digest}")

    def release(self, version: str, kind: str = "good", *, answer: int = 1, **spec: Any) -> Release:
        """A published release whose answers are all `answer`."""
        key = f"{version}-{kind}-{answer}"
        if key not in self.made:
            self.made[key] = self._made(version, kind, answer, self.folder / key)
        told = Spec(**{"proxy_image": self.haproxy, "agent_image": self.python, "python": "/usr/bin/python3.11", **spec})
        return replace(self.made[key], spec=told.document())

    def _made(self, version: str, kind: str, answer: int, folder: Path) -> Release:
        folder.mkdir(parents=True)
        (folder / "predict.py").write_text(CODE)
        (folder / "told.json").write_text(json.dumps({"answer": answer, "version": version, **KINDS[kind]}))
        kept = {name: os.environ.pop(name) for name in ("MLOPS_SERVE_PORT",) if name in os.environ}
        try:
            mlops.save(str(folder / "predict.py"), folder / "model", example={"x": np.ones((2, 2))}, files=[folder / "told.json"])
        finally:
            os.environ.update(kept)
        wanted = Wanted(
            folder / "model", "digits", Reference.parse(f"{self.registry.host}/digits"), self.base, CACHE / "images", epoch=1_700_000_000
        )
        digest = push(wanted, images.registries(), lambda _: None).digest
        return Release(digest[7:19], f"{self.registry.host}/digits@{digest}", version, "digits", verdict="pass")


@dataclass
class Host:
    """A name of its own on the engine; everything of it goes at the end."""

    name: str
    port: int
    state: Path
    engine: Engine
    docker: Callable[..., str]
    env: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def driver(self) -> DockerDriver:
        """A new one on what is there, as after a kill: in the volumes of an agent's container, else in `state`."""
        places = {}
        for kind in ("state", "proxy"):
            found = self.docker("volume", "ls", "--quiet", "--filter", f"name=^mlops-{self.name}-{kind}$")
            places[kind] = Path(self.docker("volume", "inspect", "--format", "{{.Mountpoint}}", found)) if found else None
        proxy = places["proxy"] or self.state / "proxy"
        proxy.mkdir(parents=True, exist_ok=True)
        return DockerDriver(Ground(self.engine, self.name, proxy, str(proxy)), places["state"] or self.state)

    def target(self, **options: Any) -> DockerTarget:
        """As `mlops deploy` opens it. options: of `deploy.ENVIRONMENT`."""
        made = Deploy(target="docker", port=self.port, **options)
        env = {"PATH": f"/usr/bin:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/root"), **self.env}
        return DockerTarget(
            Place(
                "production",
                self.name,
                made,
                lambda key: f"mlops.yaml: {key}",
                self.state,
                self.state,
                env,
                {},
                SystemClock(),
                lambda _: None,
                Memory(),
                self.said.append,
            )
        )

    def order(self, release: Release | None, **more: Any) -> Order:
        """An order with short times."""
        quick = {"steps": (Step(0.25, 1.5, 8.0),), "watch": 1.0, "start": 150.0, "drain": 10.0, "older": True, "by": "a test"}
        return Order(**{"id": uuid.uuid4().hex, "name": self.name, "environment": "production", "release": release, **quick, **more})

    def containers(self, role: str = "instance") -> list[str]:
        told = self.docker(
            "ps",
            "--all",
            "--quiet",
            "--no-trunc",
            "--filter",
            f"label=org.mlops.name={self.name}",
            "--filter",
            f"label=org.mlops.role={role}",
        )
        return told.split()


@contextlib.contextmanager
def hosting(docker: Callable[..., str], folder: Path, engine: Engine | None = None) -> Iterator[Host]:
    """A host for one test."""
    host = Host(f"t{uuid.uuid4().hex[:8]}", free_port(), folder / "state", engine or Engine(), docker)
    try:
        yield host
    finally:
        for role in ("agent", "instance", "relay", "proxy"):
            if found := host.containers(role):
                docker("rm", "--force", "--volumes", *found)
        for kind, words in (("network", ["ls", "--quiet"]), ("volume", ["ls", "--quiet"])):
            found = docker(kind, *words, "--filter", f"label=org.mlops.name={host.name}").split()
            if found:
                docker(kind, "rm", *found)
        for tag in docker("images", "--format", "{{.Repository}}:{{.Tag}}", names(host.name)["image"]).split():
            docker("rmi", "--force", tag)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answered(texts: Mapping[str, str], digest: str) -> int:
    """The number that an answer of the load gives."""
    return int(json.loads(texts[digest])[0]["data"][0])
