"""An image is put together and sent through the registry's own interface, without Docker: what is there already is not sent again.

Everything lies under its digest, the index last; no tag is touched. Killed at any instant, nothing points at what is not whole.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.image import assemble, base, runtime
from mlops_toolkit.image.base import Base, Registries
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.image.wanted import Package, Pushed, Sent, Wanted
from mlops_toolkit.oci.documents import Descriptor
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.system.files import sha256

if TYPE_CHECKING:
    from mlops_toolkit.oci.registry import Registry

Say = Callable[[str], None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def push(wanted: Wanted, registries: Registries, say: Say) -> Pushed:
    """Build it for each platform and send it. registries: gives the client of a reference's repository, logged in.

    InvalidFile `bad-model`, `model-damaged`; UsageError `no-base`, `no-python`, `no-platform`, `no-packages`, `bad-package`; and what the
    registries say.
    """
    begun = time.monotonic()
    model = verified(wanted)
    store = Store(wanted.cache)
    registry = registries(wanted.repository)
    before = registry.sent_bytes
    bases = base.resolve(wanted.base, wanted.platforms, registries, store, mirrors=wanted.mirrors, python=wanted.python)
    pinned(wanted, bases[0], say)
    built = [(one, *layers(wanted, model, one, store, say)) for one in bases]
    sent: dict[str, Sent] = {}
    for one, ours, _ in built:
        lent = one.source.repository if one.source.host == wanted.repository.host else None
        sent |= send(registry, _theirs(one, registries, store), say, lent=lent)
        sent |= send(registry, [_own(layer) for layer in ours], say)
    marks = assemble.marks_of(wanted, bases[0])
    images = [(one, assemble.image(wanted, one, ours, marks)) for one, ours, _ in built]
    send(registry, [(image.config.descriptor, "configuration", _bytes(image.config.content)) for _, image in images], say)
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
        bases[0].reference,
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


def pinned(wanted: Wanted, found: Base, say: Say) -> None:
    """Say which base it is, and how to make it stay that one."""
    if wanted.base.digest is None:
        say(f"base {wanted.base} is {found.reference.digest} today; to keep it: `base: {found.reference}`")


def layers(wanted: Wanted, model: Manifest, one: Base, store: Store, say: Say) -> tuple[list[Layer], tuple[Package, ...]]:
    """Our layers on a base, the model's last, and the packages in them."""
    installed, packages = runtime.packages(wanted, model, one, store, say)
    beside = runtime.documents(wanted, store)
    return [installed, runtime.server(one, store), *([beside] if beside else []), runtime.model(wanted, model, store)], packages


Blob = tuple[Descriptor, str, Callable[[], IO[bytes]]]


def send(registry: Registry, blobs: Sequence[Blob], say: Say, *, lent: str | None = None) -> dict[str, Sent]:
    """Send what is not there, a few at a time; by digest what became of each. lent: a repository of the same registry that may have them."""

    def one(blob: Blob) -> Sent:
        described, what, content = blob
        how = registry.push_blob(described.digest, described.size, content, from_repository=lent)
        if how == "sent" and what != "configuration":
            say(f"sent {what}, {described.size / 1e6:.1f} MB")
        return Sent(what, described.digest, described.size, how == "sent")

    unique = {blob[0].digest: blob for blob in blobs}
    return {sent.digest: sent for sent in at_once(registry, [partial(one, blob) for blob in unique.values()])}


def _theirs(one: Base, registries: Registries, store: Store) -> list[Blob]:
    source = registries(one.source)

    def opened(blob: Descriptor) -> Callable[[], IO[bytes]]:
        return lambda: base.fetched(source, blob, store).open("rb")

    return [(blob, f"base layer {number} of {len(one.layers)}", opened(blob)) for number, blob in enumerate(one.layers, 1)]


def _own(layer: Layer) -> Blob:
    return Descriptor(layer.media_type, layer.digest, layer.size), layer.what, lambda: proven(layer.file, layer.digest)


def proven(file: Path, digest: str) -> IO[bytes]:
    """A file of the store, open, once its bytes are what they should be. EnvironmentFailure `cache-damaged`; it is gone then."""
    if f"sha256:{sha256(file)}" != digest:
        file.unlink(missing_ok=True)
        raise EnvironmentFailure(
            "cache-damaged", "what was built before is not what it was", where=str(file), hint="run it again: it is built anew"
        )
    return file.open("rb")


def _bytes(content: bytes) -> Callable[[], IO[bytes]]:
    return lambda: io.BytesIO(content)
