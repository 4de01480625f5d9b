"""Statements about an image (in-toto Statement v1), and the envelopes they are signed in (DSSE v1, alone or in a Sigstore bundle).

Reading is strict: these documents come from whoever could write to the registry.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.oci.documents import canonical, strict
from mlops_toolkit.supply import words
from mlops_toolkit.supply.keys import PrivateKey, PublicKey, decoded


@dataclass(frozen=True)
class Statement:
    """Something said of images by digest. subjects: (name, `sha256:…`); payload: the bytes that were signed."""

    predicate_type: str
    subjects: tuple[tuple[str, str], ...]
    predicate: Mapping[str, Any]
    payload: bytes = b""

    def about(self, digest: str) -> bool:
        return any(subject == digest for _, subject in self.subjects)


@dataclass(frozen=True)
class Envelope:
    """A payload with signatures. keyless: it brings a certificate of its own, which is no key that we were given."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]
    keyless: bool = False

    def signed_by(self, key: PublicKey) -> bool:
        data = pae(self.payload_type, self.payload)
        return any(key.verifies(signature, data) for signature in self.signatures)


def statement(name: str, digest: str, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """A statement about one image. name: its repository, as host/repository; digest: `sha256:…`."""
    algorithm, _, value = digest.partition(":")
    return canonical(
        {
            "_type": words.STATEMENT,
            "subject": [{"name": name, "digest": {algorithm: value}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def parsed(raw: bytes) -> Any:
    """JSON from a registry. ValueError where it is none, too large, too deep, or says a key twice (readers differ in which one counts)."""
    if len(raw) > words.MOST:
        raise ValueError(f"larger than {words.MOST / 1e6:.0f} MB")
    return strict(raw)


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload; ValueError where it is none."""
    data = parsed(payload)
    if not isinstance(data, dict) or data.get("_type") != words.STATEMENT:
        raise ValueError("not an in-toto statement (v1)")
    kind, predicate, subjects = data.get("predicateType"), data.get("predicate"), data.get("subject")
    if not isinstance(kind, str) or not isinstance(predicate, dict) or not isinstance(subjects, list):
        raise ValueError("a statement without subject, type or predicate")  # noqa: TRY004 (what is read is wrong, not the call)
    found = []
    for subject in subjects[:1000]:
        digests = subject.get("digest") if isinstance(subject, dict) else None
        if isinstance(digests, dict):
            found += [(str(subject.get("name", "")), f"{name}:{value}") for name, value in digests.items()]
    return Statement(kind, tuple(found), predicate, payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding, which ties the payload to its type."""
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def sealed(payload: bytes, key: PrivateKey) -> dict[str, Any]:
    """A statement's bytes, signed."""
    signature = key.sign(pae(words.IN_TOTO, payload))
    return {
        "payloadType": words.IN_TOTO,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }


def bundled(made: Mapping[str, Any], key: PublicKey) -> bytes:
    """An envelope as a Sigstore bundle (v0.3), which cosign 3 and GitHub look for. It names the key and holds none."""
    return canonical(
        {
            "mediaType": words.BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": key.hint}},
            "dsseEnvelope": {**made, "signatures": [{"sig": one["sig"]} for one in made["signatures"]]},
        }
    )


def read_envelope(raw: bytes) -> Envelope:
    """A DSSE envelope, alone or in a bundle; ValueError where it is neither."""
    data = parsed(raw)
    keyless = False
    if isinstance(data, dict) and "verificationMaterial" in data:
        material = data["verificationMaterial"]
        keyless = isinstance(material, dict) and ("certificate" in material or "x509CertificateChain" in material)
        data = data.get("dsseEnvelope")
    if not isinstance(data, dict) or not isinstance(data.get("payloadType"), str) or not isinstance(data.get("signatures"), list):
        raise ValueError("not a signed envelope")  # noqa: TRY004 (as above)
    signatures = tuple(decoded(one.get("sig")) for one in data["signatures"][:20] if isinstance(one, dict))
    return Envelope(data["payloadType"], decoded(data.get("payload")), signatures, keyless)
