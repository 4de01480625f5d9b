"""Files become one layer of an image, the same bytes on every machine: sorted, without owners, times, or marks of the compressor.

One pass over the files, a bounded piece of each in memory. What does not compress (weights mostly do not) is stored as a plain archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.oci.documents import LAYER as TAR
from mlops_toolkit.oci.documents import LAYER_GZIP as GZIP

VERSION = "1"  # of how a layer is written: part of the key that it is remembered under
BLOCK, SAMPLES = 1 << 14, 32
WORTH = 0.9  # compressed to less than this, compression pays for its time at every pull
LARGE = 64 << 20  # from here on the fastest level
MOST_NAME, MOST_PART = 4000, 255
_ODD = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Entry:
    """One file of a layer.

    path        where it will lie in the image, without a leading `/`
    source      the file, or its content
    sha256      what its content must be (hex), None where nobody said
    """

    path: str
    source: Path | bytes
    executable: bool = False
    sha256: str | None = None

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def open(self) -> IO[bytes]:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else plain(self.source)


def plain(path: Path) -> IO[bytes]:
    """A file that is no link, pipe or device, whatever it was when it was listed. InvalidFile `not-a-file`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise InvalidFile("not-a-file", "it is a link", where=str(path), hint="put the file itself there") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InvalidFile("not-a-file", "it is a pipe, a device or a folder, not a file", where=str(path))
    return os.fdopen(handle, "rb")


def below(folder: Path, at: str, known: Mapping[str, str] | None = None) -> list[Entry]:
    """Every file below a folder as an entry below `at`. known: sha256 by path below the folder. InvalidFile `not-a-file` for links and the like."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidFile("not-a-file", "it is a link, a pipe or a device: a layer is made of plain files", where=str(path))
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found.append(Entry(f"{at}/{name}", path, bool(path.stat().st_mode & stat.S_IXUSR), (known or {}).get(name)))
    return found


def written(entries: Iterable[Entry], store: Store, what: str) -> Layer:
    """The layer of these files, in the store. InvalidFile `bad-name`, `not-a-file`, `model-changed` where a file is not what it was said to be."""
    ordered = sorted(entries, key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))
    checked_names(ordered)
    return _stored(lambda out: _archive(ordered, out), store, what, _level(ordered))


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
        outer = _Hashed(out)
        if level:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=outer, mtime=0) as packed:
                inner = _Hashed(packed)
                write(inner)
        else:
            inner = outer
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


def _archive(entries: Sequence[Entry], out: _Hashed) -> None:
    folders: set[str] = set()
    with _opened(out) as archive:
        for entry in entries:
            parts = entry.path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = "/".join(parts[:depth])
                if folder not in folders:
                    folders.add(folder)
                    archive.addfile(_info(folder, 0o755, tarfile.DIRTYPE))
            _add(archive, entry)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    with entry.open() as source:
        size = len(entry.source) if isinstance(entry.source, bytes) else os.fstat(source.fileno()).st_size
        info = _info(entry.path, 0o755 if entry.executable else 0o644, tarfile.REGTYPE, size)
        read = _Read(source)
        try:
            archive.addfile(info, read)
        except OSError as error:
            if read.count < size and error.errno is None:  # tarfile's own word for a file that ended early
                raise _changed(entry) from error
            raise
        if source.read(1) or (entry.sha256 is not None and read.sha.hexdigest() != entry.sha256):
            raise _changed(entry)


class _Read:
    """Reads through, hashing."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.sha, self.count = source, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sha.update(data)
        self.count += len(data)
        return data


def _changed(entry: Entry) -> InvalidFile:
    return InvalidFile("model-changed", "it changed while it was packed", where=str(entry.source), hint="let what writes to it end first")


def _info(path: str, mode: int, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.size, info.mtime = mode, kind, size, 0
    return info


def checked_names(entries: Sequence[Entry]) -> None:
    """InvalidFile `bad-name` for a path that would mean something else in an image, or nothing at all."""
    folders: set[str] = set()
    seen: set[str] = set()
    for entry in entries:
        parts = entry.path.split("/")
        why = ""
        try:
            entry.path.encode()
        except UnicodeEncodeError:
            why = "is no text in UTF-8"
        if not entry.path or any(part in ("", ".", "..") for part in parts):
            why = "leads elsewhere"
        elif _ODD.search(entry.path):
            why = "holds control characters"
        elif any(part.startswith(".wh.") for part in parts):
            why = "begins with .wh., which says in an image that a file is deleted"
        elif len(entry.path) > MOST_NAME or any(len(part.encode("utf-8", "replace")) > MOST_PART for part in parts):
            why = "is too long"
        elif entry.path in seen:
            why = "is there twice"
        if why:
            raise InvalidFile("bad-name", f"the name {ascii(entry.path)[:300]} {why}", hint="rename the file and save the model again")
        seen.add(entry.path)
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    for path in sorted(seen & folders):
        raise InvalidFile("bad-name", f"the name {ascii(path)[:300]} is a file's and a folder's", hint="rename one of them")


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
