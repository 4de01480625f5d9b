"""The files of a layer: plain ones alone, under names that mean in an image what they mean here."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlops_toolkit.errors import InvalidFile

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
