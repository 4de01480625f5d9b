"""From `git push --tags` to the new model answering, and back by the button: the shipped workflows under act, a real Docker engine, a fake GitHub."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from mlops_toolkit.oci.registry import Registry
from tests import needs
from tests.engine.act import ROOT, Engine, Ran, cache, workflow
from tests.engine.conftest import Make
from tests.engine.test_published import CONFIG, EVALUATE, NAME, PREDICT, TRAIN
from tests.world import images
from tests.world.registry import Running

pytestmark = [pytest.mark.act, pytest.mark.docker]
DEPLOY = """\
deploy:
  production: {{target: docker, name: {name}, port: {port}, proxy-image: "{proxy}", watch: 1s,
    url: "http://127.0.0.1:{port}", rollout: {{strategy: blue-green, start: 2m, drain: 2s}}}}
"""


@dataclass
class Production:
    """A repository whose tags go to a Docker host, this one."""

    engine: Engine
    port: int

    def tagged(self, tag: str, rows: str) -> Ran:
        """A model on main, its tag, published and deployed."""
        self.engine.project.commit(f"Learn from {rows} rows", {"rows.txt": f"{rows}\n"})
        assert self.engine.run(self.engine.push()).passed
        self.engine.project.git("tag", tag)
        self.engine.project.git("push", "-q", "origin", tag)
        told = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": tag}
        published = self.engine.run(self.engine.tag(tag), "publish.yml", **told)
        assert published.passed, published.log
        return self.engine.run(self.engine.tag(tag), "deploy.yml", **told)

    def answers(self) -> list[float]:
        """What the model that is live says of one picture: how far it is from the nearest digit it learnt."""
        asked = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 64], "data": [8.0] * 64}]}
        answer = requests.post(f"http://127.0.0.1:{self.port}/v2/models/digits/infer", json=asked, timeout=20)
        assert answer.status_code == 200, answer.text
        return next(out["data"] for out in answer.json()["outputs"] if out["name"] == "distance")


def taken(template: str) -> str:
    """act's schema is older than GitHub's `deployment:`, which GitHub's own parser and actionlint know."""
    return re.sub(r"(?m)^ +deployment: false.*\n", "", template)


@pytest.fixture(scope="module")
def production(make_engine: Make, locked_registry: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    docker = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else needs.require("docker", "docker")["docker"]
    if subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        needs.missing("docker", "no Docker engine answers")
    registry = Registry(locked_registry.host, "base/python", locked_registry.login)
    images.put(registry, "3.11", {"amd64": [images.debian_layer()]})
    proxy = Registry(locked_registry.host, "haproxy", locked_registry.login)
    path = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    digest = images.put(proxy, "1", {"amd64": [images.debian_layer(images.HAPROXY)]}, config=path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"e{uuid.uuid4().hex[:8]}"
    config = CONFIG.format(root=ROOT, python=sys.executable, host=locked_registry.host, name=NAME)
    config += DEPLOY.format(name=name, port=port, proxy=f"{locked_registry.host}/haproxy@{digest}")
    files = {"train.py": TRAIN, "predict.py": PREDICT, "evaluate.py": EVALUATE, "rows.txt": "600\n", "mlops.yaml": config}
    flows = {"model.yml": workflow("pull-request-one-job.yml"), "publish.yml": workflow("release.yml")}
    flows |= {"deploy.yml": taken(workflow("deploy.yml")), "rollback.yml": taken(workflow("rollback.yml"))}
    flows |= {"status.yml": taken(workflow("status.yml"))}
    files |= {f".github/workflows/{key}": text for key, text in flows.items()}
    engine = make_engine({**files, ".gitignore": "model/\ncentroids.json\n"})
    engine.env |= locked_registry.docker_config(tmp_path_factory.mktemp("docker"))
    engine.env |= {"XDG_CACHE_HOME": str(cache() / "published")}
    try:
        yield Production(engine, port)
    finally:
        for kind, remove in (("container", ["rm", "--force"]), ("volume", ["rm", "--force"]), ("network", ["rm"])):
            listed = [docker, kind, "ls", "--quiet", "--filter", f"name=mlops-{name}"] + (["--all"] if kind == "container" else [])
            found = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
            if found:
                subprocess.run([docker, kind, *remove, *found], capture_output=True, check=False)


def test_a_tag_goes_to_production_and_the_button_brings_the_one_before_it_back(production: Production) -> None:
    engine = production.engine
    first = production.tagged("v1.0.0", "900")
    assert first.passed, first.log
    assert first.outputs["deploy"]["result"] == "deployed"
    one = production.answers()
    second = production.tagged("v1.1.0", "1200")
    assert second.passed, second.log
    assert (second.outputs["deploy"]["release"][:6], second.outputs["deploy"]["previous"][:6]) == ("v1.1.0", "v1.0.0")
    assert production.answers() != one
    states = [states for _, states in engine.github.deployments.told("production")]
    assert states == [["in_progress", "success", "inactive"], ["in_progress", "success"]]
    back = engine.run(engine.dispatch(to="last", reason="a picture is misread"), "rollback.yml")
    assert back.passed, back.log
    assert (back.outputs["deploy"]["result"], back.outputs["deploy"]["release"][:6]) == ("deployed", "v1.0.0")
    assert production.answers() == one
    states = [states for _, states in engine.github.deployments.told("production")]
    assert states == [["in_progress", "success", "inactive"], ["in_progress", "success", "inactive"], ["in_progress", "success"]]
    made, statuses = engine.github.deployments.made, engine.github.deployments.statuses
    assert made[-1]["ref"] == made[0]["ref"]
    live = [one for each in made for one in statuses[each["id"]] if one["state"] == "success"]
    assert {one["environment_url"] for one in live} == {f"http://127.0.0.1:{production.port}"}
    assert all(re.search(r"/actions/runs/\d+", one["log_url"]) for one in live)
    # a job that died before it could tell how the way back ended: the one that looks every few hours tells it
    for each in made[1:]:
        statuses[each["id"]].pop()
    assert [states for _, states in engine.github.deployments.told("production")] != states
    looked = engine.run(engine.schedule(), "status.yml")
    assert looked.passed, looked.log
    assert [states for _, states in engine.github.deployments.told("production")] == states
