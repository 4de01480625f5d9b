"""The Docker engine: through its command line with BuildKit where that is there, else through its interface; it builds and gives, nothing else."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_toolkit.errors import CommandFailed, EnvironmentFailure
from mlops_toolkit.oci.documents import Platform
from mlops_toolkit.system import proc

SECONDS = 3600.0
SHOWN = 15  # lines of a failed build
_NOISE = re.compile(r"#\d+ sha256:|DEPRECATED: |\s+BuildKit is currently|\s+environment-variable")  # of the builder about itself
_ID = re.compile(r"sha256:[0-9a-f]{64}")
_HINT = "start Docker, or publish without Dockerfile and system packages: that needs none"


class Engine(Protocol):
    """What builds. name: for people."""

    name: str

    def platform(self) -> Platform:
        """What it builds for. EnvironmentFailure `no-docker`."""
        ...

    def build(self, dockerfile: Path, context: Path, arguments: Mapping[str, str], id_file: Path) -> str:
        """The id of the image. CommandFailed `docker-build-failed`."""
        ...

    def save(self, image: str, to: Path) -> None:
        """The image as an archive. EnvironmentFailure `no-docker`."""
        ...

    def close(self) -> None:
        """Let the connection go, where there is one."""
        ...


def found(env: Mapping[str, str]) -> Engine:
    """The command line where there is one, else the interface. EnvironmentFailure `no-docker` where neither answers."""
    program = shutil.which("docker", path=env.get("PATH"))
    if program is None:
        return Interface.connected(env)
    return CommandLine(program, dict(env))


@dataclass
class CommandLine:
    """`docker`, which knows contexts, logins and BuildKit."""

    program: str
    env: dict[str, str]
    name: str = "BuildKit"

    def platform(self) -> Platform:
        done = self._run("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}", seconds=60)
        if done.status != 0:
            raise EnvironmentFailure("no-docker", f"the Docker engine does not answer: {done.trouble}", hint=_HINT)
        return Platform.parse(done.text.strip())

    def build(self, dockerfile: Path, context: Path, arguments: Mapping[str, str], id_file: Path) -> str:
        words = [word for name, value in sorted(arguments.items()) for word in ("--build-arg", f"{name}={value}")]
        command = ["build", *words, "--file", str(dockerfile), "--iidfile", str(id_file)]
        done = self._run(*command, "--progress", "plain", str(context), BUILDKIT="1")
        if done.status != 0 and b"buildx component is missing" in done.stderr:
            self.name = "Docker's former builder: there is no buildx"
            done = self._run(*command, str(context), BUILDKIT="0")
        if done.status != 0:
            raise failed((done.stdout + done.stderr).decode("utf-8", "replace").splitlines())
        try:
            image = id_file.read_text().strip()
        except OSError:
            image = ""
        if not _ID.fullmatch(image):
            raise failed(["docker build said nothing of what it built"])
        return image

    def save(self, image: str, to: Path) -> None:
        done = self._run("save", "--output", str(to), image)
        if done.status != 0:
            raise EnvironmentFailure("no-docker", f"Docker could not give what it built: {done.trouble}", hint="is its disk full?")

    def close(self) -> None:
        pass

    def _run(self, *words: str, BUILDKIT: str = "1", seconds: float = SECONDS) -> proc.Completed:  # noqa: N803
        env = {**self.env, "DOCKER_BUILDKIT": BUILDKIT, "BUILDX_BUILDER": "default", "DOCKER_CLI_HINTS": "false"}
        return proc.run([self.program, *words], env=env, timeout_seconds=seconds, whole=True)


@dataclass
class Interface:
    """The engine's own interface, where there is no `docker` (in a container that was given the socket alone). It has no BuildKit."""

    client: Any
    name: str = "Docker's former builder: there is no docker command"

    @classmethod
    def connected(cls, env: Mapping[str, str]) -> Interface:
        try:
            import docker
        except ImportError as error:
            raise EnvironmentFailure("no-docker", "there is no docker command, and no package docker", hint=_HINT) from error
        try:
            return cls(docker.from_env(environment=dict(env), timeout=int(SECONDS)))
        except docker.errors.DockerException as error:
            raise EnvironmentFailure("no-docker", f"the Docker engine does not answer: {str(error)[:300]}", hint=_HINT) from error

    def platform(self) -> Platform:
        with _answering():
            said = self.client.version()
        return Platform.parse(f"{said['Os']}/{said['Arch']}")

    def build(self, dockerfile: Path, context: Path, arguments: Mapping[str, str], id_file: Path) -> str:
        with _answering():
            stream = self.client.api.build(path=str(context), dockerfile=str(dockerfile), buildargs=dict(arguments), rm=True, forcerm=True)
            return of_stream(stream)

    def save(self, image: str, to: Path) -> None:
        with _answering(), to.open("wb") as out:
            for chunk in self.client.api.get_image(image):
                out.write(chunk)

    def close(self) -> None:
        self.client.close()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """What the engine refuses, and a connection that breaks, in our words."""
    import docker
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EnvironmentFailure("no-docker", f"the Docker engine refuses: {' '.join(str(error).split())[:300]}", hint=_HINT) from error


def of_stream(stream: Iterable[bytes]) -> str:
    """The image that a build's stream tells of. An error in it is an error, whatever the answer's status was. CommandFailed `docker-build-failed`."""
    lines: list[str] = []
    image, wrong = "", None
    for raw in stream:  # to its end, whatever it says, so that the connection is free again
        for line in raw.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if not isinstance(said, dict):
                continue
            lines += str(said.get("stream", "")).splitlines()
            if "error" in said or "errorDetail" in said:
                wrong = wrong or [*lines, str(said.get("error") or said["errorDetail"])]
            aux = said.get("aux")
            image = str(aux.get("ID", image)) if isinstance(aux, dict) else image
    if wrong:
        raise failed(wrong)
    if not _ID.fullmatch(image):
        raise failed([*lines, "it ended without an image"])
    return image


def failed(lines: list[str]) -> CommandFailed:
    """With the last lines of what the build said."""
    told = [line.rstrip()[:300] for line in lines if line.strip() and not _NOISE.match(line)][-SHOWN:]
    words = "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in told)
    return CommandFailed(
        "docker-build-failed", "Docker could not build what the image stands on", where="publish.dockerfile", hint=words or None
    )
