"""Files become one layer of an image. What does not compress (weights mostly do not) is a plain archive, and is not copied before it is sent."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

from mlops_toolkit.image.archive import Archive
from mlops_toolkit.image.entries import Entry
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.oci.documents import LAYER as TAR
from mlops_toolkit.oci.documents import LAYER_GZIP as GZIP

VERSION = "1"  # of how a layer is written: part of the key that it is remembered under
BLOCK, SAMPLES = 1 << 14, 32
WORTH = 0.9  # compressed to less than this, compression pays for its time at every pull
LARGE = 64 << 20  # from here on the fastest level


def written(entries: Iterable[Entry], store: Store, what: str) -> Layer:
    """The layer of these files, in the store. InvalidFile `bad-name`, `not-a-file`, `model-changed` where a file is not what it was said to be."""
    archive = Archive(entries)
    return _stored(lambda out: archive.feed(out.write), store, what, _level(archive.entries))


def described(archive: Archive, store: Store, what: str) -> Layer:
    """As `written`; but files that do not compress stay where they are, and are read from there when the layer is sent."""
    level = _level(archive.entries)
    if level:
        return _stored(lambda out: archive.feed(out.write), store, what, level)
    sha = hashlib.sha256()
    archive.feed(sha.update)
    digest = f"sha256:{sha.hexdigest()}"
    return Layer(what, digest, digest, archive.size, TAR, store.blob(digest), archive)


def repacked(source: IO[bytes], store: Store, what: str, epoch: int) -> Layer:
    """A layer that somebody else made, its files as they are, none of them younger than `epoch`, without names of owners and other times."""

    def copy(out: _Hashed) -> None:
        with tarfile.open(fileobj=source, mode="r|*") as theirs, _opened(out) as ours:
            for info in theirs:
                info.mtime = min(int(info.mtime), epoch)
                info.uname = info.gname = ""
                info.pax_headers = {name: value for name, value in info.pax_headers.items() if name.startswith("SCHILY.xattr.")}
                ours.addfile(info, theirs.extractfile(info) if info.isreg() else None)

    return _stored(copy, store, what, 6)


def _stored(write: Callable[[_Hashed], None], store: Store, what: str, level: int) -> Layer:
    with store.writing() as (out, settle):
        outer = inner = _Hashed(out)
        if level:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=outer, mtime=0) as packed:
                inner = _Hashed(packed)
                write(inner)
        else:
            write(inner)
        place = settle(outer.digest)
    return Layer(what, outer.digest, inner.digest, outer.size, GZIP if level else TAR, place)


def _opened(out: _Hashed) -> tarfile.TarFile:
    return tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20, encoding="utf-8")  # type: ignore[call-overload,no-any-return]


class _Hashed:
    """Writes through, and knows the SHA-256 and the number of the bytes that went by."""

    def __init__(self, out: Any) -> None:
        self._out, self._sha, self.size = out, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._sha.update(data)
        self.size += len(data)
        self._out.write(data)
        return len(data)

    def flush(self) -> None:
        self._out.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha.hexdigest()}"


def _level(entries: Sequence[Entry]) -> int:
    """How much to compress, 0 not at all: judged by blocks at even distances over all the files, so that the same files are judged the same."""
    sizes = [entry.size for entry in entries]
    total = sum(sizes)
    if total <= BLOCK:
        return 6
    step = max(total // SAMPLES, BLOCK)
    raw = packed = start = 0
    at = 0
    for entry, size in zip(entries, sizes, strict=True):
        if at < start + size:
            with entry.open() as source:
                while at < start + size:
                    source.seek(at - start)
                    block = source.read(BLOCK)
                    raw += len(block)
                    packed += len(zlib.compress(block, 1))
                    at += step
        start += size
    if packed > WORTH * raw:
        return 0
    return 6 if total < LARGE else 1
