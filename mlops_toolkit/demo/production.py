"""The demo's second half: what passed becomes an image and goes live, a better one takes over under traffic, and a bad one takes itself back."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

from mlops_toolkit.demo import engine, story, traffic
from mlops_toolkit.demo.engine import Engine
from mlops_toolkit.errors import COMMAND, EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.image.wanted import default_base
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout.haproxy import Managed
from mlops_toolkit.system.files import cache, locked
from mlops_toolkit.world import World

PORT = 8080
VERDICT = "✅❌➖⚠️"  # what the line begins with that is shown of a review: the whole of two was shown above
EXPECTED = (0, 0, 0, 0, 0, 0, 0, 0, COMMAND)  # three releases, each reviewed, published and deployed; the third takes itself back
ORDER = ("container", "network", "volume", "image")
PACKAGES = (("cyclonedx", "cyclonedx-python-lib"), ("cryptography", "cryptography"))


class Stage(Protocol):
    """How commands are given in the demo's repository (`run.Stage`)."""

    world: World

    def say(self, text: str) -> None: ...
    def git(self, *arguments: str) -> None: ...
    def commit(self, message: str) -> None: ...
    def mlops(self, *arguments: str, only: str = "") -> int: ...
    def read(self, name: str) -> str: ...
    def write(self, name: str, text: str) -> None: ...
    def changed(self, change: story.Change) -> None: ...


@dataclass(frozen=True)
class Ready:
    """All that it takes is here. base, proxy: images as they were named, "" for the usual ones."""

    engine: Engine
    registry: str
    base: str
    proxy: str
    port: int


def remove(world: World) -> int:
    """Take away what a demo left in Docker, and say what it was."""
    found = engine.found(world.env)
    with _alone(world):
        _removed(found, world)
    return 0


@contextlib.contextmanager
def ready(args: argparse.Namespace, world: World) -> Iterator[Ready]:
    """Everything that is needed, before anything is played; whoever leaves with an error leaves nothing in Docker.

    EnvironmentFailures `demo-docker`, `demo-needs`, `demo-image`, `demo-registry`, `demo-port`; UsageError `demo-runs`.
    """
    for package, install in PACKAGES:
        if importlib.util.find_spec(package) is None:
            hint = f"pip install {install}   (or the extra: mlops-toolkit[publish])"
            raise EnvironmentFailure("demo-needs", f"publishing an image needs {install}", hint=hint)
    found = engine.found(world.env)
    with _alone(world):
        if found.left():
            print("an earlier demo is still in Docker", file=world.out, flush=True)
            _removed(found, world)
        _images(found, args, world)
        port = _port(args.port)
        try:
            yield Ready(found, args.registry or found.registry(), args.base, args.proxy, port)
        except BaseException:
            print("\nit ended before its end", file=world.out, flush=True)
            _removed(found, world)
            raise


@contextlib.contextmanager
def _alone(world: World) -> Iterator[None]:
    """UsageError `demo-runs`: two would take each other's things away."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(cache(world.env) / "demo.lock", wait=False))
        except BlockingIOError as error:
            raise UsageError(
                "demo-runs", "another demo of this user is in Docker's hands right now", hint="wait until it has ended"
            ) from error
        yield


def _removed(found: Engine, world: World) -> None:
    gone = found.remove()
    words = (
        ", ".join(f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in sorted(gone.items(), key=lambda one: ORDER.index(one[0])))
        or "nothing was there"
    )
    print(f"removed from Docker: {words}; images that others may use, too, stay (`docker image ls`)\n", file=world.out, flush=True)


def _images(found: Engine, args: argparse.Namespace, world: World) -> None:
    """EnvironmentFailure `demo-image`: what the model's image stands on, or the proxy before it, cannot be had."""
    base = args.base or default_base(".".join(map(str, sys.version_info[:3])))
    proxy = args.proxy or Managed.image
    why = _published_from(base, world)
    for what, name, option in (("the base image", base, "--base"), ("the proxy's image", proxy, "--proxy")):
        if not why and not found.has(name):
            print(f"pulling {name}", file=world.out, flush=True)
            why = found.pull(name)
        if why:
            of = "with a Python 3.10 or newer in it" if option == "--base" else "of HAProxy 2.4 or newer"
            hint = f"name one {of} that is in reach from here: {option} IMAGE"
            raise EnvironmentFailure("demo-image", f"{what} {name} cannot be had: {why}", hint=hint)


