"""What the demo leaves in Docker: found by the label of its name, and removed; and a registry there, where none was named."""

from __future__ import annotations

import getpass
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.system import proc

LABEL = "org.mlops."  # of everything that a deployment makes
REGISTRY = "docker.io/library/registry:2"
FOLDER = "mlops-demo"  # in the registry
SECONDS, PULL_SECONDS = 60.0, 900.0
LISTS = {"container": ("--all",), "network": (), "volume": ()}
REMOVES = {"container": ("--force", "--volumes"), "network": (), "volume": ("--force",)}
NEEDED = "the demo's second half runs the model in Docker"


def name(env: Mapping[str, str]) -> str:
    """What the demo is called on a Docker host: each user has one."""
    try:
        user = env.get("USER") or env.get("LOGNAME") or getpass.getuser()
    except (KeyError, OSError):
        user = "me"
    return f"demo-{re.sub(r'[^a-z0-9]+', '-', user.lower()).strip('-')[:24] or 'me'}"


@dataclass(frozen=True)
class Engine:
    """The Docker of this machine, and what of it is the demo's."""

    program: str
    env: Mapping[str, str]
    name: str

    def run(self, *words: str, seconds: float = SECONDS) -> proc.Completed:
        return proc.run([self.program, *words], env=self.env, timeout_seconds=seconds)

    def must(self, *words: str, seconds: float = SECONDS) -> str:
        """What it says. EnvironmentFailure `demo-docker`."""
        done = self.run(*words, seconds=seconds)
        if done.status:
            raise EnvironmentFailure("demo-docker", f"docker {words[0]} failed: {done.trouble}", hint="see what `docker info` says")
        return done.text

    def has(self, image: str) -> bool:
        """Whether an image is here."""
        return self.run("image", "inspect", "--format", "{{.Id}}", image).status == 0

    def pull(self, image: str) -> str:
        """Have an image here; why not, "" where it is."""
        if self.has(image):
            return ""
        done = self.run("pull", "--quiet", image, seconds=PULL_SECONDS)
        return done.trouble if done.status else ""

    def registry(self) -> str:
        """A registry of the demo's own, HOST:PORT on this machine. EnvironmentFailure `demo-registry`."""
        if why := self.pull(REGISTRY):
            hint = "give one that is there: --registry HOST:PORT (without a password, as `docker run registry:2` or Debian's docker-registry is)"
            raise EnvironmentFailure(
                "demo-registry", f"images go through a registry, and {REGISTRY}, which is one, cannot be had: {why}", hint=hint
            )
        called = f"mlops-{self.name}-registry"
        labels = ("--label", f"{LABEL}name={self.name}", "--label", f"{LABEL}role=registry")
        self.must("run", "--detach", "--name", called, *labels, "--publish", "127.0.0.1::5000", REGISTRY)
        return self.must("port", called, "5000/tcp").splitlines()[0].strip()

    def left(self) -> dict[str, list[str]]:
        """Ids of all that is the demo's, by kind; kinds without any are left out."""
        found = {
            kind: self.must(kind, "ls", "--quiet", *more, "--filter", f"label={LABEL}name={self.name}").split()
            for kind, more in LISTS.items()
        }
        tags = self.must("image", "ls", "--digests", "--format", "{{.Repository}}:{{.Tag}}\t{{.Repository}}@{{.Digest}}").splitlines()
        own = (f"mlops/{self.name}", f"/{FOLDER}/{self.name}")
        found["image"] = [
            by_tag if not by_tag.endswith(":<none>") else by_digest
            for by_tag, _, by_digest in (line.partition("\t") for line in tags)
            if by_tag.rpartition(":")[0].endswith(own)
        ]
        return {kind: ids for kind, ids in found.items() if ids}

    def remove(self) -> dict[str, int]:
        """Remove it all; how many of each kind. Whoever carries an order out goes first, so that nothing comes back. EnvironmentFailure `demo-docker`."""
        removed: dict[str, int] = {}
        agents = self.must("container", "ls", "--all", "--quiet", *self._filter("agent")).split()
        if agents:
            self.run("container", "rm", "--force", *agents)
        for _ in range(3):  # what was being made when its maker was ended is seen the next time
            left = self.left()
            if not left:
                break
            for kind, ids in left.items():
                self.run(kind, "rm", *REMOVES.get(kind, ("--force",)), *ids)
                removed[kind] = removed.get(kind, 0) + len(ids)
            time.sleep(0.2)
        if left := self.left():
            named = ", ".join(f"{kind} {one}" for kind, ids in left.items() for one in ids)
            raise EnvironmentFailure(
                "demo-docker", f"this of the demo could not be removed: {named}", hint="see what `docker rm` says of it"
            )
        if agents:
            removed["container"] = removed.get("container", 0) + len(agents)
        return removed

    def _filter(self, role: str) -> tuple[str, ...]:
        return ("--filter", f"label={LABEL}name={self.name}", "--filter", f"label={LABEL}role={role}")


def found(env: Mapping[str, str]) -> Engine:
    """The Docker that answers here. EnvironmentFailure `demo-docker`: there is none, or not on this machine."""
    program = shutil.which("docker", path=env.get("PATH"))
    if program is None:
        raise EnvironmentFailure(
            "demo-docker", f"{NEEDED}, and there is no docker command here", hint="install Docker: https://docs.docker.com/engine/install"
        )
    engine = Engine(program, env, name(env))
    done = engine.run("version", "--format", "{{.Server.Version}}", seconds=20)
    if done.status:
        raise EnvironmentFailure(
            "demo-docker", f"{NEEDED}, and none answers: {done.trouble}", hint="start Docker, or have yourself added to the group docker"
        )
    where = env.get("DOCKER_HOST") or engine.run("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").text.strip()
    if where and not where.startswith(("unix://", "npipe://")):
        raise EnvironmentFailure(
            "demo-docker", f"{NEEDED} of this machine, and docker here speaks to {where}", hint="DOCKER_HOST= mlops demo --deploy"
        )
    return engine


def answers(env: Mapping[str, str]) -> bool:
    """Whether a Docker is there that the second half can be played with."""
    try:
        found(env)
    except MlopsError:
        return False
    return True
