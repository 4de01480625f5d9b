"""The names by which other programs (cosign, GitHub, ORAS, scanners, admission controllers) find what is attached to an image."""

from __future__ import annotations

SBOM = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLES = "application/vnd.dev.sigstore.bundle"  # of any version
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"

# Annotations, as cosign's specifications name them.
SIGNATURE = "dev.cosignproject.cosign/signature"
PREDICATE = "predicateType"
BUNDLE_CONTENT, BUNDLE_PREDICATE = "dev.sigstore.bundle.content", "dev.sigstore.bundle.predicateType"

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SIGNED = "https://sigstore.dev/cosign/sign/v1"
BILL = "https://cyclonedx.org/bom"
# Ours. URNs, as the schemas of our records have: what was signed once keeps its name when this project moves to another address.
GATE = "urn:mlops:gate:1"
BUILD = "urn:mlops:publish:1"

MOST = 16_000_000  # bytes of a document that is read from a registry


def tag_of(digest: str, suffix: str) -> str:
    """The tag under which cosign keeps what belongs to a digest: `sha256-<hex>.sig`, `.att`."""
    return f"{digest.replace(':', '-')}.{suffix}"
