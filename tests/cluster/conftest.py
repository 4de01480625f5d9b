"""Images of a small model in several versions (good ones, and each kind of bad one), in a registry that the cluster pulls from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import mlops_toolkit as mlops
from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.oci.reference import Reference
from tests.cluster.site import Site
from tests.programs.conftest import CACHE
from tests.world import images
from tests.world.cluster import Kubernetes, kubernetes
from tests.world.registry import Running

__all__ = ["kubernetes"]
# VERSION is what it says; the rest happens only where it serves, as what goes wrong in production does.
PREDICT = '''"""Says its version, and whether the number is large."""

import os
import time
from pathlib import Path

import numpy as np

SERVES = Path("/models").exists()
VERSION, KIND = "{version}", "{kind}"


class Model:
    def load(self, folder):
        if SERVES and KIND == "crash":
            os.write(2, b"no kernel image is available for execution on the device\\n")
            os._exit(3)
        self.held = []

    def predict(self, inputs):
        x = inputs["x"]
        if SERVES and KIND == "slow":
            time.sleep(0.2)
        if SERVES and KIND == "leak":
            self.held.append(np.ones(2_000_000))
        large = x[:, 0] > (0.5 if not (SERVES and KIND == "wrong") else -9.0)
        if SERVES and KIND == "failing" and np.random.default_rng().random() < 0.3:
            raise RuntimeError("a lookup failed")
        return {{"label": np.where(large, "large", "small").astype(object), "version": np.full(len(x), VERSION, object)}}
'''


@pytest.fixture(scope="module")
def image(kubernetes: Kubernetes, open_registry: Running, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """NAME@sha256:… of a version of the model; kind: what is wrong with it."""
    digest = images.put(images.client(open_registry.host, "kube-base"), "1", {"amd64": [images.debian_layer()]})
    base = Reference.parse(f"{open_registry.host}/kube-base:1@{digest}")
    made: dict[tuple[str, str], str] = {}

    def of(version: str, kind: str = "good") -> str:
        if (version, kind) not in made:
            folder = tmp_path_factory.mktemp(f"model-{version}-{kind}")
            (folder / "predict.py").write_text(PREDICT.format(version=version, kind=kind))
            example = {"x": np.linspace(0, 1, 20, dtype=np.float32).reshape(10, 2)}
            mlops.save(str(folder / "predict.py"), folder / "model", example=example)
            wanted = Wanted(
                folder / "model", "m", Reference.parse(f"{open_registry.host}/kube/m"), base, CACHE / "images", epoch=1_700_000_000
            )
            made[version, kind] = f"{open_registry.host}/kube/m@{push(wanted, images.registries(), lambda _: None).digest}"
        return made[version, kind]

    return of


@pytest.fixture
def namespace(kubernetes: Kubernetes) -> Iterator[str]:
    """A namespace of the test's own, with restricted pod security."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    kubernetes.kubectl("create", "namespace", name)
    kubernetes.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubernetes.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def site(kubernetes: Kubernetes, namespace: str, image: Callable[..., str]) -> Iterator[Site]:
    """Where nothing was ever deployed."""
    with kubernetes.api(namespace) as cluster:
        yield Site(kubernetes, cluster, image)
