"""How a release is run on a Docker host: without rights, at a fixed address, with its variables' values in no label."""

from __future__ import annotations

import json

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import docker_driver, docker_spec
from mlops_toolkit.rollout.docker_spec import Spec
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.order import Release

SPEC = Spec(port=80, replicas=2, cpus=1.5, memory=2**30, gpus=1, env=("MLOPS_SERVE_TOKEN",))
RELEASE = Release("a" * 12, f"registry/m@sha256:{'a' * 64}", spec=SPEC.document())
IMAGE = {"Id": "sha256:1", "Config": {"User": ""}}


def made(**more: object) -> dict[str, object]:
    told = {"replica": 1, "slot": 3, "subnet": "172.20.0.0/16", "secrets": {"MLOPS_SERVE_TOKEN": "hush", "OTHER": "no"}, **more}
    return docker_spec.instance("spam", RELEASE, IMAGE, **told)  # type: ignore[arg-type]


def test_an_instance_may_do_nothing_but_answer() -> None:
    found = made()
    host = found["HostConfig"]
    assert isinstance(host, dict)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (2**30, 2**30, 1_500_000_000)
    assert host["DeviceRequests"] == [{"Count": 1, "Capabilities": [["gpu"]]}]
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert found["User"] == "10001:10001"
    assert (
        docker_spec.instance(
            "spam",
            RELEASE,
            {"Id": "x", "Config": {"User": "7"}},
            replica=0,
            slot=0,
            subnet="10.0.0.0/24",
            secrets={"MLOPS_SERVE_TOKEN": ""},
        )["User"]
        == "7"
    )
    assert found["NetworkingConfig"] == {
        "EndpointsConfig": {"mlops-spam": {"IPAMConfig": {"IPv4Address": "172.20.0.19"}, "Aliases": ["spam"]}}
    }


def test_a_value_is_in_the_environment_alone() -> None:
    found = made()
    assert "MLOPS_SERVE_TOKEN=hush" in found["Env"]  # type: ignore[operator]
    assert "hush" not in json.dumps({**found, "Env": []})
    assert "no" not in [one.partition("=")[2] for one in found["Env"]]  # type: ignore[attr-defined]
    with pytest.raises(ReleaseFailure, match="MLOPS_SERVE_TOKEN") as caught:
        made(secrets={})
    assert caught.value.name == "no-value"


@pytest.mark.parametrize("said", [{"replicas": 0}, {"replicas": 11}, {"port": 70000}, {"port": "x"}, {"unknown": 1}])
def test_an_order_that_cannot_be_meant_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ReleaseFailure) as caught:
        Spec.read(said)
    assert caught.value.name == "bad-spec"


def test_a_spec_is_read_as_it_was_written() -> None:
    assert Spec.read(json.loads(json.dumps(SPEC.document()))) == SPEC
    other = Release(RELEASE.id, RELEASE.image, spec={**SPEC.document(), "memory": 1})
    assert docker_spec.digest(other) != docker_spec.digest(RELEASE)
    assert docker_spec.digest(Release(RELEASE.id, RELEASE.image, spec={**SPEC.document(), "replicas": 3})) == docker_spec.digest(RELEASE)


def test_addresses_are_ours_and_no_one_is_given_them() -> None:
    assert docker_spec.network("172.20.0.0/16")["Config"] == [{"Subnet": "172.20.0.0/16", "IPRange": "172.20.128.0/17"}]
    with pytest.raises(EnvironmentFailure, match="64 addresses"):
        docker_spec.address("10.0.0.0/26", 0)


@pytest.mark.parametrize(
    ("out", "errors", "name"),
    [
        ('{"ok": false, "models": [], "error": {"name": "wrong-answers", "message": "y is 6, not 1"}}', "", "wrong-answers"),
        ('{"ok": false, "models": [], "error": {"name": "not-ready", "message": "it is not ready"}}', "", "not-ready"),
        ('{"ok": false, "error": {"name": "no-model", "message": "none"}}', "", "golden-no-model"),
        ("", "/usr/bin/python3: No module named mlops_toolkit.serve.probe", "no-golden"),
        ("", "Killed", "wrong-answers"),
    ],
)
def test_what_the_probe_says_has_a_name(out: str, errors: str, name: str) -> None:
    assert docker_driver.wrong(out, errors).name == name


def test_a_server_says_why_it_does_not_answer() -> None:
    lines = [
        '{"log.level": "error", "message": "model m is refused: RuntimeError: a file is missing"}',
        '{"log.level": "error", "message": "GET /v2/health/ready 503 in 1 ms"}',
        '{"log.level": "info", "message": "listening"}',
    ]
    assert docker_driver.said_wrong(lines) == "model m is refused: RuntimeError: a file is missing"
    assert docker_driver.said_wrong(["serve: the port is taken"]) == "serve: the port is taken"
    assert docker_driver.said_wrong(["x", "[1]"]) == ""
    assert docker_driver.refused('mlops_model_loads_total{model="m",version="1",outcome="refused"} 1.0\n')
    assert not docker_driver.refused('mlops_model_loads_total{model="m",version="1",outcome="loaded"} 1.0\n')
