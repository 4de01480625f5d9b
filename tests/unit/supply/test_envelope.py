"""Statements and their envelopes: what is signed, byte for byte, and what is refused when it is read."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as some

from mlops_toolkit.oci.documents import canonical
from mlops_toolkit.supply import envelope, words
from mlops_toolkit.supply.keys import PrivateKey
from tests.world.proven import KEY, OTHER

DIGEST = f"sha256:{'a' * 64}"


def test_what_is_signed_is_as_the_specification_of_dsse_has_it() -> None:
    """Its own example: the encoding, and the signature by its key, which RFC 6979 makes the same everywhere."""
    key = PrivateKey(ec.derive_private_key(97358161215184420915383655311931858321456579547487070936769975997791359926199, ec.SECP256R1()))
    encoded = envelope.pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    r, s = decode_dss_signature(key.sign(encoded))
    signature = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
    assert signature == "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="


def test_a_statement_comes_back_as_it_was_made() -> None:
    payload = envelope.statement("ghcr.io/o/r", DIGEST, words.GATE, {"decision": "passed", "ü": [1.5, None]})
    assert payload == envelope.statement("ghcr.io/o/r", DIGEST, words.GATE, {"ü": [1.5, None], "decision": "passed"})
    for raw in (canonical(envelope.sealed(payload, KEY)), envelope.bundled(envelope.sealed(payload, KEY), KEY.public)):
        read = envelope.read_envelope(raw)
        assert (read.payload, read.payload_type, read.keyless) == (payload, words.IN_TOTO, False)
        assert read.signed_by(KEY.public)
        assert not read.signed_by(OTHER.public)
    said = envelope.read_statement(payload)
    assert said.about(DIGEST)
    assert not said.about(DIGEST.replace("a", "b"))
    assert (said.predicate_type, said.predicate["decision"]) == (words.GATE, "passed")


@given(some.integers(0, 10_000), some.integers(1, 255))
def test_no_byte_of_an_envelope_can_be_changed(at: int, by: int) -> None:
    """It is no envelope any more, or the key did not sign it, or it says the same: a keyid, a space, the case of an escape."""
    payload = envelope.statement("ghcr.io/o/r", DIGEST, words.GATE, {"decision": "failed"})
    raw = bytearray(canonical(envelope.sealed(payload, KEY)))
    raw[at % len(raw)] ^= by
    try:
        read = envelope.read_envelope(bytes(raw))
    except ValueError:
        return
    assert not read.signed_by(KEY.public) or (read.payload, read.payload_type) == (payload, words.IN_TOTO)


def test_a_payload_signed_as_something_else_is_not_ours() -> None:
    """The type is signed with it: a key that signed such bytes for another purpose did not sign a statement."""
    payload = envelope.statement("ghcr.io/o/r", DIGEST, words.GATE, {})
    made = envelope.sealed(payload, KEY)
    made["signatures"] = [{"sig": base64.b64encode(KEY.sign(payload)).decode()}]
    assert not envelope.read_envelope(canonical(made)).signed_by(KEY.public)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a signed envelope"),
        (b'{"payloadType": "x", "payload": "e30=", "signatures": {}}', "not a signed envelope"),
        (b'{"payloadType": "x", "payload": "e3 0=", "signatures": []}', "not base64"),
        (b'{"payloadType": "x", "payload": "e31=", "signatures": []}', "not base64 as it is written"),
        (b'{"payloadType": "x", "payload": 5, "signatures": []}', "not base64"),
        (b'{"payload": "e30=", "payloadType": "x", "payloadType": "y", "signatures": []}', "twice"),
        (b'{"payloadType": NaN}', "NaN"),
        (b"[" * 200_000, "nested|recursion|Expecting"),
        (b" " * (words.MOST + 1), "larger than"),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        envelope.read_envelope(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": None},
        {"predicate": []},
        {"subject": {}},
    ],
)
def test_what_is_no_statement_is_refused(change: dict[str, object]) -> None:
    payload = json.loads(envelope.statement("n", DIGEST, words.GATE, {}))
    with pytest.raises(ValueError, match="statement"):
        envelope.read_statement(json.dumps({**payload, **change}).encode())


def test_a_subject_without_a_digest_is_about_nothing() -> None:
    payload = json.loads(envelope.statement("n", DIGEST, words.GATE, {}))
    odd = [5, {"name": "n"}, {"digest": "sha256:aa"}, {"digest": {"sha256": None}}]
    assert not envelope.read_statement(json.dumps({**payload, "subject": odd}).encode()).about(DIGEST)


def test_a_certificate_is_seen() -> None:
    """Whoever brings a certificate along (GitHub's attestations) is no key that was given."""
    made = {
        "mediaType": words.BUNDLE,
        "verificationMaterial": {"certificate": {"rawBytes": ""}},
        "dsseEnvelope": envelope.sealed(envelope.statement("n", DIGEST, words.GATE, {}), OTHER),
    }
    assert envelope.read_envelope(canonical(made)).keyless
