"""The documents of a registry: descriptors, manifests, indexes and image configurations; written canonically, read as if an enemy wrote them.

The OCI's media types and Docker's older ones are both read, the OCI's are written (github.com/opencontainers/image-spec, 1.1).
The same document always gives the same bytes, and so the same digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.reference import is_digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFESTS, INDEXES = (MANIFEST, DOCKER_MANIFEST), (INDEX, DOCKER_INDEX)
OCI_NAME = {
    DOCKER_MANIFEST: MANIFEST,
    DOCKER_INDEX: INDEX,
    DOCKER_CONFIG: CONFIG,
    DOCKER_LAYER: LAYER_GZIP,
}  # the same thing's name at the OCI

MOST_BYTES = 4 * 1024 * 1024  # of a document; what registries take at least
MOST_ENTRIES = 4096
MOST_DEPTH = 32


def digest_of(content: bytes) -> str:
    """`sha256:…` of the bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def matches(content: bytes, digest: str) -> bool:
    """Whether the bytes have that digest (sha256 or sha512)."""
    algorithm, _, value = digest.partition(":")
    return is_digest(digest) and hashlib.new(algorithm, content).hexdigest() == value


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True)
class Platform:
    """What an image runs on: `linux/amd64`, `linux/arm64/v8`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`linux/arm64/v8`; ValueError where it is none. arm64 is v8 without being told."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(part.isascii() and part.replace("-", "").replace(".", "").isalnum() for part in parts):
            raise ValueError(f'"{text}" is no platform')
        return cls(*parts)

    def fits(self, other: Platform) -> bool:
        """Whether an image for `other` is one for this; a variant that only one of them names does not part them."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not self.variant or not other.variant or self.variant == other.variant)


@dataclass(frozen=True)
class Descriptor:
    """What a document says of another one or of a blob. size: bytes. data: the content itself where it is that small."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    artifact_type: str | None = None
    data: bytes | None = None

    @classmethod
    def of(cls, media_type: str, content: bytes, *, inline: bool = False, annotations: Mapping[str, str] | None = None) -> Descriptor:
        """The descriptor of these bytes. inline: the content goes along."""
        return cls(media_type, digest_of(content), len(content), dict(annotations or {}), data=content if inline else None)

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        platform = self.platform and {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            **({"variant": self.platform.variant} if self.platform.variant else {}),
        }
        more = {
            "annotations": dict(self.annotations) or None,
            "artifactType": self.artifact_type,
            "data": None if self.data is None else base64.b64encode(self.data).decode(),
            "platform": platform,
        }
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **{k: v for k, v in more.items() if v is not None}}


EMPTY = b"{}"
EMPTY_CONFIG = Descriptor.of(EMPTY_TYPE, EMPTY, inline=True)


@dataclass(frozen=True)
class Manifest:
    """One image or artifact: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    subject: Descriptor | None = None
    media_type: str = MANIFEST

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.document(),
            "layers": [layer.document() for layer in self.layers],
        }
        return canonical({**document, **_common(self)})

    @classmethod
    def read(cls, content: bytes, media_type: str | None = None) -> Manifest:
        """media_type: what the registry called it. EnvironmentFailure `image-unreadable`."""
        document = read(content, "manifest")
        with_type = _media_type(document, media_type, MANIFESTS, MANIFEST)
        if "manifests" in document or "fsLayers" in document:
            raise unreadable("manifest", "it is a manifest and an index at once")
        layers = tuple(descriptor(entry) for entry in _list(document, "layers"))
        artifact_type, subject, annotations = _shared(document)
        return cls(descriptor(document.get("config")), layers, annotations, artifact_type, subject, with_type)


