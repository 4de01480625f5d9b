"""A Docker host behind a real SSH server: reached with the host's key checked and our key from a variable; refused by name where either is wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_toolkit.deploy.targets import docker_cli
from mlops_toolkit.errors import EnvironmentFailure
from tests.docker.deploying import free_port
from tests.needs import missing
from tests.world.waiting import wait_for

pytestmark = pytest.mark.docker
ENV = {"PATH": f"/usr/bin:{os.environ['PATH']}", "HOME": "/nonexistent", "SECRET": "hush"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, docker: Callable[..., str]) -> Iterator[tuple[str, Path]]:
    """Its ssh:// address, and the folder with `host.pub` and `user`."""
    program, folder = shutil.which("sshd", path="/usr/sbin:/usr/bin"), tmp_path_factory.mktemp("ssh")
    if program is None or os.geteuid() != 0:
        missing("ssh", "there is no sshd, or this is not root")
    assert program is not None
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/user.pub", "StrictModes no"]
    (folder / "config").write_text("\n".join([*lines, "PidFile none", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no", ""]))
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([program, "-D", "-f", str(folder / "config")], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: listens(port))
            yield f"ssh://root@127.0.0.1:{port}", folder
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_a_host_is_reached_over_ssh_and_checked(server: tuple[str, Path]) -> None:
    address, folder = server
    port = address.rpartition(":")[2]
    known = f"[127.0.0.1]:{port} " + (folder / "host.pub").read_text()
    other = f"[127.0.0.1]:{port} " + (folder / "user.pub").read_text()
    key = (folder / "user").read_text()
    with docker_cli.opened(ENV, address, known, key, str) as cli:
        assert cli.must("version", "--format", "{{.Server.Version}}")
        assert "SECRET" not in cli.env
        private = cli.folder
        assert [oct(path.stat().st_mode & 0o777) for path in (private, private / "key")] == ["0o700", "0o600"]
    assert not private.exists()
    assert str(private) not in subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for known_hosts, private_key, name in ((other, key, "ssh-host-key"), ("", key, "ssh-host-key"), (known, None, "ssh-denied")):
        with pytest.raises(EnvironmentFailure) as caught, docker_cli.opened(ENV, address, known_hosts, private_key, str):
            pass
        assert caught.value.name == name
        assert len(str(caught.value)) < 700
