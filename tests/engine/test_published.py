"""A release, with the shipped workflows: trained, evaluated, compared and recorded on main, published on the tag, run by a real Docker engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from mlops_toolkit.formats.load import load
from mlops_toolkit.oci.registry import Registry
from tests import needs
from tests.engine.act import ROOT, Engine, Ran, cache, workflow
from tests.engine.conftest import Make
from tests.world import images
from tests.world.registry import Running
from tests.world.waiting import wait_for

pytestmark = pytest.mark.act
NAME = "acme/digits"
TRAIN = '''"""Nearest centroids of scikit-learn's handwritten digits; what answers is predict.py, with numpy alone."""
import json, pathlib
import numpy as np
from sklearn.datasets import load_digits
import mlops_toolkit as mlops

data = load_digits()
x, y = data.data[:1200].astype("float32"), data.target[:1200]
kept = int(pathlib.Path("rows.txt").read_text())
centroids = np.stack([x[:kept][y[:kept] == digit].mean(axis=0) for digit in range(10)])
pathlib.Path("centroids.json").write_text(json.dumps(centroids.round(4).tolist()))
mlops.save("predict.py", "model/", example=x[:40], files=["centroids.json"])
'''
PREDICT = """import json
import numpy as np


class Model:
    def load(self, folder):
        self.centroids = np.asarray(json.loads((folder / "centroids.json").read_text()), "float32")

    def predict(self, inputs):
        (x,) = inputs.values()
        far = ((x[:, None, :] - self.centroids[None]) ** 2).sum(axis=2)
        return {"digit": far.argmin(axis=1).astype("int64"), "distance": far.min(axis=1)}
"""
EVALUATE = """import os
from sklearn.datasets import load_digits
import mlops_toolkit as mlops

data, model = load_digits(), mlops.load("model/")
found = model.predict(data.data[1200:].astype("float32"))["digit"]
rows = [f"{i},{target},{answer}" for i, (target, answer) in enumerate(zip(data.target[1200:], found))]
open(os.environ["MLOPS_PREDICTIONS"], "w").write("\\n".join(["id,target,prediction", *rows]) + "\\n")
"""
CONFIG = """\
name: digits
train: {{run: "PYTHONPATH={root} {python} train.py", output: model/, inputs: [train.py, predict.py, rows.txt]}}
evaluate: {{run: "PYTHONPATH={root} {python} evaluate.py", inputs: [evaluate.py], task: classification, metrics: [accuracy]}}
gate: {{accuracy: {{max-drop: 5pp}}}}
comment: {{charts: false}}
publish: {{image: "{host}/{name}", base: "{host}/base/python:3.11"}}
"""


@dataclass
class Release:
    """What happened: main reviewed twice, and the tag published twice."""

    engine: Engine
    registry: Running
    first: Ran
    again: Ran

    @property
    def image(self) -> str:
        told = self.first.outputs["publish-image"]
        return f"{told['image']}@{told['digest']}"


@pytest.fixture(scope="module")
def release(make_engine: Make, locked_registry: Running, tmp_path_factory: pytest.TempPathFactory) -> Release:
    base = Registry(locked_registry.host, "base/python", locked_registry.login)
    images.put(base, "3.11", {"amd64": [images.debian_layer()]})
    config = CONFIG.format(root=ROOT, python=sys.executable, host=locked_registry.host, name=NAME)
    files = {"train.py": TRAIN, "predict.py": PREDICT, "evaluate.py": EVALUATE, "rows.txt": "900\n", "mlops.yaml": config}
    flows = {"model.yml": workflow("pull-request-one-job.yml"), "publish.yml": workflow("release.yml")}
    files |= {f".github/workflows/{name}": text for name, text in flows.items()}
    engine = make_engine({**files, ".gitignore": "model/\ncentroids.json\n"})
    engine.env |= locked_registry.docker_config(tmp_path_factory.mktemp("docker"))
    engine.env |= {"XDG_CACHE_HOME": str(cache() / "published")}  # the packages that serve are brought once for all runs
    assert engine.run(engine.push()).passed
    engine.project.commit("Learn from more rows", {"rows.txt": "1200\n"})
    assert engine.run(engine.push()).passed
    engine.project.git("tag", "v1.2.0")
    engine.project.git("push", "-q", "origin", "v1.2.0")
    told = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.0"}
    first = engine.run(engine.tag("v1.2.0"), "publish.yml", **told)
    assert first.passed, first.log
    return Release(engine, locked_registry, first, engine.run(engine.tag("v1.2.0"), "publish.yml", **told))


def test_the_tag_publishes_the_model_of_main_without_training_it_again(release: Release) -> None:
    first = release.first
    told = first.outputs["publish-image"]
    assert first.trainings == 0
    assert told["tags"].split()[:2] == ["v1.2.0", "1.2"]
    assert f"attested {release.image}" in first.log
    client = Registry(release.registry.host, NAME, release.registry.login)
    assert client.manifest_digest("v1.2.0") == client.manifest_digest("1.2") == told["digest"]
    (made,) = release.engine.github.releases.made
    assert "## digits" in made["body"]
    assert "## digits" in first.summary


def test_a_second_run_of_the_tag_sends_no_blob(release: Release) -> None:
    assert release.again.passed
    assert "no blob sent" in release.again.log
    assert release.again.outputs["publish-image"]["digest"] == release.first.outputs["publish-image"]["digest"]


def test_mlops_verify_finds_it_as_it_should_be(release: Release) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DOCKER_CONFIG": release.engine.env["DOCKER_CONFIG"]}
    command = [sys.executable, "-m", "mlops_toolkit", "verify", release.image, "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def container(release: Release) -> Iterator[str]:
    """The address of the image's server, run by Docker as the notes say it."""
    docker = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else needs.require("docker", "docker")["docker"]
    run = [docker, "--config", release.engine.env["DOCKER_CONFIG"]]
    if subprocess.run([*run, "info"], capture_output=True, check=False).returncode != 0:
        needs.missing("docker", "no Docker engine answers")
    options = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-p", "127.0.0.1::8080"]
    started = subprocess.run([*run, "run", "--detach", *options, release.image], capture_output=True, text=True, check=False, timeout=300)
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    try:
        port = subprocess.run([*run, "port", name, "8080"], capture_output=True, text=True, check=True).stdout.strip().rpartition(":")[2]
        yield f"http://127.0.0.1:{port}"
    finally:
        logs = subprocess.run([*run, "logs", "--tail", "30", name], capture_output=True, text=True, check=False)
        sys.stdout.write(logs.stdout + logs.stderr)
        subprocess.run([*run, "rm", "--force", name], capture_output=True, check=False)


@pytest.mark.docker
def test_docker_runs_it_and_it_answers_its_golden_examples_as_the_training_process_did(release: Release, container: str) -> None:
    wait_for(lambda: _ready(container), 60)
    x = _examples()
    expected = load(_model(release), served=True).predict(x)
    answered = _asked(container, x)
    assert {name: value.tolist() for name, value in answered.items()} == {name: value.tolist() for name, value in expected.items()}
    assert load(_model(release), served=True).golden() == 0


def _ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/v2/health/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _model(release: Release) -> Path:
    """The model as the store has it: the one that the image says it holds."""
    stored = Registry(release.registry.host, NAME, release.registry.login).pull_manifest("v1.2.0")
    assert stored is not None
    digest = json.loads(stored.content)["annotations"]["vnd.mlops.model.digest"].removeprefix("sha256:")
    return next(path.parent for path in (release.engine.folder / "data").rglob("mlops-model.json") if digest in path.parts)


def _examples() -> Any:
    from sklearn.datasets import load_digits

    return load_digits().data[1200:1240].astype("float32")


def _asked(address: str, x: Any) -> dict[str, Any]:
    tensor = {"name": "input", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    answer = requests.post(f"{address}/v2/models/digits/infer", json={"inputs": [tensor]}, timeout=30)
    assert answer.status_code == 200, answer.text
    kinds = {"INT64": "int64", "FP32": "float32", "FP64": "float64"}
    return {one["name"]: np.asarray(one["data"], kinds[one["datatype"]]).reshape(one["shape"]) for one in answer.json()["outputs"]}
