"""An image is put together and sent through the registry's own interface, without Docker: what is there already is not sent again.

Everything lies under its digest, the index last; no tag is touched. Killed at any instant, nothing points at what is not whole.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, UsageError
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.image import assemble, base, runtime
from mlops_toolkit.image.base import Base, Registries
from mlops_toolkit.image.layer import plain
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.image.wanted import Package, Pushed, Sent, Wanted
from mlops_toolkit.oci.documents import Descriptor
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.system.files import CHUNK, sha256

if TYPE_CHECKING:
    from mlops_toolkit.oci.registry import Registry

Say = Callable[[str], None]
CONFIGURATION = "configuration"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def push(wanted: Wanted, registries: Registries, say: Say, *, bases: Callable[[Store], list[Base]] | None = None) -> Pushed:
    """Build it for each platform and send it.

    registries  gives the client of a reference's repository, logged in; the same one for the same repository, which the caller closes
    bases       what it stands on, where that is not `wanted.base` itself

    InvalidFile `bad-model`, `model-damaged`; UsageError `no-base`, `no-python`, `no-platform`, `no-packages`, `bad-package`; and what the
    registries say.
    """
    begun = time.monotonic()
    model = verified(wanted)
    store = Store(wanted.cache)
    registry = registries(wanted.repository)
    before = registry.sent_bytes
    found = bases(store) if bases else resolved(wanted, registries, store, say)
    built = [(one, *layers(wanted, model, one, store, say)) for one in found]
    marks = assemble.marks_of(wanted, found[0])
    sha = sha256(wanted.model / manifests.NAME)
    images = [(one, assemble.image(wanted, one, ours, marks, sha)) for one, ours, _ in built]
    blobs: list[Blob] = []
    lent: dict[str, str] = {}
    for one, ours, _ in built:
        theirs = _theirs(one, registries, store)
        blobs += [*theirs, *map(_own, ours)]
        if one.source and one.source.host == wanted.repository.host:
            lent |= {blob.digest: one.source.repository for blob, _, _ in theirs}
    blobs += [(image.config.descriptor, CONFIGURATION, _bytes(image.config.content)) for _, image in images]
    sent = send(registry, blobs, say, lent=lent)
    for _, image in images:
        registry.push_manifest(image.manifest.descriptor.digest, image.manifest.content, image.manifest.descriptor.media_type)
    index = assemble.index(images, marks)
    registry.push_manifest(index.descriptor.digest, index.content, index.descriptor.media_type)
    with suppress(OSError):
        store.trim()
    return Pushed(
        index.descriptor.digest,
        index.content,
        index.descriptor.media_type,
        {str(one.platform): image.manifest.descriptor.digest for one, image in images},
        tuple(sent.values()),
        registry.sent_bytes - before,
        tuple(dict.fromkeys(package for _, _, packages in built for package in packages)),
        found[0].reference,
        time.monotonic() - begun,
    )


def verified(wanted: Wanted) -> Manifest:
    """The model's manifest, every file proven. InvalidFile `bad-model`, `model-damaged`; UsageError `bad-name` for a name that cannot be served."""
    if not _NAME.fullmatch(wanted.name):
        raise UsageError(
            "bad-name",
            f"the model's name {ascii(wanted.name)[:200]} cannot be part of an address",
            where="name",
            hint="letters, digits, dots, dashes and underscores can",
        )
    model = manifests.read(wanted.model)
    manifests.verify(wanted.model, model)
    return model


def resolved(wanted: Wanted, registries: Registries, store: Store, say: Say) -> list[Base]:
    """The base on each platform; where it was named by a tag, it is said how to make it stay the one that it is now."""
    found = base.resolve(wanted.base, wanted.platforms, registries, store, mirrors=wanted.mirrors, python=wanted.python)
    if wanted.base.digest is None and found[0].reference is not None:
        say(f"base {wanted.base} is {found[0].reference.digest} today; to keep it: `base: {found[0].reference}`")
    return found


def layers(wanted: Wanted, model: Manifest, one: Base, store: Store, say: Say) -> tuple[list[Layer], tuple[Package, ...]]:
    """Our layers on a base, the model's last, and the packages in them."""
    installed, packages = runtime.packages(wanted, model, one, store, say)
    beside = runtime.documents(wanted, store)
    return [installed, runtime.server(one, store), *([beside] if beside else []), runtime.model(wanted, model, store)], packages


Blob = tuple[Descriptor, str, Callable[[], IO[bytes]]]


def send(registry: Registry, blobs: Sequence[Blob], say: Say, *, lent: Mapping[str, str] | None = None) -> dict[str, Sent]:
    """Send what is not there, a few at a time, the largest first; by digest what became of each layer, in the order given.

    lent: digest -> a repository of the same registry that may have it.
    """

    def one(blob: Blob) -> Sent:
        described, what, content = blob
        how = registry.push_blob(described.digest, described.size, content, from_repository=(lent or {}).get(described.digest))
        if how == "sent" and what != CONFIGURATION:
            with turn:
                say(f"sent {what}, {_size(described.size)}")
        return Sent(what, described.digest, described.size, how == "sent")

    turn, unique = threading.Lock(), {blob[0].digest: blob for blob in blobs}
    first = sorted(unique.values(), key=lambda blob: -blob[0].size)
    found = {sent.digest: sent for sent in at_once(registry, [partial(one, blob) for blob in first])}
    return {digest: found[digest] for digest, (_, what, _) in unique.items() if what != CONFIGURATION}


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _theirs(one: Base, registries: Registries, store: Store) -> list[Blob]:
    source = registries(one.source) if one.source else None

    def opened(blob: Descriptor) -> Callable[[], IO[bytes]]:
        if source is None or store.has(blob.digest, blob.size):
            return lambda: proven(store.blob(blob.digest), blob.digest)
        return lambda: base.fetched(source, blob, store).open("rb")

    return [(blob, f"base layer {number} of {len(one.layers)}", opened(blob)) for number, blob in enumerate(one.layers, 1)]


def _own(layer: Layer) -> Blob:
    return Descriptor(layer.media_type, layer.digest, layer.size), layer.what, lambda: proven(layer.file, layer.digest)


def proven(file: Path, digest: str, *, cached: bool = True) -> IO[bytes]:
    """A file, open, once its bytes are what they should be. EnvironmentFailure `cache-damaged` for one of the store (it is gone then), else
    InvalidFile `model-changed`.
    """
    source = plain(file)
    sha = hashlib.sha256()
    while chunk := source.read(CHUNK):
        sha.update(chunk)
    if f"sha256:{sha.hexdigest()}" == digest:
        source.seek(0)
        return source
    source.close()
    if not cached:
        raise InvalidFile("model-changed", "it changed while it was sent", where=str(file), hint="let what writes to it end first")
    file.unlink(missing_ok=True)
    raise EnvironmentFailure(
        "cache-damaged", "what was built before is not what it was", where=str(file), hint="run it again: it is built anew"
    )


def _bytes(content: bytes) -> Callable[[], IO[bytes]]:
    return lambda: io.BytesIO(content)
