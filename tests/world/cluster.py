"""A real Kubernetes of one node on this machine: started once for all tests that ask, one at a time on a machine; pulls from our own registry."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.deploy.targets.kubectl import Kubectl
from mlops_toolkit.rollout.cluster_api import Cluster, Through
from tests.needs import missing, require
from tests.world.registry import Running
from tests.world.waiting import wait_for

PROGRAMS = ("containerd", "ctr", "runc", "conntrack", "busybox", "iptables", "kubectl", "kubernetes")
ONE_A_MACHINE = Path(tempfile.gettempdir()) / "mlops-test-cluster.lock"  # its ports are fixed


@dataclass
class Kubernetes:
    """One that runs. folder: its kubeconfig, logs and process ids."""

    folder: Path
    script: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        """What it prints."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + ("" if done.returncode == 0 else done.stderr)

    def json(self, *words: str) -> Any:
        return json.loads(self.kubectl(*words, "-o", "json"))

    @contextlib.contextmanager
    def api(self, namespace: str) -> Iterator[Cluster]:
        """The API as a rollout that runs here speaks it: through the socket of `kubectl proxy`."""
        with Kubectl(namespace, {**os.environ, "KUBECONFIG": str(self.kubeconfig)}).proxy() as socket:
            cluster = Cluster(Through(socket), namespace)
            try:
                yield cluster
            finally:
                cluster.close()

    def pid(self, program: str) -> int:
        return int((self.folder / f"{program}.pid").read_text())

    @contextlib.contextmanager
    def without(self, *programs: str) -> Iterator[None]:
        """These stand still meanwhile, as on a node that nobody hears of."""
        for program in programs:
            os.kill(self.pid(program), signal.SIGSTOP)
        try:
            yield
        finally:
            for program in reversed(programs):
                os.kill(self.pid(program), signal.SIGCONT)

    def restart_node(self) -> None:
        """Its kubelet and container runtime are killed, and started again as they were."""
        for program in ("kubelet", "containerd"):
            words = Path(f"/proc/{self.pid(program)}/cmdline").read_text().rstrip("\0").split("\0")
            self.again(program, *words)
        wait_for(lambda: " Ready" in self.kubectl("get", "nodes", check=False), 60)

    def again(self, program: str, *words: str, **env: str) -> None:
        """End one of its processes, and start it anew."""
        os.kill(self.pid(program), signal.SIGKILL)
        begin = '"$@" >>"$0" 2>&1 </dev/null & echo $!'
        command = ["setsid", "bash", "-c", begin, str(self.folder / f"{program}.log"), *words]
        made = subprocess.run(command, cwd=self.folder, env={**os.environ, **env}, capture_output=True, check=True, timeout=30)
        (self.folder / f"{program}.pid").write_bytes(made.stdout)


@pytest.fixture(scope="module")
def kubernetes(open_registry: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A cluster that pulls from `open_registry`. Of a file, and not of all: another worker's file may wait for its turn with it."""
    with started(open_registry.host, tmp_path_factory.mktemp("cluster"), tmp_path_factory.mktemp("tools")) as found:
        yield found


@contextlib.contextmanager
def started(registry: str, folder: Path, tools: Path) -> Iterator[Kubernetes]:
    """One that pulls from HOST:PORT, once no other runs on this machine. folder, tools: empty ones for its state and its programs."""
    script = Path(os.environ.get("MLOPS_TEST_TOOLS", "/nowhere")) / "cluster"
    if not script.exists():
        missing("cluster", "there is no program `cluster` in MLOPS_TEST_TOOLS")
    if os.geteuid() != 0:
        missing("cluster", "a node is started by root")
    require("cluster", *PROGRAMS)
    script = reachable(script, tools)
    with ONE_A_MACHINE.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = subprocess.run(
            [str(script), "start", str(folder)],
            env={**os.environ, "REGISTRY": registry},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        try:
            if begun.returncode:
                missing("cluster", f"Kubernetes did not start: {begun.stdout[-500:]}")
            yield Kubernetes(folder, script)
        finally:
            pids = [int(one.read_text()) for one in folder.glob("*.pid")]
            subprocess.run([str(script), "stop", str(folder)], capture_output=True, timeout=120, check=False)
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not any(map(lives, pids)), 2)  # its API waits for half a minute for whoever still listens
            for pid in filter(lives, pids):
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not any(map(lives, pids)), 60)  # whoever has its turn next finds its ports free
            unmount(folder)


def reachable(script: Path, folder: Path) -> Path:
    """The same script with a node whose name this machine can resolve, by which the API server asks for logs; and an API that pods can reach,
    with a certificate that they are given."""
    (folder / "bin").symlink_to(script.parent.resolve() / "bin")
    made = folder / script.name
    text = script.read_text().replace("node1", "localhost").replace("--bind-address=127.0.0.1", "--bind-address=0.0.0.0")
    key = "--service-account-private-key-file=sa.key"
    made.write_text(text.replace(key, f'{key} --root-ca-file="$dir/certs/apiserver.crt"'))
    made.chmod(0o755)
    return made


def lives(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def unmount(folder: Path) -> None:
    """What a node leaves mounted would keep its folder from going."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((one for one in mounted if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", place], capture_output=True, timeout=30, check=False)
