"""The `docker` command, for the engine of this machine or of a host behind SSH: with that host's key checked, and our secrets in files of ours alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.system import proc
from mlops_toolkit.system.beside import Beside, beside

SECONDS, PULL_SECONDS = 120.0, 1800.0
SOCKET = "/var/run/docker.sock"
# Of our environment: what docker and ssh need, and nothing that is for others.
PASSED = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip
_SSH = """Host *
    BatchMode yes
    StrictHostKeyChecking yes
    ConnectTimeout 20
    ServerAliveInterval 10
    ServerAliveCountMax 6
    ControlMaster auto
    ControlPath {folder}/%C
    ControlPersist 60
"""


@dataclass(frozen=True)
class Cli:
    """A way to one engine. folder: private, gone at the end."""

    program: str
    env: Mapping[str, str]
    folder: Path
    socket: str

    def run(self, *words: str, data: bytes | None = None, seconds: float = SECONDS) -> proc.Completed:
        """What it answered, whatever that is. EnvironmentFailure `program-hangs`."""
        return proc.run([self.program, *words], env=self.env, data=data, timeout_seconds=seconds, whole=True)

    def must(self, *words: str, data: bytes | None = None, seconds: float = SECONDS) -> str:
        """Its output. EnvironmentFailure, named by what docker says."""
        done = self.run(*words, data=data, seconds=seconds)
        if done.status:
            raise failure(done.stderr.decode("utf-8", "replace"), self.env.get("DOCKER_HOST", ""))
        return done.text

    @contextlib.contextmanager
    def follow(self, container: str) -> Iterator[Beside]:
        """What a container says, from its beginning."""
        with beside([self.program, "logs", "--follow", container], env=self.env) as found:
            yield found

    def pull(self, image: str, login: Login | None) -> None:
        """Have it on the host. The login is in a private file here for as long as that takes, and in the engine's memory there."""
        env = dict(self.env)
        config = self.folder / "config"
        if login is not None:
            said = {"auth": login.basic.removeprefix("Basic ")} if login.kind == "password" else {"identitytoken": login.password} if login.kind == "identity" else {"registrytoken": login.password}  # fmt: skip
            config.mkdir(mode=0o700, exist_ok=True)
            _private(config / "config.json", json.dumps({"auths": {image.split("/", 1)[0]: said}}))
            env["DOCKER_CONFIG"] = str(config)
        try:
            done = proc.run([self.program, "pull", "--quiet", image], env=env, timeout_seconds=PULL_SECONDS, whole=True)
        finally:
            shutil.rmtree(config, ignore_errors=True)
        if done.status:
            raise failure(done.stderr.decode("utf-8", "replace"), self.env.get("DOCKER_HOST", ""))

    def image(self, name: str) -> bool:
        """Whether it is there."""
        return self.run("image", "inspect", "--format", "{{.Id}}", name).status == 0


@contextlib.contextmanager
def opened(env: Mapping[str, str], host: str | None, known_hosts: str | None, key: str | None, at: Callable[[str], str]) -> Iterator[Cli]:
    """host: ssh://…, None for this machine's; known_hosts, key: their text. EnvironmentFailure `no-docker`, `target-unreachable`, …"""
    program = shutil.which("docker", path=env.get("PATH"))
    if program is None:
        raise EnvironmentFailure(
            "no-docker", "there is no docker command", where=at("target"), hint="install Docker's client where you deploy from"
        )
    with tempfile.TemporaryDirectory(prefix="mlops-") as temporary:
        folder = Path(temporary)
        told = {name: env[name] for name in PASSED if name in env}
        if host is not None:
            told |= _through_ssh(folder, told, host, known_hosts, key)
        else:
            named = proc.run([program, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], env=told, timeout_seconds=SECONDS)
            if named.status == 0 and named.text.strip() and "DOCKER_HOST" not in told:
                told["DOCKER_HOST"] = named.text.strip()
                told.pop("DOCKER_CONTEXT", None)
        reached = told.get("DOCKER_HOST", "")
        cli = Cli(program, told, folder, reached.removeprefix("unix://") if reached.startswith("unix://") else SOCKET)
        cli.must("version", "--format", "{{.Server.Version}}")
        try:
            yield cli
        finally:
            if host is not None:
                _ended(folder, told, host)


