"""What a target must know of an image before it runs it: the Python in it, and what it stands on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import INDEXES, MANIFESTS, Config, Index, Manifest
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry

BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
_PYTHON = re.compile(r"(?:/[\w.-]+)*/?python[\w.]*")


@dataclass(frozen=True)
class Seen:
    """python: the path of the image's own; base: NAME@sha256:… of what it stands on, None where that is not told."""

    python: str = "python3"
    base: str | None = None


def seen(image: str, login: Callable[[str], Login | None]) -> Seen:
    """Read from the image's configuration in its registry. UsageError `no-such-image`; EnvironmentFailure where the registry cannot be asked."""
    reference = Reference.parse(image)
    with contextlib.closing(Registry(reference.host, reference.repository, login(reference.host))) as registry:
        config = _config(registry, reference)
    labels: Any = config.config.get("Labels")
    labels = labels if isinstance(labels, dict) else {}
    name, digest = labels.get(BASE_NAME), labels.get(BASE_DIGEST)
    base = None
    if isinstance(name, str) and isinstance(digest, str):
        with contextlib.suppress(UsageError):
            base = str(Reference.parse(name).at(digest=digest))
    entry: Any = config.config.get("Entrypoint")
    first = entry[0] if isinstance(entry, list) and entry else ""
    return Seen(first if isinstance(first, str) and _PYTHON.fullmatch(first) else "python3", base)


def _config(registry: Registry, image: Reference) -> Config:
    """Of its first platform: what is looked for is the same in all."""
    target = image.target
    for _ in range(2):
        stored = registry.pull_manifest(target, accept=(*INDEXES, *MANIFESTS))
        if stored is None:
            raise UsageError("no-such-image", f"there is no {target} at {registry.host}/{registry.repository}", where=str(image))
        if stored.media_type not in INDEXES:
            raw = registry.read_blob(Manifest.read(stored.content, stored.media_type).config.digest)
            if raw is None:
                raise EnvironmentFailure("image-damaged", "the registry has lost its configuration", where=str(image))
            return Config.read(raw)
        entries = Index.read(stored.content, stored.media_type).manifests
        if not entries:
            break
        target = entries[0].digest
    raise EnvironmentFailure("image-damaged", "its index names no image", where=str(image))