def _published_from(base: str, world: World) -> str:
    """Why publishing cannot read a base image at its registry, "" where it can."""
    reference = Reference.parse(base, where="--base")
    try:
        with contextlib.closing(world.registry(reference)) as registry:
            return "" if registry.pull_manifest(reference.target) is not None else "there is no such image"
    except MlopsError as error:
        return error.message


def _port(asked: int) -> int:
    """A port of this machine that nobody has. EnvironmentFailure `demo-port`."""
    for port in (asked,) if asked else (PORT, 0):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("", port))
            return int(free.getsockname()[1])
    raise EnvironmentFailure("demo-port", f"port {asked} is taken on this machine", hint="name another one, or leave --port out")


def play(stage: Stage, here: Ready) -> tuple[int, ...]:
    """Three releases; the exit codes of each one's review, publication and deployment."""
    stage.say("══ to production: three releases, and clients that ask all the time\n")
    stage.say(f"── a pull request: {story.SERVE.title} ({story.SERVE.why})")
    stage.git("switch", "--quiet", "--create", story.SERVE.branch, "main")
    serving(stage, here)
    stage.commit(story.SERVE.title)
    codes = [stage.mlops("review", only=VERDICT), *_released(stage, here, "v1.0.0", story.SERVE.branch, clients=False)]
    stage.say(f"── the pull request that passed above: {story.CHANGES[0].title}. It takes over while clients ask:")
    stage.git("merge", "--quiet", "--no-edit", "-m", story.CHANGES[0].title, story.CHANGES[0].branch)
    codes += [stage.mlops("review", only=VERDICT), *_released(stage, here, "v1.1.0", "")]
    stage.say(f"── a pull request that no test sees through: {story.BAD.title} ({story.BAD.why})")
    stage.git("switch", "--quiet", "--create", story.BAD.branch, "main")
    stage.changed(story.BAD)
    stage.commit(story.BAD.title)
    codes += [stage.mlops("review", only=VERDICT), *_released(stage, here, "v1.2.0", story.BAD.branch)]
    return tuple(codes)


def serving(stage: Stage, here: Ready) -> None:
    """What it takes to be deployed: the code that answers, and where it goes."""
    stage.write("predict.py", (resources.files("mlops_toolkit.demo") / "digits" / "predict.py").read_text(encoding="utf-8"))
    stage.changed(story.SERVE)
    for file, before, after in story.SERVED:
        stage.changed(story.Change("", "", "", file, before, after))
    settings = story.PRODUCTION.format(
        image=f"{here.registry}/{engine.FOLDER}/{here.engine.name}",
        base=f"  base: {here.base}\n" if here.base else "",
        name=here.engine.name,
        port=here.port,
        proxy=f"    proxy-image: {here.proxy}\n" if here.proxy else "",
    )
    stage.write("mlops.yaml", stage.read("mlops.yaml") + settings)
    stage.write("scan.json", traffic.question(traffic.scans()[0]) + "\n")
    stage.git("add", "predict.py", "scan.json")


def _released(stage: Stage, here: Ready, tag: str, branch: str, *, clients: bool = True) -> list[int]:
    """Merged, tagged, published and deployed, as a workflow does it on the tag; what the clients saw of it is said."""
    if branch:
        stage.git("switch", "--quiet", "main")
        stage.git("merge", "--quiet", "--ff-only", branch)
    stage.git("tag", tag)
    codes = [stage.mlops("publish", tag)]
    if codes == [0]:
        with traffic.asking(here.port) if clients else contextlib.nullcontext() as counted:
            codes.append(stage.mlops("deploy", tag))
        if counted is not None:
            stage.say(f"{counted.sentence()}\n")
    return codes


def farewell(stage: Stage, here: Ready, words: str) -> None:
    """words: the command that removes it. What runs now, how it is asked, and how all of it goes away."""
    stage.say("What runs now, on this machine's Docker")
    stage.mlops("status")
    stage.say("Ask it:     curl -s -d @scan.json " + f"http://127.0.0.1:{here.port}{traffic.PATH}   (in the repository)")
    stage.say('Go back:    mlops rollback --reason "a wish"   (there, too)')
    stage.say(f"Remove it:  {words}   (containers, network, volumes and the model's images; it is left running until then)")
