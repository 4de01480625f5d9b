"""Publishing a new version of a model: its one layer through the registry's interface, against `docker build` and `docker push` of the same image.

    python benchmarks/bench_publish.py [--runs N] [--megabytes N]

Both start from an image of the version before that is in the registry and in Docker's cache: what is measured is what a release costs. Docker's build
copies the new model's folder onto the same image below. Both images are then pulled and asked for one file, which must be the same. Before that,
what an unchanged push sends, how large the image is, and how long it takes from `docker run` to the first answer.
Needs a Docker engine, docker-registry, and Debian's packages for a base. Exits 1 where the push is not five times as fast, or an unchanged one sends a blob.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mlops_toolkit as mlops
from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Pushed, Wanted
from mlops_toolkit.oci.reference import Reference
from tests.programs.conftest import CACHE
from tests.world import images
from tests.world.registry import running

DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
TIMES = 5.0
SEED = time.time_ns()  # new weights in each run: neither our store nor Docker's cache has seen them
HANDLER = """
import numpy as np
class Model:
    def load(self, folder):
        self.weights = np.load(folder / "weights.npy", mmap_mode="r")
    def predict(self, inputs):
        return {"y": inputs["x"] * float(self.weights[0])}
"""


def docker(*words: str) -> str:
    done = subprocess.run([DOCKER, *words], capture_output=True, text=True, check=False, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def model(folder: Path, version: int, megabytes: int) -> Path:
    """A model of so many megabytes of weights that do not compress; versions differ in all of them."""
    folder.mkdir(parents=True)
    (folder / "predict.py").write_text(HANDLER)
    weights = np.random.default_rng([version, SEED]).standard_normal(megabytes * 131_072)
    np.save(folder / "weights.npy", weights)
    return mlops.save(folder / "predict.py", folder / "model", example={"x": np.arange(4.0)}, files=[folder / "weights.npy"])


def timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def cold_start(image: str) -> float:
    """Seconds from `docker run` to the first time it is ready."""
    begun = time.perf_counter()
    container = docker("run", "--detach", "--read-only", "--cap-drop", "ALL", "--publish", "127.0.0.1::8080", image)
    try:
        address = docker("port", container, "8080").splitlines()[0]
        while time.perf_counter() - begun < 120:
            try:
                if requests.get(f"http://{address}/v2/health/ready", timeout=5).status_code == 200:
                    return time.perf_counter() - begun
            except requests.RequestException:
                pass
            time.sleep(0.02)
        raise AssertionError(docker("logs", container))
    finally:
        docker("rm", "--force", container)


def manifest_of(image: str) -> str:
    """The sha256 of the model's own manifest inside of an image."""
    code = "import hashlib;print(hashlib.sha256(open('/models/bench/mlops-model.json','rb').read()).hexdigest())"
    return docker("run", "--rm", "--entrypoint", "/usr/bin/python3.11", image, "-c", code)


def one(wanted: Wanted, folder: Path, version: int, megabytes: int, below: str) -> tuple[float, float]:
    """Seconds of ours and of Docker's for one new version; both images hold the same model."""
    new = replace(wanted, model=model(folder / str(version), version, megabytes))
    made: list[Pushed] = []
    ours = timed(lambda: made.append(push(new, images.registries(), lambda _: None)))
    assert [layer.what for layer in made[0].layers if layer.sent] == ["model"]
    context = folder / str(version)
    (context / "Dockerfile").write_text(f"FROM {below}\nCOPY model /models/bench\n")
    name = f"{wanted.repository.host}/docker/bench:{version}"

    def theirs() -> None:
        docker("build", "--quiet", "--tag", name, str(context))
        docker("push", "--quiet", name)

    seconds = timed(theirs)
    at = f"{wanted.repository.name}@{made[0].digest}"
    docker("pull", "--quiet", at)
    assert manifest_of(at) == manifest_of(name)
    docker("rmi", "--force", at, name)
    return ours, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as data, running(Path(data)) as registry:
        folder = Path(temporary)
        digest = images.put(images.client(registry.host, "base"), "1", {"amd64": [images.debian_layer()]})
        base = Reference.parse(f"{registry.host}/base:1@{digest}")
        repository = Reference.parse(f"{registry.host}/ours/bench")
        wanted = Wanted(model(folder / "0", 0, args.megabytes), "bench", repository, base, CACHE / "images", epoch=1_700_000_000)
        first = timed(lambda: push(wanted, images.registries(), lambda _: None))
        again = push(wanted, images.registries(), lambda _: None)
        size = sum(layer.size for layer in again.layers)
        print(f"| first push | {first:.1f} s | |\n| unchanged | {again.seconds:.2f} s, {again.sent_bytes} bytes sent | |")
        at = f"{repository.name}@{again.digest}"
        docker("pull", "--quiet", at)
        docker("tag", at, "mlops-bench-below:1")  # Docker's rival stands on the same image, in its own cache
        docker("tag", at, f"{registry.host}/docker/bench:0")
        docker("push", "--quiet", f"{registry.host}/docker/bench:0")
        starts = [cold_start(at) for _ in range(3)]
        print(f"| image | {size / 1e6:.0f} MB compressed | |\n| cold start | {statistics.median(starts):.2f} s | |")
        pairs = [one(wanted, folder, version, args.megabytes, "mlops-bench-below:1") for version in range(1, args.runs + 1)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        times = statistics.median(theirs / ours for ours, theirs in pairs)
        print(f"| a new model of {args.megabytes} MB | {ours:.2f} s | docker build + push {theirs:.2f} s | {times:.1f} times as fast |")
        print(json.dumps({"pairs": pairs}))
        docker("rmi", "--force", at, "mlops-bench-below:1", f"{registry.host}/docker/bench:0")
    return int(times < TIMES or again.sent_bytes > 0)


if __name__ == "__main__":
    sys.exit(main())
