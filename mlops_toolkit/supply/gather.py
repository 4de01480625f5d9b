"""Looking at an image in its registry: what it is made of, and everything that is attached to it. Nothing is decided here, nothing believed.

What is attached comes from whoever may write to the registry: documents are bounded in number and size, and one that cannot be read is
kept as that.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO, Any, Protocol, cast

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError, UsageError
from mlops_toolkit.oci.documents import CONFIG, DOCKER_CONFIG, INDEXES, MANIFESTS, MOST_BYTES, Config, Descriptor, Index, Manifest
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry, Stored
from mlops_toolkit.supply import sign, words
from mlops_toolkit.supply.envelope import Statement, parsed, read_envelope, read_statement
from mlops_toolkit.supply.facts import MODEL, Bill, Claim, Facts, Piece, Signed
from mlops_toolkit.supply.keys import PublicKey

MOST_PLATFORMS, MOST_LAYERS, MOST_ATTACHED = 32, 512, 200
BLOCK = 1 << 20
_NOT_READABLE = ("image-unreadable", "image-damaged")


class ModelReader(Protocol):
    """Puts a model together from layers, the lowest first, without writing any of it."""

    def take(self, layer: Descriptor, stream: IO[bytes]) -> None:
        """Read what one layer holds of the model; InvalidFile, ValueError or OSError where it cannot be read."""

    def digests(self) -> Sequence[str]:
        """What records may call a model of these files, the likeliest first; none where there was no file."""


def gather(registry: Registry, asked: Reference, *, key: PublicKey | None, deep: bool, reader: Callable[[bool], ModelReader]) -> Facts:
    """Everything that can be known of an image. UsageError `no-such-image`; EnvironmentFailure where the registry cannot be asked.

    deep: read every layer, not only down to the one with the model. reader: makes what reads a model out of an artifact (True) or an image.
    """
    stored = _stored(registry, asked)
    look = _Look(registry, deep, reader)
    try:
        manifests, annotations = look.manifests(stored)
    except EnvironmentFailure as error:
        if error.name not in _NOT_READABLE:
            raise
        raise InvalidFile("image-unreadable", error.message, where=str(asked)) from error
    artifact = bool(manifests) and not any(_is_image(manifest) for _, manifest in manifests)
    if MODEL not in annotations and manifests:  # Docker writes no annotations, only labels
        annotations = {**_labels(registry, manifests[0][1]), **manifests[0][1].annotations, **annotations}
    told = annotations.get(MODEL, "")
    models = {look.model(manifest, of, told, artifact=artifact) for of, manifest in manifests}
    for of, manifest in manifests:
        look.rest(manifest, of, artifact=artifact)
    model, note = models.pop() if len(models) == 1 else (None, "its platforms hold different models" if models else "it has no layers")
    signed, spoiled = sign.signatures(registry, stored.digest, key)
    listed = referrers(registry, stored.digest)
    claims, bad = statements(registry, stored.digest, listed, key)
    bills, worse = _bills(registry, stored.digest, listed)
    return Facts(
        asked=str(asked),
        name=registry.name,
        digest=stored.digest,
        form="artifact" if artifact else "image",
        annotations=annotations,
        pieces=tuple(look.pieces.values()),
        model=model,
        model_note=note,
        signatures=signed,
        claims=claims,
        bills=bills,
        unreadable=(*spoiled, *bad, *worse),
        key=key.fingerprint if key else None,
    )


def _stored(registry: Registry, asked: Reference) -> Stored:
    found = registry.pull_manifest(asked.target)
    if found is None:
        hint = "is the name right, and may this login read it? private images look like absent ones"
        raise UsageError("no-such-image", f"there is no {asked.target[:80]} in {registry.name}", where="IMAGE", hint=hint)
    return found


class _Look:
    """One look at what an image is made of. pieces: by digest, in the order in which they were met."""

    def __init__(self, registry: Registry, deep: bool, reader: Callable[[bool], ModelReader]) -> None:
        self._registry, self._deep, self._reader = registry, deep, reader
        self._models: dict[tuple[str, ...], tuple[str | None, str]] = {}
        self.pieces: dict[str, Piece] = {}

    def manifests(self, stored: Stored) -> tuple[list[tuple[str, Manifest]], dict[str, str]]:
        """(` of PLATFORM`, manifest) of each platform that could be read, and the annotations of the whole."""
        if stored.media_type not in INDEXES:
            alone = Manifest.read(stored.content, stored.media_type)
            self.pieces[stored.digest] = Piece("the manifest", stored.digest, len(stored.content), "read")
            return [("", alone)], dict(alone.annotations)
        index = Index.read(stored.content, stored.media_type)
        self.pieces[stored.digest] = Piece("the index", stored.digest, len(stored.content), "read")
        if len(index.manifests) > MOST_PLATFORMS:
            raise InvalidFile("too-many-platforms", f"it lists {len(index.manifests)} manifests; {MOST_PLATFORMS} at most are looked at")
        found = []
        for entry in index.manifests:
            of = f" of {entry.platform}" if entry.platform else ""
            piece, manifest = _manifest(self._registry, entry, f"the manifest{of}")
            self.pieces[piece.digest] = piece
            if manifest is not None:
                found.append((of, manifest))
        return found, dict(index.annotations)

    def model(self, manifest: Manifest, of: str, told: str, *, artifact: bool) -> tuple[str | None, str]:
        """(digest of the model that the layers hold, why there is none). told: what the image says it is."""
        if len(manifest.layers) > MOST_LAYERS:
            raise InvalidFile(
                "too-many-layers", f"the manifest{of} lists {len(manifest.layers)} layers; {MOST_LAYERS} at most are looked at"
            )
        known = tuple(layer.digest for layer in manifest.layers)
        if known in self._models:
            return self._models[known]
        reader, why, digests = self._reader(artifact), "", list[str]()
        if artifact or self._deep:
            for number, layer in enumerate(manifest.layers, 1):
                why = why or self._take(reader, layer, f"layer {number}{of}")
            digests = list(reader.digests())
        else:  # it is the last one, or, in an image that Docker built, one of the last
            for number, layer in reversed(list(enumerate(manifest.layers, 1))):
                why = self._take(reader, layer, f"layer {number}{of}")
                digests = list(reader.digests())
                if why or digests:
                    break
        found = None if why else told if told in digests else next(iter(digests), None)
        self._models[known] = (found, why or ("" if found else "there is none in its layers"))
        return self._models[known]

    def _take(self, reader: ModelReader, layer: Descriptor, what: str) -> str:
        """Let it read one layer; why it could not, or ""."""
        why = ""

        def read(stream: IO[bytes]) -> None:
            nonlocal why
            try:
                reader.take(layer, stream)
            except EnvironmentFailure:
                raise
            except (InvalidFile, ValueError, OSError, EOFError, zlib.error) as error:
                why = error.message if isinstance(error, MlopsError) else str(error)[:200]

        piece = self._read(layer, what, read)
        self.pieces[layer.digest] = piece
        return f"{what}: {why}" if why and piece.state == "read" else "" if piece.state == "read" else f"{what} is {piece.state}"

    def rest(self, manifest: Manifest, of: str, *, artifact: bool) -> None:
        """The configuration, and the layers that were not read for the model."""
        config = manifest.config
        if config.digest not in self.pieces:
            begin = bytearray()

            def read(stream: IO[bytes]) -> None:
                while len(begin) <= MOST_BYTES and (block := stream.read(BLOCK)):
                    begin.extend(block)

            piece = self._read(config, f"the configuration{of}", read)
            wrong = "" if artifact or piece.state != "read" else _configured(bytes(begin), manifest)
            self.pieces[config.digest] = replace(piece, state="wrong", note=wrong) if wrong else piece
        for number, layer in enumerate(manifest.layers, 1):
            if layer.digest in self.pieces:
                continue
            what = f"layer {number}{of}"
            if self._deep:
                self.pieces[layer.digest] = self._read(layer, what, lambda _: None)
            else:
                there = self._registry.blob_exists(layer.digest)
                self.pieces[layer.digest] = Piece(what, layer.digest, layer.size, "there" if there else "missing")

    def _read(self, blob: Descriptor, what: str, read: Callable[[IO[bytes]], None]) -> Piece:
        """A blob read to its end, and held against its digest and size."""
        piece = Piece(what, blob.digest, blob.size, "read")
        try:
            with self._registry.pull_blob(blob.digest) as stream:
                if stream is None:
                    return replace(piece, state="missing")
                counted = Counted(cast("IO[bytes]", stream), blob.size)
                read(cast("IO[bytes]", counted))
                counted.drain()
        except EnvironmentFailure as error:
            if error.name not in _NOT_READABLE:
                raise
            return replace(piece, state="wrong", note=error.message)
        return piece


def _is_image(manifest: Manifest) -> bool:
    return manifest.config.media_type in (CONFIG, DOCKER_CONFIG)


def _labels(registry: Registry, manifest: Manifest) -> dict[str, str]:
    body = sign.read_blob(registry, manifest.config)
    try:
        labels = Config.read(body).config.get("Labels") if isinstance(body, bytes) else None
    except EnvironmentFailure:
        return {}  # told as a piece
    return {key: value for key, value in labels.items() if isinstance(value, str)} if isinstance(labels, dict) else {}


def _manifest(registry: Registry, entry: Descriptor, what: str) -> tuple[Piece, Manifest | None]:
    piece = Piece(what, entry.digest, entry.size, "read")
    try:
        found = registry.pull_manifest(entry.digest)
        if found is None:
            return replace(piece, state="missing"), None
        if len(found.content) != entry.size:
            return replace(piece, state="wrong", note="it has another size"), None
        return piece, Manifest.read(found.content, found.media_type)
    except EnvironmentFailure as error:
        if error.name not in _NOT_READABLE:
            raise
        return replace(piece, state="wrong", note=error.message), None


class Counted:
    """A blob as it is read (its digest is held by the registry's client), with an end where it grows beyond its size."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left = source, size

    def read(self, amount: int = -1) -> bytes:
        block = self._source.read(BLOCK if amount < 0 else min(amount, BLOCK))
        self._left -= len(block)
        if self._left < 0:
            raise EnvironmentFailure("image-damaged", "it is larger than its manifest says")
        return block

    def drain(self) -> None:
        while self.read(BLOCK):
            pass
        if self._left:
            raise EnvironmentFailure("image-damaged", "it is smaller than its manifest says")


def _configured(body: bytes, manifest: Manifest) -> str:
    """What is wrong with an image's configuration beside its digest; "" where nothing is."""
    try:
        config = Config.read(body)
    except EnvironmentFailure as error:
        return error.message
    if len(config.diff_ids) != len(manifest.layers):
        return f"it names {len(config.diff_ids)} layers, the manifest {len(manifest.layers)}"
    return ""


def statements(
    registry: Registry, digest: str, listed: Sequence[Descriptor], key: PublicKey | None
) -> tuple[tuple[Claim, ...], tuple[tuple[str, str], ...]]:
    """Every statement that is attached to a digest, each once: as a referrer, or under cosign's tag; and what is none: (place, why).

    listed: its `referrers`.
    """
    claims: dict[tuple[bytes, Signed], Claim] = {}
    spoiled: list[tuple[str, str]] = []
    for place, media_type, body in _documents(registry, digest, listed):
        if isinstance(body, str):
            spoiled.append((place, body))
            continue
        try:
            said, signed = _statement(media_type, body, key)
        except ValueError as error:
            spoiled.append((place, str(error)[:200]))
            continue
        claims.setdefault((said.payload, signed), Claim(place, said, signed))
    return tuple(claims.values()), tuple(spoiled)


def _statement(media_type: str, body: bytes, key: PublicKey | None) -> tuple[Statement, Signed]:
    if media_type == words.IN_TOTO:
        return read_statement(body), "unchecked" if key is None else "unsigned"
    envelope = read_envelope(body)
    if envelope.payload_type != words.IN_TOTO:
        raise ValueError("signed, but no statement")
    signed: Signed = "unchecked"
    if key is not None and envelope.signed_by(key):
        signed = "key"
    elif envelope.keyless:
        signed = "keyless"
    elif key is not None:
        signed = "other" if envelope.signatures else "unsigned"
    return read_statement(envelope.payload), signed


def _documents(registry: Registry, digest: str, listed: Sequence[Descriptor]) -> Iterator[tuple[str, str, bytes | str]]:
    """(place, media type, bytes or why there are none) of everything that may be a statement."""
    for one in listed:
        kind = one.artifact_type or ""
        if kind not in (words.IN_TOTO, words.DSSE) and not kind.startswith(words.BUNDLES):
            continue
        yield from _of_referrer(registry, one, digest)
    tag = words.tag_of(digest, "att")
    try:
        held = sign.layers(registry, tag)
    except EnvironmentFailure as error:
        if error.name not in _NOT_READABLE:
            raise
        yield tag, "", error.message
        return
    for number, layer in enumerate(held[:MOST_ATTACHED], 1):
        yield f"{tag} #{number}", layer.media_type, sign.read_blob(registry, layer)


def referrers(registry: Registry, digest: str) -> list[Descriptor]:
    """What says that it is about a digest, as far as it is looked at."""
    return [one for one in registry.referrers(digest) if one.media_type in MANIFESTS][:MOST_ATTACHED]


def _of_referrer(registry: Registry, one: Descriptor, digest: str) -> Iterator[tuple[str, str, bytes | str]]:
    """The layers of an artifact that really has this image as its subject: a list of referrers under a tag may say anything."""
    place = f"{one.digest[:19]}…"
    piece, manifest = _manifest(registry, one, "a referrer")
    if manifest is None:
        yield place, "", "it is not in the registry" if piece.state == "missing" else f"it is not what its digest says: {piece.note}"
        return
    if manifest.subject is None or manifest.subject.digest != digest:
        yield place, "", "it is listed, but is about another image"
        return
    for layer in manifest.layers[:10]:
        yield place, layer.media_type, sign.read_blob(registry, layer)


def _bills(registry: Registry, digest: str, listed: Sequence[Descriptor]) -> tuple[tuple[Bill, ...], tuple[tuple[str, str], ...]]:
    """The bills of materials among the referrers."""
    found, spoiled = [], []
    for one in listed:
        if one.artifact_type != words.SBOM:
            continue
        for place, media_type, body in _of_referrer(registry, one, digest):
            if isinstance(body, str):
                spoiled.append((place, body))
            elif media_type == words.SBOM:
                try:
                    found.append(_bill(place, body))
                except ValueError as error:
                    spoiled.append((place, str(error)[:200]))
    return tuple(found), tuple(spoiled)


def _bill(place: str, body: bytes) -> Bill:
    document: Any = parsed(body)
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise ValueError("no bill of materials")
    metadata = document.get("metadata")
    root = metadata.get("component") if isinstance(metadata, dict) else None
    about = root.get("bom-ref") if isinstance(root, dict) else None
    parts = document.get("components")
    return Bill(
        place,
        f"sha256:{hashlib.sha256(body).hexdigest()}",
        about if isinstance(about, str) else None,
        len(parts) if isinstance(parts, list) else 0,
    )
