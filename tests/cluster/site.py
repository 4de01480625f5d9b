"""One name in a namespace of the test's own: orders are given to it, clients ask it meanwhile, and what became of them is looked at."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_toolkit.config.deploying import Deploy, Resources
from mlops_toolkit.deploy import manifests
from mlops_toolkit.rollout.cluster_api import Cluster
from mlops_toolkit.rollout.cluster_keep import ClusterJournal, LeaseLock
from mlops_toolkit.rollout.execute import Executor
from mlops_toolkit.rollout.kubernetes_driver import KubernetesDriver
from mlops_toolkit.rollout.order import Limits, Order, Release, Step
from mlops_toolkit.rollout.place import Place
from mlops_toolkit.rollout.state import State, fold
from mlops_toolkit.rollout.tell import Event, Outcome
from tests.cluster.models import Models
from tests.world.cluster import Kubernetes
from tests.world.load import Loaded, loading
from tests.world.waiting import wait_for

NAME = "m"
ASKED = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.9, 0.1]}]}
PATH = "/v2/models/m/infer"
CPU = Resources(cpu=0.6)  # on a node of two
# Of an order, where nothing is said about them; versions of the model say which they are, and a loaded machine says nothing of latency.
QUICK: dict[str, Any] = {"watch": 2.0, "drain": 5.0, "start": 180.0, "limits": Limits(latency=None, predictions=None)}


@dataclass
class Site:
    """driver: through the proxy of this machine's kubectl, as with `runs: here`."""

    kubernetes: Kubernetes
    cluster: Cluster
    image: Models
    events: list[Event] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    @property
    def driver(self) -> KubernetesDriver:
        return KubernetesDriver(self.cluster, NAME)

    def release(self, version: str, kind: str = "good", **options: Any) -> Release:
        """Of the model's version, as the target runs it."""
        image = self.image(version, kind)
        spec = manifests.spec(NAME, image, Deploy(target="kubernetes", namespace=self.namespace, **{"resources": CPU, **options}))
        return Release(image.rsplit(":", 1)[1][:12], image, f"v{version}.0.0", spec=spec)

    def order(self, release: Release | None, *shares: float, hold: float = 3.0, **more: Any) -> Order:
        """A canary of these shares, each held so many seconds at least; without any, blue-green."""
        steps = tuple(Step(share, hold, hold + 5.0) for share in shares)
        kind = "deploy" if release else "rollback"
        known = {"id": f"{kind}-{time.time_ns()}", "strategy": "canary" if shares else "blue-green", **QUICK, **more}
        return Order(name=NAME, environment="test", kind=kind, release=release, steps=steps, **known)  # type: ignore[arg-type]

    def run(self, order: Order | None, say: Callable[[Event], None] | None = None) -> Outcome:
        """Carry it out from here, to its end."""
        place = Place(self.driver, ClusterJournal(self.cluster, NAME), LeaseLock(self.cluster, NAME))
        self.events = []
        return Executor(place, f"test {time.time_ns()}", say or self.events.append).run(order)

    def state(self) -> State:
        return fold(ClusterJournal(self.cluster, NAME).read())

    def address(self) -> str:
        """The Service's, which this machine reaches as a node does."""
        return str(self.kubernetes.kubectl("-n", self.namespace, "get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}"))

    @contextlib.contextmanager
    def load(self, **options: object) -> Iterator[Loaded]:
        """Clients that ask all the time, with kept and with fresh connections."""
        with (
            tempfile.TemporaryDirectory() as folder,
            loading(8080, PATH, ASKED, Path(folder), host=self.address(), pause=0.2, **options) as found,
        ):
            yield found

    @contextlib.contextmanager
    def without_registry(self) -> Iterator[None]:
        """The nodes' way to it is cut."""
        port = int(self.image("1").partition("/")[0].rpartition(":")[2])
        rule = ("OUTPUT", "-p", "tcp", "-d", "127.0.0.1", "--dport", str(port), "-j", "REJECT", "--reject-with", "tcp-reset")
        subprocess.run(["iptables", "-w", "-I", *rule], check=True, timeout=60)
        try:
            yield
        finally:
            subprocess.run(["iptables", "-w", "-D", *rule], check=True, timeout=60)

    def is_one(self, release: Release) -> None:
        """It alone runs, has the traffic, and is what the journal says is live; nobody holds the lock."""
        seen, state = self.driver.observe(), self.state()
        assert {one: it.health for one, it in seen.instances.items()} == {release.id: "ready"}, seen
        assert dict(seen.shares) == {release.id: 1.0}
        assert (state.live, state.doing) == (release.id, None)
        lock = LeaseLock(self.cluster, NAME)  # which is let go of after the last word was said, and well before its time is over
        wait_for(lambda: lock.take("the test", 1.0) is None, 10)
        LeaseLock(self.cluster, NAME).release("the test")


@contextlib.contextmanager
def opened(kubernetes: Kubernetes, image: Models) -> Iterator[Site]:
    """In a namespace of its own, with restricted pod security, that goes afterwards."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    kubernetes.kubectl("create", "namespace", name)
    kubernetes.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    with kubernetes.api(name) as cluster:
        yield Site(kubernetes, cluster, image)
    kubernetes.kubectl("delete", "namespace", name, "--wait=false")


def versions(found: Loaded) -> dict[str, int]:
    """Which version answered how many requests."""
    counts: dict[str, int] = {}
    for digest, count in found.answers.items():
        text = found.texts[digest]
        version = next((one for one in "123456789" if f'["{one}"]' in text), text)
        counts[version] = counts.get(version, 0) + count
    return counts
