"""Everything that proves where an image comes from, attached to it in one call; a second call sends nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.oci.documents import Descriptor, canonical
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import words
from mlops_toolkit.supply.attach import attach
from mlops_toolkit.supply.envelope import Statement, bundled, read_statement, sealed, statement
from mlops_toolkit.supply.gather import statements
from mlops_toolkit.supply.keys import PrivateKey
from mlops_toolkit.supply.sign import attest, sign


@dataclass(frozen=True)
class Proof:
    """What is attached: (what, digest of its manifest or name of its tag), and how many of those had to be sent."""

    attached: tuple[tuple[str, str], ...]
    sent: int


def prove(
    registry: Registry,
    subject: Descriptor,
    *,
    sbom: bytes,
    documents: Sequence[bytes],
    key: PrivateKey | None = None,
    also_signed: Sequence[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> Proof:
    """Attach the bill of materials and the statements, signed where there is a key, and sign the image.

    subject      the index (or manifest) that was pushed: media type, digest, size
    documents    in-toto statements about it: the provenance and the gate's verdict
    also_signed  digests of the platforms' own manifests, which get a signature each: a cluster may name an image by those

    A statement that is there and says the same, but for who published it and when, is left as it is.
    """
    before, _ = statements(registry, subject.digest, key.public if key else None)
    there = [
        claim.statement for claim in before if claim.signed == ("key" if key else "unchecked") and claim.statement.about(subject.digest)
    ]
    blobs, made = registry.sent_blobs, []
    made.append(("bill of materials", attach(registry, subject, "sbom", sbom).digest))
    whole = list(documents)
    if key is not None:  # what cosign 3 takes for the signature itself
        whole.insert(0, statement(registry.name, subject.digest, words.SIGNED, {}))
    for document in whole:
        said = read_statement(document)
        if any(_same(said, other) for other in there):
            document = next(other.payload for other in there if _same(said, other))
        made.append((said.predicate_type, _attached(registry, subject, document, said, key, sleep)))
    if key is not None:
        for digest in (subject.digest, *also_signed) * 2:  # the second time looks whether they stayed: others may sign at the same moment
            sign(registry, digest, key, sleep=sleep)
        made += [("signature", words.tag_of(digest, "sig")) for digest in (subject.digest, *also_signed)]
    return Proof(tuple(made), registry.sent_blobs - blobs)


def _attached(
    registry: Registry, subject: Descriptor, document: bytes, said: Statement, key: PrivateKey | None, sleep: Callable[[float], None]
) -> str:
    if key is None:
        return attach(registry, subject, "statement", document, {words.PREDICATE: said.predicate_type}).digest
    envelope = sealed(document, key)
    marks = {words.BUNDLE_CONTENT: "dsse-envelope", words.BUNDLE_PREDICATE: said.predicate_type}
    found = attach(registry, subject, "bundle", bundled(envelope, key.public), marks)
    if said.predicate_type != words.SIGNED:
        attest(registry, subject.digest, canonical(envelope), said.predicate_type, sleep=sleep)
    return found.digest


def _same(one: Statement, other: Statement) -> bool:
    """Whether two statements say the same of the same image, whoever published it and when."""

    def without(predicate: Mapping[str, Any]) -> dict[str, Any]:
        details = predicate.get("runDetails")
        made = {key: value for key, value in predicate.items() if key != "runDetails"}
        return {**made, "byproducts": details.get("byproducts")} if isinstance(details, Mapping) else made

    return (one.predicate_type, one.subjects) == (other.predicate_type, other.subjects) and without(one.predicate) == without(
        other.predicate
    )
