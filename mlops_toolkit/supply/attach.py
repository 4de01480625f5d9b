"""Documents attached to an image as OCI referrers: artifacts whose `subject` is the image, found by its digest alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

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


def attach(registry: Registry, subject: Descriptor, kind: str, payload: bytes, annotations: Mapping[str, str] | None = None) -> Descriptor:
    """Attach a document; what is attached already is not sent again. Returns the descriptor of its manifest.

    subject: media type, digest and size of what it is about. kind: a row of KINDS.
    """
    made = KINDS[kind]
    layer = Descriptor.of(made.media_type, payload, annotations={TITLE: made.title})
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    manifest = Manifest(EMPTY_CONFIG, (layer,), dict(annotations or {}), made.media_type, about)
    content = manifest.to_bytes()
    found = Descriptor.of(MANIFEST, content)
    if any(one.digest == found.digest for one in registry.referrers(subject.digest)):
        return found
    registry.push_blob(layer.digest, layer.size, lambda: io.BytesIO(payload))
    registry.push_blob(EMPTY_CONFIG.digest, EMPTY_CONFIG.size, lambda: io.BytesIO(EMPTY))
    registry.add_referrer(content)
    return found
