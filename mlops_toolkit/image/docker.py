"""Where something must be installed that is no Python package: Docker builds what the model's image stands on, and the rest is as ever.

From the user's Dockerfile, or from ours where only system packages are asked for. Docker's layers are taken out of it, their times set to
the commit's, and sent by us: so the push resumes, sends nothing twice, needs no login of Docker's, and the image is hardened like any other.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.image import engine
from mlops_toolkit.image.base import READABLE, Base, Registries, standing
from mlops_toolkit.image.inside import look
from mlops_toolkit.image.layer import repacked
from mlops_toolkit.image.push import push, resolved
from mlops_toolkit.image.store import Store
from mlops_toolkit.image.wanted import Pushed, Wanted
from mlops_toolkit.oci.documents import Config, Descriptor, Platform
from mlops_toolkit.oci.reference import mirrored

Say = Callable[[str], None]
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:~-]*(=[A-Za-z0-9][A-Za-z0-9+.:~-]*)?")
_BASE = re.compile(r"^\s*ARG\s+BASE\b", re.MULTILINE | re.IGNORECASE)
# What package managers leave behind that holds times, or is of no use to a server.
_DEBIAN = (
    "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {packages} && "
    "rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log "
    "/var/log/alternatives.log"
)
_ALPINE = "apk add --no-cache {packages}"


@dataclass(frozen=True)
class Recipe:
    """What Docker builds.

    dockerfile  the user's, None for ours
    context     the folder that its COPY reads from
    packages    of the base's own distribution, for ours
    """

    dockerfile: Path | None = None
    context: Path | None = None
    packages: tuple[str, ...] = ()


def build(wanted: Wanted, recipe: Recipe, registries: Registries, say: Say, *, env: Mapping[str, str] | None = None) -> Pushed:
    """As `push.push`, on what Docker builds. A Dockerfile is given the build arguments BASE (the configured base, by digest), MODEL (its name)
    and SOURCE_DATE_EPOCH.

    EnvironmentFailure `no-docker`; CommandFailed `docker-build-failed`; UsageError `no-dockerfile`, `bad-package`, `docker-platform`.
    """
    env = dict(os.environ if env is None else env)
    return push(wanted, registries, say, bases=partial(_bases, wanted, recipe, registries, say, env))


def written(packages: tuple[str, ...], *, musl: bool) -> str:
    """Our Dockerfile: the base with packages of its distribution. UsageError `bad-package`."""
    for name in packages:
        if not _PACKAGE.fullmatch(name):
            raise UsageError("bad-package", f"{ascii(name)[:200]} is no name of a package", where="publish.system-packages")
    command = (_ALPINE if musl else _DEBIAN).format(packages=" ".join(sorted(packages)))
    return f"ARG BASE\nFROM ${{BASE}}\nUSER 0:0\nRUN {command}\n"


def _bases(wanted: Wanted, recipe: Recipe, registries: Registries, say: Say, env: Mapping[str, str], store: Store) -> list[Base]:
    text = _text(recipe)
    bases = resolved(wanted, registries, store, say) if text is None or _BASE.search(text) else [None] * len(wanted.platforms)
    with contextlib.closing(engine.found(env)) as docker:
        return [_one(wanted, recipe, text, name, base, docker, store, say) for name, base in zip(wanted.platforms, bases, strict=True)]


def _one(
    wanted: Wanted, recipe: Recipe, text: str | None, name: str, base: Base | None, docker: engine.Engine, store: Store, say: Say
) -> Base:
    if not docker.platform().fits(Platform.parse(name)):
        raise UsageError(
            "docker-platform",
            f"the Docker engine here builds for {docker.platform()}, not for {name}",
            where="publish.platforms",
            hint="name this platform alone, or do without Dockerfile and system packages",
        )
    content = text if text is not None else written(recipe.packages, musl=base is not None and base.python.libc == "musl")
    return _built(wanted, content, recipe.context, base, docker, store, say)


def _text(recipe: Recipe) -> str | None:
    if recipe.dockerfile is None:
        return None
    try:
        return recipe.dockerfile.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("no-dockerfile", f"it cannot be read: {error}", where=f"publish.dockerfile: {recipe.dockerfile}") from error


def _built(wanted: Wanted, text: str, context: Path | None, base: Base | None, docker: engine.Engine, store: Store, say: Say) -> Base:
    arguments = {"MODEL": wanted.name, "SOURCE_DATE_EPOCH": str(wanted.epoch)}
    if base is not None and base.source is not None and base.reference is not None:
        arguments["BASE"] = str(mirrored(base.reference.at(digest=base.source.digest), wanted.mirrors))
    with tempfile.TemporaryDirectory(prefix="mlops-docker-") as temporary:
        folder = Path(temporary)
        (folder / "Dockerfile").write_text(text, encoding="utf-8")
        (folder / "empty").mkdir()
        say(f"Docker builds what it stands on ({docker.name})")
        image = docker.build(folder / "Dockerfile", context or folder / "empty", arguments, folder / "id")
        docker.save(image, folder / "image.tar")
        return _taken(folder / "image.tar", wanted, base, store)


def _taken(saved: Path, wanted: Wanted, base: Base | None, store: Store) -> Base:
    """What Docker built, out of the archive that it saved; the layers of the base are the base's own."""
    with tarfile.open(saved) as archive:
        said = json.loads(_member(archive, "manifest.json"))[0]
        config = Config.read(_member(archive, said["Config"]))
        if len(config.diff_ids) != len(said["Layers"]):
            raise _strange("another number of layers than its configuration tells of")
        below = len(base.layers) if base and config.diff_ids[: len(base.layers)] == base.config.diff_ids else 0
        layers = list(base.layers[:below]) if base else []
        diffs = list(config.diff_ids[:below])
        for name in said["Layers"][below:]:
            layer = repacked(_opened(archive, name), store, "what Docker built", wanted.epoch)
            layers.append(Descriptor(layer.media_type, layer.digest, layer.size))
            diffs.append(layer.diff_id)
    found = look([store.blob(one.digest) for one in layers if one.media_type in READABLE and store.has(one.digest, one.size)])
    made = Config(
        config.platform, {"Env": config.config.get("Env") or [], "Labels": config.config.get("Labels")}, tuple(diffs), _history(diffs)
    )
    lower = base if below else None
    if not found.pythons and lower is not None:  # Python is the base's, which was looked into before
        return replace(lower, layers=tuple(layers), config=made)
    return standing(
        "what Docker built",
        made,
        tuple(layers),
        found,
        wanted.python,
        reference=lower.reference if lower else None,
        source=lower.source if lower else None,
    )


def _history(diffs: list[str]) -> tuple[dict[str, Any], ...]:
    """Docker's own names the time of each step, and the machine's: other bytes at each build."""
    return tuple({"created_by": f"layer {number}"} for number, _ in enumerate(diffs, 1))


def _member(archive: tarfile.TarFile, name: Any) -> bytes:
    return _opened(archive, name).read(8 << 20)


def _opened(archive: tarfile.TarFile, name: Any) -> IO[bytes]:
    try:
        source = archive.extractfile(str(name))
    except KeyError as error:
        raise _strange(f"no {name}") from error
    if source is None:
        raise _strange(f"no {name}")
    return source


def _strange(what: str) -> EnvironmentFailure:
    return EnvironmentFailure("no-docker", f"the image that Docker saved cannot be read: it has {what}", hint="another version of Docker?")