def _ended(folder: Path, env: Mapping[str, str], host: str) -> None:
    """The connection that stayed open for the next command."""
    at = urlsplit(host)
    words = [*(["-l", at.username] if at.username else []), *(["-p", str(at.port)] if at.port else []), at.hostname or ""]
    with contextlib.suppress(MlopsError):
        proc.run(["ssh", "-F", str(folder / "ssh.config"), "-O", "exit", *words], env=env, timeout_seconds=10)


def _through_ssh(folder: Path, env: Mapping[str, str], host: str, known_hosts: str | None, key: str | None) -> dict[str, str]:
    """docker starts the first `ssh` on its PATH, and tells it nothing of keys: so that is one of ours, which names a configuration of ours."""
    program = shutil.which("ssh", path=env.get("PATH"))
    if program is None:
        raise EnvironmentFailure("program-missing", "ssh is not installed", hint="install OpenSSH's client where you deploy from")
    text = _SSH.format(folder=folder)
    if known_hosts is not None:
        _private(folder / "known_hosts", known_hosts)
        text += f"    UserKnownHostsFile {folder}/known_hosts\n    GlobalKnownHostsFile /dev/null\n"
    if key is not None:
        _private(folder / "key", key.rstrip("\n") + "\n")
        text += f"    IdentityFile {folder}/key\n    IdentitiesOnly yes\n"
    _private(folder / "ssh.config", text)
    (folder / "bin").mkdir(mode=0o700)
    _private(folder / "bin/ssh", f'#!/bin/sh\nexec "{program}" -F "{folder}/ssh.config" "$@"\n', 0o700)
    return {"DOCKER_HOST": host, "PATH": f"{folder}/bin:{env.get('PATH', os.defpath)}"}


def _private(path: Path, text: str, mode: int = 0o600) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "w", encoding="utf-8") as out:
        out.write(text)


def given(value: str | None, env: Mapping[str, str], folder: Path, where: str) -> str | None:
    """The text of a key's `FILE` or `env://NAME`. UsageError `no-such-file`, `variable-empty`."""
    if value is None:
        return None
    if value.startswith("env://"):
        text = env.get(value[6:], "")
        if not text.strip():
            raise UsageError("variable-empty", f"the variable {value[6:]} is empty", where=where, hint="give the job that secret")
        return text
    try:
        return (folder / Path(value).expanduser()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("no-such-file", f"{value} cannot be read: {error}", where=where) from error


# words of docker's, of ssh's -> our name, and what to do
_CAUSES: Sequence[tuple[str, str, str]] = (
    (
        "host key verification failed",
        "ssh-host-key",
        "put the host's key into known-hosts: `ssh-keyscan HOST`, and compare it with the host's own",
    ),
    ("permission denied (", "ssh-denied", "the host does not take this key: look at ssh-key, and at authorized_keys there"),
    ("permission denied while trying to connect", "no-docker-right", "add the user to the group docker on that host"),
    ("command not found", "no-docker", "install Docker on the host"),
    ("no space left on device", "disk-full", "make room on the host: `docker system df` shows what takes it"),
    ("disk quota exceeded", "disk-full", "make room on the host: `docker system df` shows what takes it"),
    ("manifest unknown", "image-gone", "publish it again"),
    ("unauthorized", "image-denied", "log in to the registry where you deploy from"),
    ("denied: ", "image-denied", "log in to the registry where you deploy from"),
    ("no basic auth", "image-denied", "log in to the registry where you deploy from"),
    ("dial tcp", "registry-unreachable", "is the registry up? nothing was changed"),
    ("cannot connect to the docker daemon", "no-docker", "start Docker there"),
    ("error during connect", "target-unreachable", "is the host up, and its name right?"),
)


def failure(said: str, host: str) -> EnvironmentFailure:
    """What docker (or ssh for it) said, as one of our errors."""
    words = "".join(c if c.isprintable() else " " for c in " ".join(said.split()))
    short = words.rpartition("stderr=")[2]
    short = short if len(short) <= 300 else f"…{short[-300:].partition(' ')[2]}"
    for part, name, hint in _CAUSES:
        if part in words.lower():
            return EnvironmentFailure(name, f"the Docker host says: {short}", where=host or None, hint=hint)
    return EnvironmentFailure("docker-refused", f"the Docker host says: {short}", where=host or None)
