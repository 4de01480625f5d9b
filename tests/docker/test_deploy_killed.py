"""The agent is killed after every single thing it says, and started again each time, on a real engine: it ends in one release, and no client
notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.deploy.targets import Outcome
from mlops_toolkit.rollout import bundle
from mlops_toolkit.rollout.codec import dumps
from mlops_toolkit.rollout.order import Order, Release
from tests.docker.deploying import ASKED, PATH, Host, Studio, hosting
from tests.world.load import loading
from tests.world.waiting import wait_for

pytestmark = pytest.mark.docker


def carried(host: Host, order: Order, folder: Path, killed: set[tuple[str, str]] | None = None) -> dict[str, Any]:
    """The agent on the host itself, without a container; its outcome. killed: what it said before each SIGKILL, a kill for each that is new."""
    (folder / "order.json").write_text(dumps(order))
    host.driver()
    (folder / "settings.json").write_text(json.dumps({"state": str(host.state), "proxy": str(host.state / "proxy")}))
    agent = bundle.write(folder)
    words = [
        sys.executable,
        "-I",
        "-S",
        str(agent),
        "run",
        str(folder / "order.json"),
        "--driver",
        "docker",
        "--settings",
        str(folder / "settings.json"),
    ]
    for _ in range(60):
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said = json.loads(line)
                if said["state"] == "over":
                    return dict(said["outcome"])
                key = (said["step"] + str(said["data"].get("key", "")), said["state"])
                if killed is not None and said["state"] != "goes-on" and key not in killed:
                    killed.add(key)
                    os.kill(process.pid, signal.SIGKILL)
                    break
    raise AssertionError("it does not end")


@pytest.mark.parametrize("kind", ["good", pytest.param("failing", marks=pytest.mark.long)])
def test_killed_after_every_step_it_ends_in_one_release(kind: str, studio: Studio, docker: Callable[..., str], tmp_path: Path) -> None:
    with hosting(docker, tmp_path) as host:
        one, two = studio.release("1", answer=1, port=host.port), studio.release("2", kind, answer=2, port=host.port)
        assert carried(host, host.order(one), tmp_path)["result"] == "deployed"
        killed: set[tuple[str, str]] = set()
        with loading(host.port, PATH, ASKED, tmp_path) as load:
            outcome = carried(host, host.order(two), tmp_path, killed)
        print(sorted(killed), outcome["result"], outcome["reason"], load.requests, load.failed[:3])
        last = two if kind == "good" else one
        seen = host.driver().observe()
        assert outcome["result"] == ("deployed" if kind == "good" else "rolled-back")
        assert seen.shares == {last.id: 1.0}
        assert set(seen.instances) == {last.id}
        assert len(killed) >= (12 if kind == "good" else 10)
        if kind == "good":
            assert load.failed == []
        else:
            assert all("500" in one["what"] for one in load.failed)  # the release's own failures, and nothing else
            assert len(load.failed) <= 0.25 * load.requests


@pytest.mark.long
def test_of_two_deployments_at_once_one_is_refused_and_docker_starts_a_killed_agent_again(
    studio: Studio, docker: Callable[..., str], tmp_path: Path
) -> None:
    with hosting(docker, tmp_path) as host:
        one, two = studio.release("1", answer=1, port=host.port), studio.release("2", answer=2, port=host.port)
        first = host.order(one, watch=25.0)
        found: dict[str, Outcome | None] = {}

        def give(name: str, release: Release, order: Order) -> None:
            for event in host.target().give(order):
                found[name] = event.outcome

        threads = [threading.Thread(target=give, args=("first", one, first))]
        threads[0].start()
        agent = wait_for(lambda: next(iter(host.containers("agent")), None), 120)
        wait_for(lambda: docker("inspect", "--format", "{{.State.Running}}", agent) == "true", 120)
        wait_for(lambda: one.id in host.driver().observe().shares, 120)
        threads.append(threading.Thread(target=give, args=("second", two, host.order(two))))
        threads[1].start()
        threads[1].join(120)
        pid = int(docker("inspect", "--format", "{{.State.Pid}}", agent))
        assert pid > 1, docker("logs", agent)
        os.kill(pid, signal.SIGKILL)
        threads[0].join(120)
        print(found)
        assert found["second"] is not None
        assert (found["second"].result, found["second"].name) == ("refused", "busy")
        assert found["first"] is not None
        assert found["first"].result == "deployed"
        assert docker("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", agent) == "no"
        assert host.driver().observe().shares == {one.id: 1.0}
