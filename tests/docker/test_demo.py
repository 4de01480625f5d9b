"""`mlops demo --deploy` on a real Docker engine: three releases under traffic, and nothing that stays behind without being said."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from mlops_toolkit.demo import engine, production
from mlops_toolkit.demo.traffic import PATH, question, scans
from mlops_toolkit.errors import Cancelled, EnvironmentFailure, UsageError
from mlops_toolkit.oci.reference import Reference
from tests.check import ROOT
from tests.docker.deploying import Studio
from tests.world import images
from tests.world.registry import Running
from tests.world.waiting import wait_for

pytestmark = pytest.mark.docker


@dataclass(frozen=True)
class Machine:
    """A user of this machine with a registry and images within reach. env: theirs; words: what names them."""

    env: Mapping[str, str]
    words: tuple[str, ...]
    docker: Callable[..., str]
    folder: Path

    @property
    def name(self) -> str:
        return engine.name(self.env)

    def demo(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlops_toolkit", "demo", *words]
        return subprocess.run(command, cwd=self.folder, env=dict(self.env), capture_output=True, text=True, timeout=900, check=False)

    def there(self) -> dict[str, list[str]]:
        return engine.found(self.env).left()

    def world(self, out: io.StringIO) -> Any:
        return SimpleNamespace(
            env=self.env, out=out, registry=lambda reference: Unclosed(images.client(reference.host, reference.repository))
        )


class Unclosed:
    """A registry's client that others use, too."""

    def __init__(self, client: Any) -> None:
        self.pull_manifest = client.pull_manifest

    def close(self) -> None:
        """It stays open."""


@pytest.fixture
def machine(open_registry: Running, base: Reference, studio: Studio, docker: Callable[..., str], tmp_path: Path) -> Iterator[Machine]:
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "MLOPS_")) and key not in ("CI", "MAKELEVEL")},
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "USER": f"t{uuid.uuid4().hex[:8]}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    words = ("--registry", open_registry.host, "--base", f"{base.name}@{base.digest}", "--proxy", studio.haproxy)
    made = Machine(env, words, docker, tmp_path)
    try:
        yield made
    finally:
        engine.found(env).remove()


def left_there(machine: Machine, base: Reference) -> None:
    """What a demo that was killed outright leaves: one of each kind."""
    label, name = f"org.mlops.name={machine.name}", f"mlops-{machine.name}"
    machine.docker("network", "create", "--label", label, name)
    machine.docker("volume", "create", "--label", label, f"{name}-state")
    image = f"{base.name}@{base.digest}"
    machine.docker("pull", "--quiet", image)
    machine.docker("tag", image, f"mlops/{machine.name}:abc")
    machine.docker(
        "create", "--label", label, "--label", "org.mlops.role=agent", "--network", name, "--volume", f"{name}-state:/s", image, "true"
    )


def test_what_an_earlier_one_left_is_removed_and_said(machine: Machine, base: Reference) -> None:
    left_there(machine, base)
    assert set(machine.there()) == {"container", "network", "volume", "image"}
    done = machine.demo("--remove")
    assert done.returncode == 0, done.stderr
    for word in ("1 container", "1 network", "1 volume", "1 image"):
        assert word in done.stdout
    assert machine.there() == {}
    assert machine.docker("image", "inspect", "--format", "{{.Id}}", f"{base.name}@{base.digest}"), "it is others', too"
    assert "nothing was there" in machine.demo("--remove").stdout


def asked(machine: Machine, **more: Any) -> argparse.Namespace:
    (_, registry, _, base, _, proxy) = machine.words
    return argparse.Namespace(**{"registry": registry, "base": base, "proxy": proxy, "port": 0, **more})


def test_whoever_stops_it_leaves_nothing_and_two_at_once_are_refused(machine: Machine, base: Reference) -> None:
    out = io.StringIO()

    def stopped() -> None:
        with production.ready(asked(machine), machine.world(out)) as here:
            assert "an earlier demo is still in Docker" in out.getvalue()
            assert machine.there() == {}
            assert here.registry == machine.words[1]
            with pytest.raises(UsageError, match="another demo"), production.ready(asked(machine), machine.world(out)):
                pass
            left_there(machine, base)
            raise Cancelled

    left_there(machine, base)
    with pytest.raises(Cancelled):
        stopped()
    assert machine.there() == {}
    assert "it ended before its end\nremoved from Docker: 1 container" in out.getvalue()


def test_a_registry_of_its_own_is_started_where_none_is_named(
    machine: Machine, open_registry: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of Debian's registry stands in for the official image; one that cannot be pulled is named, with the way out."""
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": "/data"}}, "http": {"addr": ":5000"}}
    layers = [images.debian_layer([*images.LIBRARIES, "docker-registry"]), images.layer({"config.yml": json.dumps(config)})]
    run = {"Entrypoint": ["/usr/bin/docker-registry", "serve", "/config.yml"], "ExposedPorts": {"5000/tcp": {}}}
    digest = images.put(images.client(open_registry.host, "registry"), "2", {"amd64": layers}, config=run)
    monkeypatch.setattr(engine, "REGISTRY", f"{open_registry.host}/registry@{digest}")
    host = engine.found(machine.env).registry()
    wait_for(lambda: answered(f"http://{host}/v2/"), 60)
    assert len(machine.there()["container"]) == 1
    monkeypatch.setattr(engine, "REGISTRY", "127.0.0.1:1/registry:2")
    with pytest.raises(EnvironmentFailure, match="which is one, cannot be had") as caught:
        engine.found(machine.env).registry()
    assert "--registry HOST:PORT" in (caught.value.hint or "")


def answered(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.mark.parametrize(("word", "said"), [("--base", "the base image"), ("--proxy", "the proxy's image")])
def test_an_image_that_is_out_of_reach_is_named_before_anything_is_played(machine: Machine, word: str, said: str) -> None:
    words = list(machine.words)
    words[words.index(word) + 1] = "127.0.0.1:1/nowhere:1"
    done = machine.demo("--deploy", *words)
    assert done.returncode == 4
    assert f"{said} 127.0.0.1:1/nowhere:1 cannot be had" in done.stderr
    assert f"{word} IMAGE" in done.stderr
    assert "review" not in done.stdout
    assert machine.there() == {}


@pytest.mark.long
def test_three_releases_the_second_takes_over_and_the_third_takes_itself_back(machine: Machine) -> None:
    """No request is lost by a good one, at most the canary's share by a bad one; what is left answers, and goes by one command."""
    done = machine.demo("--deploy", *machine.words)
    assert done.returncode == 0, done.stdout + done.stderr
    (good, bad) = re.findall(r"^([\d,]+) requests in that time: ([\d,]+) failed", done.stdout, re.MULTILINE)
    assert good[1] == "0"
    assert 0 < int(bad[1]) < 0.25 * int(bad[0].replace(",", ""))
    assert "v1.2.0" in (last := done.stdout[done.stdout.index("$ mlops deploy v1.2.0") :])
    assert re.search(r"was taken back from production, v1\.1\.0 \(\w+\) is live again: .* requests failed", last)
    (address,) = re.findall(r"curl -s -d @scan.json (\S+)", done.stdout)
    assert address.endswith(PATH)
    answer = requests.post(address, data=question(scans()[0]), timeout=20)
    assert json.loads(answer.text)["outputs"][0]["data"] == [0], "the first scan is a zero"
    assert "mlops demo --deploy --remove" in done.stdout
    assert machine.demo("--remove").returncode == 0
    assert machine.there() == {}
