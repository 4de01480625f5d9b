"""An image is put together and sent through the registry's own interface, without Docker: what is there already is not sent again.

Everything lies under its digest, the index last; no tag is touched. Killed at any instant, nothing points at what is not whole.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, UsageError
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.image import assemble, base, runtime
from mlops_toolkit.image.base import Base, Registries
from mlops_toolkit.image.entries import plain
from mlops_toolkit.image.proof import Proven
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.image.wanted import Package, Pushed, Sent, Wanted
from mlops_toolkit.oci.documents import Descriptor
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.oci.wire import Source
from mlops_toolkit.system.files import sha256

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
    making = _Making(wanted, model, found, store, say)
    below = [_theirs(one, registries, store) for one in found]
    lent = {
        described.digest: one.source.repository
        for one, theirs in zip(found, below, strict=True)
        if one.source and one.source.host == wanted.repository.host
        for described, _, _ in theirs
    }
    largest = sorted((blob for theirs in below for blob in theirs), key=lambda blob: -blob[0].size)
    sent = send(registry, chain(largest, making.blobs()), say, lent=lent)
    for _, image in making.images:
        registry.push_manifest(image.manifest.descriptor.digest, image.manifest.content, image.manifest.descriptor.media_type)
    index = assemble.index(making.images, making.marks)
    registry.push_manifest(index.descriptor.digest, index.content, index.descriptor.media_type)
    with suppress(OSError):
        store.trim()
    return Pushed(
        index.descriptor.digest,
        index.content,
        index.descriptor.media_type,
        {str(one.platform): image.manifest.descriptor.digest for one, image in making.images},
        tuple(sent[digest] for digest in making.digests),
        registry.sent_bytes - before,
        tuple(dict.fromkeys(making.packages)),
        found[0].reference,
        time.monotonic() - begun,
    )


class _Making:
    """Our layers and configurations, made while what is known already goes up."""

    def __init__(self, wanted: Wanted, model: Manifest, bases: Sequence[Base], store: Store, say: Say) -> None:
        self._wanted, self._model, self._bases, self._store, self._say = wanted, model, bases, store, say
        self.marks = assemble.marks_of(wanted, bases[0])
        self.images: list[tuple[Base, assemble.Image]] = []
        self.packages: list[Package] = []
        self.digests: dict[str, None] = {}  # of all layers, in their order

    def blobs(self) -> Iterator[Blob]:
        """As soon as each is there; the model's layer, the largest of a new version mostly, before all that must be built for another platform."""
        wanted, store = self._wanted, self._store
        sha = sha256(wanted.model / manifests.NAME)
        beside = runtime.documents(wanted, store)
        last = runtime.model(wanted, self._model, store)
        yield from map(_own, [*([beside] if beside else []), last])
        for one in self._bases:
            installed, packages = runtime.packages(wanted, self._model, one, store, self._say)
            yield _own(installed)
            server = runtime.server(one, store)
            yield _own(server)
            self.packages += packages
            ours = [installed, server, *([beside] if beside else []), last]
            self.digests |= dict.fromkeys([layer.digest for layer in one.layers] + [layer.digest for layer in ours])
            image = assemble.image(wanted, one, ours, self.marks, sha)
            self.images.append((one, image))
            yield image.config.descriptor, CONFIGURATION, _bytes(image.config.content)


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


Blob = tuple[Descriptor, str, Callable[[], Source]]


def send(registry: Registry, blobs: Iterable[Blob], say: Say, *, lent: Mapping[str, str] | None = None) -> dict[str, Sent]:
    """Send what is not there, a few at a time, each as soon as it comes; by digest what became of each layer.

    lent: digest -> a repository of the same registry that may have it.
    """

    def one(blob: Blob) -> Sent:
        described, what, content = blob
        how = registry.push_blob(described.digest, described.size, content, from_repository=(lent or {}).get(described.digest))
        if how == "sent" and what != CONFIGURATION:
            with turn:
                say(f"sent {what}, {_size(described.size)}")
        return Sent(what, described.digest, described.size, how == "sent")

    turn = threading.Lock()
    done = at_once(registry, (partial(one, blob) for blob in _once(blobs)))
    return {sent.digest: sent for sent in done if sent.what != CONFIGURATION}


def _once(blobs: Iterable[Blob]) -> Iterator[Blob]:
    seen = set[str]()
    for blob in blobs:
        if blob[0].digest not in seen:
            seen.add(blob[0].digest)
            yield blob


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _theirs(one: Base, registries: Registries, store: Store) -> list[Blob]:
    source = registries(one.source) if one.source else None

    def opened(blob: Descriptor) -> Callable[[], Source]:
        if source is None or store.has(blob.digest, blob.size):
            return kept(store.blob(blob.digest), blob)
        return lambda: base.fetched(source, blob, store).open("rb")

    return [(blob, f"base layer {number} of {len(one.layers)}", opened(blob)) for number, blob in enumerate(one.layers, 1)]


def _own(layer: Layer) -> Blob:
    described = Descriptor(layer.media_type, layer.digest, layer.size)
    content = of_files(layer.archive.open, described) if layer.archive else kept(layer.file, described)
    return described, layer.what, content


def kept(file: Path, blob: Descriptor) -> Proven:
    """A blob out of the store; EnvironmentFailure `cache-damaged`, where its bytes are not what they should be, and then it is gone."""

    def refused() -> EnvironmentFailure:
        file.unlink(missing_ok=True)
        return EnvironmentFailure(
            "cache-damaged", "what was built before is not what it was", where=str(file), hint="run it again: it is built anew"
        )

    return Proven(partial(plain, file), blob.digest, blob.size, refused)


def of_files(source: Callable[[], Source], blob: Descriptor, where: str | None = None) -> Proven:
    """A blob that is read from files of the user's; InvalidFile `model-changed`, where they are not what they were."""
    hint = "let what writes to it end first"
    return Proven(
        source, blob.digest, blob.size, lambda: InvalidFile("model-changed", "it changed while it was sent", where=where, hint=hint)
    )


def _bytes(content: bytes) -> Callable[[], Source]:
    return lambda: io.BytesIO(content)
