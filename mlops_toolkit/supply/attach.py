"""Documents attached to an image as OCI referrers: artifacts whose `subject` is the image, found by its digest alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from mlops_toolkit.oci.documents import EMPTY, EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import words

TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Kind:
    """How a document is attached: its media type, which is also the artifact's type, and the file it becomes when it is pulled."""

    media_type: str
    title: str


# A new kind of document is a row here.
KINDS: Mapping[str, Kind] = {
    "sbom": Kind(words.SBOM, "sbom.cdx.json"),
    "statement": Kind(words.IN_TOTO, "statement.intoto.json"),
    "bundle": Kind(words.BUNDLE, "attestation.sigstore.json"),
}


@dataclass(frozen=True)
class Document:
    """What is to be attached. kind: a row of KINDS; annotations: of its manifest."""

    kind: str
    payload: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)


def attach(registry: Registry, subject: Descriptor, *documents: Document) -> list[Descriptor]:
    """Attach documents; what is attached already is not sent again. Returns the descriptors of their manifests, in order.

    subject: media type, digest and size of what they are about.
    """
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    there = {one.digest for one in registry.referrers(subject.digest)}
    found, new = [], []
    for one in documents:
        kind = KINDS[one.kind]
        layer = Descriptor.of(kind.media_type, one.payload, annotations={TITLE: kind.title})
        content = Manifest(EMPTY_CONFIG, (layer,), one.annotations, kind.media_type, about).to_bytes()
        manifest = Descriptor.of(MANIFEST, content)
        found.append(manifest)
        if manifest.digest not in there:
            registry.push_blob(layer.digest, layer.size, partial(io.BytesIO, one.payload))
            new.append(content)
    if new:
        registry.push_blob(EMPTY_CONFIG.digest, EMPTY_CONFIG.size, partial(io.BytesIO, EMPTY))
        registry.add_referrers(*new)
    return found