@dataclass(frozen=True)
class Index:
    """Several manifests: one image's platforms, or what refers to one."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    subject: Descriptor | None = None
    media_type: str = INDEX

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        entries = [entry.document() for entry in self.manifests]
        return canonical({"schemaVersion": 2, "mediaType": self.media_type, "manifests": entries, **_common(self)})

    @classmethod
    def read(cls, content: bytes, media_type: str | None = None) -> Index:
        """media_type: what the registry called it. EnvironmentFailure `image-unreadable`."""
        document = read(content, "index")
        with_type = _media_type(document, media_type, INDEXES, INDEX)
        if "layers" in document or "config" in document or "fsLayers" in document:
            raise unreadable("index", "it is a manifest and an index at once")
        manifests = tuple(descriptor(entry) for entry in _list(document, "manifests"))
        artifact_type, subject, annotations = _shared(document)
        return cls(manifests, annotations, artifact_type, subject, with_type)

    def choose(self, platform: Platform) -> Descriptor | None:
        """The manifest for a platform: one of just that variant first; what is no image (`unknown/unknown`) is none."""
        fitting = [entry for entry in self.manifests if entry.platform is not None and platform.fits(entry.platform)]
        return next((entry for entry in fitting if entry.platform == platform), next(iter(fitting), None))


@dataclass(frozen=True)
class Config:
    """How an image is run, and what its layers are unpacked.

    config    `Env`, `Entrypoint`, `User`, … as the image specification names them
    diff_ids  digests of the layers' unpacked tars, lowest first
    history   one entry a step; those with `empty_layer` have no layer
    other     fields that are kept as they came (`author`, …)
    """

    platform: Platform
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    diff_ids: tuple[str, ...] = ()
    history: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    created: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, Any] = {
            **self.other,
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            "history": [dict(entry) for entry in self.history],
        }
        if self.platform.variant:
            document["variant"] = self.platform.variant
        if self.created is not None:
            document["created"] = self.created
        return canonical(document)

    @classmethod
    def read(cls, content: bytes) -> Config:
        """EnvironmentFailure `image-unreadable`."""
        document = read(content, "configuration")
        rootfs, history = _object(document, "rootfs"), _list(document, "history")
        diff_ids = tuple(_list(rootfs, "diff_ids"))
        if not all(isinstance(entry, str) and is_digest(entry) for entry in diff_ids) or not all(
            isinstance(entry, dict) for entry in history
        ):
            raise unreadable("configuration", "its rootfs or history is not as it should be")
        platform = Platform(*(_text(document, name) or "" for name in ("os", "architecture", "variant")))
        known = ("os", "architecture", "variant", "config", "rootfs", "history", "created")
        other = {key: value for key, value in document.items() if key not in known}
        return cls(platform, _object(document, "config"), diff_ids, tuple(history), _text(document, "created"), other)


def read(content: bytes, what: str) -> dict[str, Any]:
    """A JSON object: no doubled keys, no NaN, not too large or deep. EnvironmentFailure `image-unreadable`."""
    if len(content) > MOST_BYTES:
        raise unreadable(what, f"it is larger than {MOST_BYTES} bytes")
    try:
        document = strict(content)
        _shallow(document)
    except ValueError as error:
        raise unreadable(what, str(error)[:200]) from error
    if not isinstance(document, dict):
        raise unreadable(what, "it is no JSON object")
    return document


def strict(content: bytes) -> Any:
    """JSON in UTF-8 that every reader takes for the same: no doubled keys, no NaN. ValueError for what is none, or is nested too deep."""
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def kind_of(content: bytes, said: str) -> str:
    """A document's media type: what the registry says, or, where that says nothing (plain JSON), what it says itself."""
    if said not in ("", "application/json", "application/octet-stream", "text/plain"):
        return said
    try:
        document = json.loads(content)
        found = document.get("mediaType") or (INDEX if "manifests" in document else MANIFEST)
    except (ValueError, AttributeError, RecursionError):
        return said
    return found if isinstance(found, str) else said


def descriptor(entry: Any) -> Descriptor:
    """A descriptor out of a document. Its addresses (`urls`) are dropped: nothing is fetched from where a document says."""
    if not isinstance(entry, dict):
        raise unreadable("document", "a descriptor is missing")
    media_type, digest, size = entry.get("mediaType"), entry.get("digest"), entry.get("size")
    if not isinstance(media_type, str) or not media_type or len(media_type) > 255:
        raise unreadable("document", "a descriptor has no media type")
    if not isinstance(digest, str) or not is_digest(digest):
        raise unreadable("document", f"a descriptor's digest cannot be checked: {str(digest)[:80]}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise unreadable("document", f"{digest} has no size")
    platform = _object(entry, "platform")
    found = Platform(*(_text(platform, name) or "" for name in ("os", "architecture", "variant"))) if platform else None
    return Descriptor(media_type, digest, size, _annotations(entry), found, _text(entry, "artifactType"), _data(entry, digest, size))


def unreadable(what: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure("image-unreadable", f"the {what} that the registry gave cannot be read: {why}")


def _data(entry: Mapping[str, Any], digest: str, size: int) -> bytes | None:
    text = _text(entry, "data")
    if text is None:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unreadable("document", f"the content along with {digest} is not base64") from error
    if len(data) != size or not matches(data, digest):
        raise unreadable("document", f"the content along with {digest} is another's")
    return data


def _common(of: Manifest | Index) -> dict[str, Any]:
    more = {
        "annotations": dict(of.annotations) or None,
        "artifactType": of.artifact_type,
        "subject": of.subject.document() if of.subject else None,
    }
    return {key: value for key, value in more.items() if value is not None}


def _shared(document: Mapping[str, Any]) -> tuple[str | None, Descriptor | None, dict[str, str]]:
    subject = document.get("subject")
    return _text(document, "artifactType"), None if subject is None else descriptor(subject), _annotations(document)


def _media_type(document: Mapping[str, Any], said: str | None, known: tuple[str, ...], default: str) -> str:
    """Whom to believe: registry and document must agree, or one could be taken for the other."""
    what = "index" if known == INDEXES else "manifest"
    if document.get("schemaVersion") != 2:
        raise unreadable(what, f"its schema version is {str(document.get('schemaVersion'))[:40]}, not 2")
    inside = _text(document, "mediaType")
    if inside and said and inside != said:
        raise unreadable(what, f"it calls itself {inside[:100]}, the registry calls it {said[:100]}")
    found = inside or said or default
    if found not in known:
        raise unreadable(what, f"it is {found[:100]}")
    return found


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise unreadable("document", f"its {key} is no text")
    return value


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, dict):
        raise unreadable("document", f"its {key} is no object")
    return value or {}


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise unreadable("document", f"its {key} is no list")
    if value and len(value) > MOST_ENTRIES:
        raise unreadable("document", f"its {key} has more than {MOST_ENTRIES} entries")
    return value or []


def _annotations(document: Mapping[str, Any]) -> dict[str, str]:
    found = _object(document, "annotations")
    if not all(isinstance(value, str) for value in found.values()):
        raise unreadable("document", "an annotation is no text")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _shallow(document: Any) -> None:
    level: Iterable[Any] = [document]
    for _ in range(MOST_DEPTH):
        level = [
            inner for value in level if isinstance(value, (dict, list)) for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError(f"it is deeper than {MOST_DEPTH} levels")
