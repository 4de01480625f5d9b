"""Whatever is changed, removed, moved or added in the registry is found, and each has its own words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.layered import Reader
from mlops_toolkit.oci.documents import INDEX, MANIFEST, canonical, digest_of
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import provenance, sign, words
from mlops_toolkit.supply.attach import Document, attach
from mlops_toolkit.supply.decide import Required, Row, decide, refused
from mlops_toolkit.supply.envelope import bundled, sealed, statement
from mlops_toolkit.supply.facts import Facts
from mlops_toolkit.supply.gather import gather
from mlops_toolkit.supply.keys import PublicKey
from tests.world import proven
from tests.world.fake_registry import FakeRegistry
from tests.world.proven import KEY, OTHER, Proven

REPOSITORY = "owner/spam"


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[FakeRegistry, Proven, dict[str, Any]]]:
    with FakeRegistry().serving() as fake:
        found = proven.published(fake.host, REPOSITORY)
        yield fake, found, {"blobs": dict(fake.blobs), "manifests": dict(fake.manifests)}
        found.registry.close()


@pytest.fixture
def world(made: tuple[FakeRegistry, Proven, dict[str, Any]]) -> Iterator[tuple[FakeRegistry, Proven]]:
    fake, found, before = made
    yield fake, found
    fake.blobs, fake.manifests = dict(before["blobs"]), dict(before["manifests"])


def look(
    registry: Registry, asked: str = "v1.2.3", *, key: PublicKey | None = KEY.public, deep: bool = False, **more: Any
) -> tuple[Facts, list[Row]]:
    reference = Reference.parse(f"{registry.name}{'@' if ':' in asked else ':'}{asked}")
    facts = gather(registry, reference, key=key, deep=deep, reader=Reader)
    return facts, decide(facts, Required(**more))


def names(registry: Registry, **more: Any) -> list[str]:
    return [error.name for error in refused(look(registry, **more)[1])]


def manifest(fake: FakeRegistry, reference: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(fake.manifests[REPOSITORY, reference][1])
    return document


def put(fake: FakeRegistry, reference: str, document: dict[str, Any], media_type: str = MANIFEST) -> str:
    """Store a document under a reference (and its digest), as whoever may write there can."""
    raw = canonical(document)
    for key in (reference, digest_of(raw)):
        fake.manifests[REPOSITORY, key] = (media_type, raw)
    return digest_of(raw)


def remove_statements(fake: FakeRegistry, kind: str) -> None:
    """Both copies of the statements of a kind: among the referrers, and under cosign's tag."""
    for key, (_, raw) in list(fake.manifests.items()):
        document = json.loads(raw)
        if (document.get("annotations") or {}).get(words.BUNDLE_PREDICATE) == kind:
            del fake.manifests[key]
        elif str(key[1]).endswith(".att"):
            document["layers"] = [one for one in document["layers"] if one["annotations"][words.PREDICATE] != kind]
            put(fake, key[1], document)


def remove_sbom(fake: FakeRegistry) -> None:
    for key, (_, raw) in list(fake.manifests.items()):
        if json.loads(raw).get("artifactType") == words.SBOM:
            del fake.manifests[key]


def model_layer(fake: FakeRegistry, found: Proven) -> str:
    digest: str = manifest(fake, found.platforms[0].digest)["layers"][-1]["digest"]
    return digest


