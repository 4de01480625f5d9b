"""A tar archive that is read as if it lay on the disk, and never does: weights of many gigabytes are not copied before they are sent.

The same bytes on every machine: sorted, without owners, times, or the mask of whoever wrote the files.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.image.entries import Entry, checked_names
from mlops_toolkit.system.files import CHUNK

RECORD = tarfile.RECORDSIZE  # an archive's size is a multiple of it


class Piece(NamedTuple):
    """Bytes from `start` to `end`: heads of files, or a file."""

    start: int
    end: int
    content: bytes | Entry


class Archive:
    """These files as one archive of `size` bytes. InvalidFile `bad-name` for a name that an image cannot have."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))
        checked_names(self.entries)
        self._pieces, self.size = list[Piece](), 0
        for content, size in _pieces(self.entries):
            self._pieces.append(Piece(self.size, self.size + size, content))
            self.size += size
        self._starts = [piece.start for piece in self._pieces]

    def feed(self, sink: Callable[[bytes], object]) -> None:
        """All its bytes in order. InvalidFile `model-changed` for a file that is not what it was said to be, `not-a-file` for one that is none."""
        for start, end, content in self._pieces:
            if isinstance(content, bytes):
                sink(content)
            else:
                _feed(content, end - start, sink)

    def open(self) -> Reader:
        """Read it anew, from any place. Who reads proves it: a file may change in between."""
        return Reader(self)

    def piece(self, at: int) -> Piece:
        """The piece that holds a byte."""
        return self._pieces[bisect_right(self._starts, at) - 1]


class Reader:
    """An archive, open: `read`, `seek` and `close` as a file has them. InvalidFile as `feed` raises it, where a file became shorter."""

    def __init__(self, archive: Archive) -> None:
        self._archive, self._at, self._open = archive, 0, 0
        self._file: IO[bytes] | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To a place counted from the beginning."""
        if whence != os.SEEK_SET:
            raise ValueError(whence)
        self._at = offset
        return offset

    def read(self, amount: int = -1) -> bytes:
        """So many bytes, fewer only at the end."""
        left = self._archive.size - self._at
        left = left if amount < 0 else min(amount, left)
        parts = []
        while left > 0:
            block = self._some(left)
            parts.append(block)
            self._at += len(block)
            left -= len(block)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let the file go that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _some(self, most: int) -> bytes:
        start, end, content = self._archive.piece(self._at)
        at = self._at - start
        if isinstance(content, bytes):
            return content[at : at + most]
        if self._file is None or self._open != start:
            self.close()
            self._file, self._open = content.open(), start
        if self._file.tell() != at:
            self._file.seek(at)
        block = self._file.read(min(most, end - self._at))
        if not block:
            raise changed(content)
        return block


def changed(entry: Entry) -> InvalidFile:
    """A file that is not what it was a moment ago."""
    return InvalidFile("model-changed", "it changed while it was packed", where=str(entry.source), hint="let what writes to it end first")


def _pieces(entries: Iterable[Entry]) -> Iterator[tuple[bytes | Entry, int]]:
    """Heads and files in turn, with their sizes in bytes; the folders above a file come before it."""
    folders: set[str] = set()
    total, head = 0, b""
    for entry in entries:
        parts = entry.path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                head += _head(folder, 0o755, tarfile.DIRTYPE)
        size = entry.size
        head += _head(entry.path, 0o755 if entry.executable else 0o644, tarfile.REGTYPE, size)
        yield head, len(head)
        yield entry, size
        total += len(head) + size
        head = b"\0" * (-size % tarfile.BLOCKSIZE)
    head += b"\0" * (2 * tarfile.BLOCKSIZE)
    head += b"\0" * (-(total + len(head)) % RECORD)
    yield head, len(head)


def _head(path: str, mode: int, kind: bytes, size: int = 0) -> bytes:
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.size, info.mtime = mode, kind, size, 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _feed(entry: Entry, size: int, sink: Callable[[bytes], object]) -> None:
    sha, left = hashlib.sha256(), size
    with entry.open() as source:
        while block := source.read(min(CHUNK, left)):
            sha.update(block)
            sink(block)
            left -= len(block)
        if left or source.read(1):
            raise changed(entry)
    if entry.sha256 is not None and sha.hexdigest() != entry.sha256:
        raise changed(entry)
