"""What was found of an image in its registry: the values between whoever looks and whoever decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.supply.envelope import Statement

# Annotations of ours on the image; the others are the OCI's own.
MODEL, RUN, DECISION = "vnd.mlops.model.digest", "vnd.mlops.run", "vnd.mlops.verdict"
REVISION = "org.opencontainers.image.revision"

Signed = Literal["key", "other", "keyless", "unsigned", "unchecked"]


@dataclass(frozen=True)
class Piece:
    """A document or blob that the image names. state: read (and its digest is right), there (not read), missing, wrong."""

    what: str
    digest: str
    size: int
    state: Literal["read", "there", "missing", "wrong"]
    note: str = ""


@dataclass(frozen=True)
class Signature:
    """A signature in cosign's layout. state: ok, wrong (not of the key), another (right, but of another image), unchecked (no key)."""

    place: str
    state: Literal["ok", "wrong", "another", "unchecked"]
    reference: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement that is attached. signed: by the key that was given, by another, by a certificate, by nobody; unchecked without a key."""

    place: str
    statement: Statement
    signed: Signed


@dataclass(frozen=True)
class Bill:
    """A bill of materials that is attached. about: the digest that it says it is of."""

    place: str
    digest: str
    about: str | None
    parts: int


@dataclass(frozen=True)
class Facts:
    """An image as it lies in its registry.

    asked       as it was asked for; name: its repository as host/repository; digest: what that points at now
    form        image or artifact
    annotations of the index (of the manifest, where there is no index)
    pieces      everything below it
    model       digest of the model that its layer really holds; None where it was not read, and `model_note` says why
    unreadable  what is attached and is no such document: (place, why)
    key         SHA-256 of the public key that signatures were checked with; None: without
    """

    asked: str
    name: str
    digest: str
    form: Literal["image", "artifact"] = "image"
    annotations: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    model: str | None = None
    model_note: str = ""
    signatures: tuple[Signature, ...] = ()
    claims: tuple[Claim, ...] = ()
    bills: tuple[Bill, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    key: str | None = None