def flipped(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def flip(fake: FakeRegistry, digest: str) -> None:
    fake.blobs[REPOSITORY, digest] = flipped(fake.blobs[REPOSITORY, digest])


def sig(found: Proven) -> str:
    return words.tag_of(found.subject.digest, "sig")


def test_as_it_was_published_it_is_verified(world: tuple[FakeRegistry, Proven]) -> None:
    _, found = world
    for deep in (False, True):
        facts, rows = look(found.registry, deep=deep)
        assert {row.mark for row in rows} == {"ok"}
        assert facts.model == proven.model_digest()
        assert [claim.statement.predicate_type for claim in facts.claims if claim.signed != "key"] == []
        assert all(piece.state == "read" for piece in facts.pieces) == deep
    facts, rows = look(found.registry, asked=found.subject.digest, key=None)
    assert {row.what: row.mark for row in rows} == {
        "content": "ok", "model": "ok", "signature": "unproven", "provenance": "unproven", "verdict": "unproven", "materials": "unproven",
    }  # fmt: skip


def test_a_second_time_nothing_is_sent(world: tuple[FakeRegistry, Proven]) -> None:
    """Not even by another job at another time: what it would say is said."""
    fake, found = world
    before = dict(fake.manifests)
    assert found.prove().sent == 0
    later = provenance.Builder(
        "https://github.com/owner/spam/.github/workflows/release.yml@refs/tags/v1.2.3", "run 8", "later", "later", proven.BUILDER.source
    )
    told = provenance.Published(found.registry.name, found.subject.digest, "v1.2.3", base=proven.BASE, sbom=digest_of(found.sbom))
    again = replace(found, documents=[provenance.statement(proven.run(), told, later), found.documents[1]])
    assert again.prove().sent == 0
    assert fake.manifests == before


def test_a_registry_without_a_list_of_its_own_is_written_to_once() -> None:
    """Bill, provenance, verdict and signature reach the list under the tag together: each write is followed by a look whether it stayed."""
    with FakeRegistry(referrers=False).serving() as fake:
        found = proven.published(fake.host, REPOSITORY, sleep=lambda _: None)
        tag = found.subject.digest.replace(":", "-")
        assert [str(asked) for asked in fake.asked].count(f"PUT /v2/{REPOSITORY}/manifests/{tag}") == 1
        assert len(manifest(fake, tag)["manifests"]) == 4
        found.registry.close()


def test_of_an_image_of_too_many_layers_none_is_read(world: tuple[FakeRegistry, Proven]) -> None:
    """It is refused before, whatever it calls itself: an artifact's layers are all read to know its model."""
    fake, found = world
    document = manifest(fake, found.platforms[0].digest)
    for media_type in (document["config"]["mediaType"], "application/x"):
        fake.asked.clear()
        config = {**document["config"], "mediaType": media_type}
        put(fake, "v1.2.3", {**document, "config": config, "layers": document["layers"][-1:] * 513})
        with pytest.raises(MlopsError) as caught:
            look(found.registry)
        assert caught.value.name == "too-many-layers"
        assert not [asked for asked in fake.asked if document["layers"][-1]["digest"] in asked.path]


Change = Callable[[FakeRegistry, Proven], object]


def resigned(fake: FakeRegistry, found: Proven, kind: str, predicate: dict[str, Any], about: str | None = None) -> None:
    """Put another statement of the kind there, signed by the right key: what only its holder can."""
    remove_statements(fake, kind)
    payload = statement(found.registry.name, about or found.subject.digest, kind, predicate)
    attach(found.registry, found.subject, Document("bundle", bundled(sealed(payload, KEY), KEY.public)))


def forged(fake: FakeRegistry, found: Proven, kind: str) -> None:
    """The statement with another content under its old signature."""
    remove_statements(fake, kind)
    (document,) = [one for one in found.documents if json.loads(one)["predicateType"] == kind]
    envelope = {
        **sealed(document, KEY),
        "payload": base64.b64encode(document.replace(b"passed", b"pazzed").replace(b"a1b2", b"a1b3")).decode(),
    }
    attach(found.registry, found.subject, Document("bundle", bundled(envelope, KEY.public)))


def moved_signature(fake: FakeRegistry, found: Proven) -> None:
    """A signature of the same key for another image, under this one's tag."""
    sign.sign(found.registry, found.platforms[0].digest, KEY)
    fake.manifests[REPOSITORY, sig(found)] = fake.manifests[REPOSITORY, words.tag_of(found.platforms[0].digest, "sig")]


def signature_changed(fake: FakeRegistry, found: Proven) -> None:
    document = manifest(fake, sig(found))
    document["layers"][0]["annotations"][words.SIGNATURE] = base64.b64encode(OTHER.sign(b"x")).decode()
    put(fake, sig(found), document)


def payload_changed(fake: FakeRegistry, found: Proven) -> None:
    document = manifest(fake, sig(found))
    body = sign.payload(found.registry.name, f"sha256:{'0' * 64}")
    proven.blob(found.registry, body)
    document["layers"][0].update(digest=digest_of(body), size=len(body))
    put(fake, sig(found), document)


def another_model(fake: FakeRegistry, found: Proven) -> None:
    """The tag on an image with the same words and other weights; its proofs are copied along."""
    marks = manifest(fake, found.subject.digest)["annotations"]
    subject, _ = proven.image(found.registry, marks, {**proven.FILES, "model.onnx": b"other"})
    fake.manifests[REPOSITORY, "v1.2.3"] = fake.manifests[REPOSITORY, subject.digest]
    for suffix in ("sig", "att"):
        fake.manifests[REPOSITORY, words.tag_of(subject.digest, suffix)] = fake.manifests[
            REPOSITORY, words.tag_of(found.subject.digest, suffix)
        ]


def another_bill(fake: FakeRegistry, found: Proven) -> None:
    remove_sbom(fake)
    attach(found.registry, found.subject, Document("sbom", found.sbom.replace(b"numpy", b"nunpy")))


def bill_of_another(fake: FakeRegistry, found: Proven) -> None:
    remove_sbom(fake)
    attach(found.registry, found.subject, Document("sbom", proven.bill(found.registry.name, f"sha256:{'0' * 64}")))


def verdict(**more: Any) -> dict[str, Any]:
    return {"decision": "passed", "sentence": "fine", "model": {"digest": proven.model_digest()}, **more}


PROVENANCE = {
    "buildDefinition": {"externalParameters": {"commit": "f" * 40, "run": proven.RUN}, "resolvedDependencies": []},
    "runDetails": {},
}

TAMPERED: dict[str, tuple[Change, list[str]]] = {
    "a byte of the model": (lambda fake, found: flip(fake, model_layer(fake, found)), ["image-damaged", "model-unread"]),
    "the model's layer removed": (
        lambda fake, found: fake.blobs.pop((REPOSITORY, model_layer(fake, found))),
        ["image-damaged", "model-unread"],
    ),
    "a byte of the configuration": (
        lambda fake, found: flip(fake, manifest(fake, found.platforms[0].digest)["config"]["digest"]),
        ["image-damaged"],
    ),
    "a layer below removed": (
        lambda fake, found: fake.blobs.pop((REPOSITORY, manifest(fake, found.platforms[1].digest)["layers"][0]["digest"])),
        ["image-damaged"],
    ),
    "a platform removed": (lambda fake, found: fake.manifests.pop((REPOSITORY, found.platforms[1].digest)), ["image-damaged"]),
    "the signature removed": (lambda fake, found: fake.manifests.pop((REPOSITORY, sig(found))), ["missing-signature"]),
    "the signature changed": (signature_changed, ["wrong-signature"]),
    "the payload changed": (payload_changed, ["wrong-signature"]),
    "another image's signature": (moved_signature, ["foreign-signature"]),
    "the provenance removed": (lambda fake, found: remove_statements(fake, words.PROVENANCE), ["missing-provenance"]),
    "the provenance changed": (lambda fake, found: forged(fake, found, words.PROVENANCE), ["unsigned-provenance"]),
    "another image's provenance": (
        lambda fake, found: resigned(fake, found, words.PROVENANCE, PROVENANCE, f"sha256:{'0' * 64}"),
        ["foreign-provenance"],
    ),
    "a provenance that says another commit": (lambda fake, found: resigned(fake, found, words.PROVENANCE, PROVENANCE), ["claims-differ"]),
    "the verdict removed": (lambda fake, found: remove_statements(fake, words.GATE), ["missing-verdict"]),
    "the verdict changed": (lambda fake, found: forged(fake, found, words.GATE), ["unsigned-verdict"]),
    "a verdict that failed": (lambda fake, found: resigned(fake, found, words.GATE, verdict(decision="failed")), ["verdict-failed"]),
    "a verdict that says nothing": (lambda fake, found: resigned(fake, found, words.GATE, {}), ["verdict-failed"]),
    "a verdict on another model": (
        lambda fake, found: resigned(fake, found, words.GATE, verdict(model={"digest": f"sha256:{'0' * 64}"})),
        ["foreign-verdict"],
    ),
    "the bill of materials removed": (lambda fake, found: remove_sbom(fake), ["missing-sbom"]),
    "the bill of materials changed": (another_bill, ["sbom-differs"]),
    "another image's bill of materials": (bill_of_another, ["foreign-sbom"]),
    "another model under the tag": (
        another_model,
        ["model-differs", "foreign-signature", "foreign-provenance", "foreign-verdict"],
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_found(world: tuple[FakeRegistry, Proven], what: str) -> None:
    fake, found = world
    change, expected = TAMPERED[what]
    change(fake, found)
    assert names(found.registry) == expected


def test_a_layer_below_is_only_read_when_asked(world: tuple[FakeRegistry, Proven]) -> None:
    fake, found = world
    flip(fake, manifest(fake, found.platforms[0].digest)["layers"][0]["digest"])
    assert names(found.registry) == []
    assert names(found.registry, deep=True) == ["image-damaged", "model-unread"]


def test_the_wrong_key_proves_nothing(world: tuple[FakeRegistry, Proven]) -> None:
    _, found = world
    assert names(found.registry, key=OTHER.public) == ["wrong-signature", "unsigned-provenance", "unsigned-verdict"]


def test_what_others_attach_is_not_believed_and_spoils_nothing(world: tuple[FakeRegistry, Proven]) -> None:
    """A second provenance, a second signature, a certificate, and rubbish of every kind."""
    _, found = world
    registry, subject = found.registry, found.subject
    false = statement(registry.name, subject.digest, words.PROVENANCE, PROVENANCE)
    envelope = sealed(false, OTHER)
    keyless = canonical({**json.loads(bundled(envelope, OTHER.public)), "verificationMaterial": {"certificate": {"rawBytes": "MII="}}})
    for body in (bundled(envelope, OTHER.public), keyless, b"rubbish", b"{}", b"[" * 10_000):
        attach(registry, subject, Document("bundle", body))
    attach(registry, subject, Document("statement", false))
    attach(registry, subject, Document("sbom", b'{"bomFormat": "SPDX"}'))
    sign.sign(registry, subject.digest, OTHER)
    facts, rows = look(registry)
    assert refused(rows) == []
    shown = {row.what: row for row in rows}
    assert shown["signature"].mark == shown["provenance"].mark == "ok"
    assert "COMMIT" not in shown["provenance"].text
    assert proven.COMMIT[:12] in shown["provenance"].text
    assert shown["others"].text == "2 statements that this key did not sign: not believed"
    assert "certificate" in shown["certificates"].text
    assert len(facts.unreadable) == 4


def test_a_listed_referrer_of_another_image_does_not_count(world: tuple[FakeRegistry, Proven]) -> None:
    """Where the registry has no list, anybody may write the one under the tag."""
    fake, found = world
    fake.referrers = False
    try:
        tag = found.subject.digest.replace(":", "-")
        lists = [
            key[1]
            for key, (_, raw) in fake.manifests.items()
            if (json.loads(raw).get("subject") or {}).get("digest") == found.subject.digest
        ]
        entries = [
            {"mediaType": MANIFEST, "digest": one, "size": len(fake.manifests[REPOSITORY, one][1]), "artifactType": words.BUNDLE}
            for one in lists
        ]
        marks = manifest(fake, found.subject.digest)["annotations"]
        other, _ = proven.image(found.registry, {**marks, "other": "one"})
        put(fake, other.digest.replace(":", "-"), {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX)
        put(fake, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, INDEX)
        facts, _ = look(found.registry, asked=other.digest)
        assert facts.claims == ()
        assert {why for _, why in facts.unreadable} == {"it is listed, but is about another image"}
    finally:
        fake.referrers = True


@settings(max_examples=50, phases=(Phase.generate,), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.integers(0, 10_000), some.integers(0, 10_000), some.integers(1, 255))
def test_no_byte_anywhere_can_be_changed(world: tuple[FakeRegistry, Proven], which: int, at: int, by: int) -> None:
    """Of any document or blob: it is refused, or the other copy of that statement says what was signed; and nothing breaks."""
    fake, found = world
    original = {json.loads(one)["predicateType"]: one for one in found.documents}
    before = dict(fake.blobs), dict(fake.manifests)
    places = [*((fake.blobs, key) for key in sorted(fake.blobs)), *((fake.manifests, key) for key in sorted(fake.manifests))]
    stored, key = places[which % len(places)]
    value: Any = stored[key]  # type: ignore[index]
    raw = bytearray(value if isinstance(value, bytes) else value[1])
    raw[at % len(raw)] ^= by
    stored[key] = bytes(raw) if isinstance(value, bytes) else (value[0], bytes(raw))  # type: ignore[index]
    try:
        facts, rows = look(Registry(fake.host, REPOSITORY, None, sleep=lambda _: None), deep=True)
    except MlopsError:
        return
    finally:
        fake.blobs, fake.manifests = before
    if not refused(rows):
        ours = {claim.statement.predicate_type: claim.statement.payload for claim in facts.claims if claim.signed == "key"}
        assert {kind: ours.get(kind) for kind in original} == original
        assert (facts.digest, facts.model) == (found.subject.digest, proven.model_digest())
