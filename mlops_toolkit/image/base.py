"""The image that a model's image stands on: which one it is by digest, for each platform, and the Python that is in it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.image.inside import Inside, Python, look
from mlops_toolkit.image.store import Store
from mlops_toolkit.oci.documents import (
    CONFIG,
    DOCKER_CONFIG,
    INDEXES,
    LAYER,
    LAYER_GZIP,
    MANIFESTS,
    OCI_NAME,
    Config,
    Descriptor,
    Index,
    Manifest,
    Platform,
    digest_of,
)
from mlops_toolkit.oci.reference import Reference, mirrored
from mlops_toolkit.system.files import CHUNK

if TYPE_CHECKING:
    from mlops_toolkit.oci.registry import Registry

Registries = Callable[[Reference], "Registry"]
READABLE = (LAYER, LAYER_GZIP)
MOST_LAYERS = 120  # Docker takes 127 in all


@dataclass(frozen=True)
class Base:
    """One platform of it.

    reference  as it was named, with its digest; None where a Dockerfile stands on something else
    source     where its layers are fetched (a mirror, where there is one), None where all of them lie in the store
    layers     lowest first, under the OCI's media types
    python     what will run the server
    """

    reference: Reference | None
    source: Reference | None
    platform: Platform
    layers: tuple[Descriptor, ...]
    config: Config
    python: Python

    @property
    def gpu(self) -> bool:
        """Whether it brings CUDA."""
        return not {"CUDA_VERSION", "NV_CUDA_LIB_VERSION"}.isdisjoint(environment(self.config))


def resolve(
    base: Reference, platforms: tuple[str, ...], registries: Registries, store: Store, *, mirrors: Mapping[str, str], python: str | None
) -> list[Base]:
    """The base of each platform, every document proven by digest. UsageError `no-base`, `no-platform`, `no-python`, `bad-platform`."""
    asked = [_platform(name) for name in platforms]
    source = mirrored(base, mirrors, where="publish.mirrors")
    registry = registries(source)
    raw, media_type, digest = _document(registry, source.target, base, store)
    pinned = base.at(tag=base.tag, digest=digest)
    index = Index.read(raw, media_type) if media_type in INDEXES else None
    found = []
    for platform in asked:
        if index is not None:
            chosen = index.choose(platform)
            if chosen is None:
                known = sorted({str(one.platform) for one in index.manifests if one.platform})
                raise UsageError(
                    "no-platform",
                    f"the base {base} is not there for {platform}",
                    where="publish.platforms",
                    hint=f"it is there for {', '.join(known) or 'no platform by name'}",
                )
            content, kind, _ = _document(registry, chosen.digest, base, store)
        else:
            content, kind = raw, media_type
        found.append(_one(pinned, source.at(digest=digest), platform, Manifest.read(content, kind), registry, store, python))
    return found


def fetched(registry: Registry, blob: Descriptor, store: Store) -> Path:
    """A blob in the store, brought from the registry where it is not there, proven. EnvironmentFailure `base-damaged`, `image-damaged`."""
    if store.has(blob.digest, blob.size):
        return store.blob(blob.digest)
    name = f"{blob.digest[:19]}… of {registry.host}/{registry.repository}"
    with registry.pull_blob(blob.digest) as source, store.writing() as (out, settle):
        if source is None:
            raise EnvironmentFailure("base-damaged", f"the registry has lost {name}", hint="use another base, or pull this one anew")
        size = 0
        while chunk := source.read(CHUNK):  # which holds the digest at its end
            size += len(chunk)
            out.write(chunk)
            if size > blob.size:
                break
        if size != blob.size:
            raise EnvironmentFailure(
                "base-damaged", f"what came as {name} is something else", hint="ask the registry's owner, or a mirror's"
            )
        return settle(blob.digest)


def _document(registry: Registry, target: str, base: Reference, store: Store) -> tuple[bytes, str, str]:
    """Bytes, media type and digest. One that is asked for by digest is kept and not asked for again: hubs count what is asked."""
    kept = _kept(store, target)
    if kept is not None:
        return kept
    found = registry.pull_manifest(target, accept=(*INDEXES, *MANIFESTS))
    if found is None:
        where = f"{registry.host}/{registry.repository}"
        raise UsageError("no-base", f"there is no {target} at {where}", where="publish.base", hint=f'"{base}" names the base image')
    with contextlib.suppress(OSError, UnicodeDecodeError):
        store.remember(_key(found.digest), {"text": found.content.decode(), "type": found.media_type})
    return found


def _kept(store: Store, target: str) -> tuple[bytes, str, str] | None:
    said: Any = store.known(_key(target)) if target.startswith("sha256:") else None
    try:
        content, media_type = str(said["text"]).encode(), str(said["type"])
    except (TypeError, KeyError):
        return None
    return (content, media_type, target) if digest_of(content) == target else None


def _key(digest: str) -> str:
    return f"document-{digest.removeprefix('sha256:')}"


def _platform(name: str) -> Platform:
    try:
        platform = Platform.parse(name)
    except ValueError as error:
        raise UsageError("bad-platform", str(error), where="publish.platforms", hint="write linux/amd64 or linux/arm64") from error
    if platform.os != "linux":
        raise UsageError("bad-platform", f"an image for {platform.os} cannot be built", where="publish.platforms", hint="write linux/amd64")
    return platform


def _one(
    pinned: Reference, source: Reference, platform: Platform, manifest: Manifest, registry: Registry, store: Store, python: str | None
) -> Base:
    layers = tuple(Descriptor(OCI_NAME.get(one.media_type, one.media_type), one.digest, one.size) for one in manifest.layers)
    strange = [one.media_type for one in layers if not one.media_type.startswith(LAYER)]
    if strange or manifest.config.media_type not in (CONFIG, DOCKER_CONFIG) or len(layers) > MOST_LAYERS:
        what = f"layers of the type {strange[0]}" if strange else f"{len(layers)} layers" if layers else "no layers"
        raise UsageError("no-base", f"{pinned} is no image that another can stand on: it has {what}", where="publish.base")
    raw = fetched(registry, manifest.config, store).read_bytes()
    config = Config.read(raw)
    if len(config.diff_ids) != len(layers):
        raise EnvironmentFailure("base-damaged", f"{pinned} has {len(layers)} layers, its configuration tells of {len(config.diff_ids)}")
    if not platform.fits(config.platform):
        raise UsageError("no-platform", f"the base {pinned} is for {config.platform}", where="publish.platforms", hint="name another base")
    key = "inside-" + hashlib.sha256(" ".join(one.digest for one in layers).encode()).hexdigest()
    inside = Inside.read(store.known(key))
    if inside is None:
        inside = look([fetched(registry, one, store) for one in layers if one.media_type in READABLE])
        store.remember(key, inside.document())
    return standing(f"the base {pinned}", config, layers, inside, python, reference=pinned, source=source)


def standing(
    name: str,
    config: Config,
    layers: tuple[Descriptor, ...],
    inside: Inside,
    python: str | None,
    *,
    reference: Reference | None,
    source: Reference | None,
) -> Base:
    """A base of which all is known. name: for people. UsageError `no-python`."""
    chosen = inside.python(environment(config).get("PATH"), python)
    if chosen is None:
        there = ", ".join(inside.pythons) or "none"
        raise UsageError(
            "no-python",
            f"{name} has no Python {python or '3.10 or newer'} for {config.platform} (found: {there})",
            where="publish.base",
            hint="name an image with Python in it, such as python:3.12-slim",
        )
    return Base(reference, source, config.platform, layers, config, chosen)


def environment(config: Config) -> dict[str, str]:
    """What an image sets, by name."""
    said = config.config.get("Env") or []
    return dict(str(one).partition("=")[::2] for one in said) if isinstance(said, list) else {}
