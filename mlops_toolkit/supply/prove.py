"""Everything that proves where an image comes from, attached to it in one call; a second call sends nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.oci.documents import Descriptor, canonical
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import words
from mlops_toolkit.supply.attach import Document, attach
from mlops_toolkit.supply.envelope import Statement, bundled, read_statement, sealed, statement
from mlops_toolkit.supply.gather import referrers, statements
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
    earlier: Sequence[bytes] = (),
    keep: Callable[[Sequence[bytes]], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Proof:
    """Attach the bill of materials and the statements, signed where there is a key, and sign the image.

    subject      the index (or manifest) that was pushed: media type, digest, size
    documents    in-toto statements about it: the provenance and the gate's verdict
    also_signed  digests of the platforms' own manifests, which get a signature each: a cluster may name an image by those
    earlier      statements that were to be attached before, by a call that was cut off: what was sent of them is not listed yet in some registries
    keep         told the statements before any of them is sent, for the next call's `earlier`

    A statement that is there (or was to be) and says the same, but for who published it and when, is left as it is.
    """
    before, _ = statements(registry, subject.digest, referrers(registry, subject.digest), key.public if key else None)
    there = [
        claim.statement for claim in before if claim.signed == ("key" if key else "unchecked") and claim.statement.about(subject.digest)
    ]
    there += [one for payload in earlier if (one := _readable(payload)) is not None and one.about(subject.digest)]
    # with a key, what cosign 3 takes for the signature itself
    first = [] if key is None else [statement(registry.name, subject.digest, words.SIGNED, {})]
    wanted = [read_statement(document) for document in (*first, *documents)]
    said = [next((other for other in there if _same(one, other)), one) for one in wanted]
    keep([one.payload for one in said])
    envelopes = [] if key is None else [sealed(one.payload, key) for one in said]
    if key is None:
        attached = [Document("statement", one.payload, {words.PREDICATE: one.predicate_type}) for one in said]
    else:
        attached = [Document("bundle", bundled(envelope, key.public), _marks(one)) for one, envelope in zip(said, envelopes, strict=True)]
    blobs = registry.sent_blobs
    manifests = attach(registry, subject, Document("sbom", sbom), *attached)
    made = list(zip(("bill of materials", *(one.predicate_type for one in said)), (one.digest for one in manifests), strict=True))
    if key is not None:
        for one, envelope in zip(said, envelopes, strict=True):
            if one.predicate_type != words.SIGNED:
                attest(registry, subject.digest, canonical(envelope), one.predicate_type, sleep=sleep)
        for digest in (subject.digest, *also_signed) * 2:  # the second time looks whether they stayed: others may sign at the same moment
            sign(registry, digest, key, sleep=sleep)
        made += [("signature", words.tag_of(digest, "sig")) for digest in (subject.digest, *also_signed)]
    return Proof(tuple(made), registry.sent_blobs - blobs)


def _readable(payload: bytes) -> Statement | None:
    try:
        return read_statement(payload)
    except ValueError:
        return None


def _marks(of: Statement) -> dict[str, str]:
    """How readers of bundles find it."""
    return {words.BUNDLE_CONTENT: "dsse-envelope", words.BUNDLE_PREDICATE: of.predicate_type}


def _same(one: Statement, other: Statement) -> bool:
    """Whether two statements say the same of the same image, whoever published it and when."""

    def without(predicate: Mapping[str, Any]) -> dict[str, Any]:
        details = predicate.get("runDetails")
        made = {key: value for key, value in predicate.items() if key != "runDetails"}
        return {**made, "byproducts": details.get("byproducts")} if isinstance(details, Mapping) else made

    return (one.predicate_type, one.subjects) == (other.predicate_type, other.subjects) and without(one.predicate) == without(
        other.predicate
    )
