"""Which files somebody opens while something runs: the kernel's own word on what a command read, whatever language it is written in.

Linux (inotify) only; elsewhere, and where the kernel gives no more watches, nothing is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

OPEN, IS_FOLDER, OVERFLOW = 0x20, 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
MOST_FOLDERS = 8_000


@dataclass
class Opened:
    """Files that were opened in the watched folders so far; None where that is not known. Asked for after the fact, with `look`."""

    _descriptor: int | None = None
    _folders: dict[int, Path] = field(default_factory=dict)
    _seen: set[Path] | None = field(default_factory=set)

    def look(self) -> frozenset[Path] | None:
        """Everything opened until now."""
        while self._descriptor is not None and self._seen is not None:
            try:
                raw = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                break
            self._take(raw)
        return None if self._seen is None else frozenset(self._seen)

    def _take(self, raw: bytes) -> None:
        at = 0
        while at < len(raw) and self._seen is not None:
            folder, mask, _, length = _EVENT.unpack_from(raw, at)
            name = raw[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            if mask & OVERFLOW:
                self._seen = None  # some are missing
            elif name and not mask & IS_FOLDER and folder in self._folders:
                self._seen.add(self._folders[folder] / os.fsdecode(name))


@contextlib.contextmanager
def watching(folders: Iterable[Path]) -> Iterator[Opened]:
    """Watch the files right in these folders (not below them) for being opened, by any process. Folders that are not there are passed over."""
    libc = _libc()
    descriptor = libc.inotify_init1(_FLAGS) if libc is not None else -1
    if libc is None or descriptor < 0:
        yield Opened(_seen=None)
        return
    try:
        opened = Opened(descriptor)
        for number, folder in enumerate(dict.fromkeys(folders)):
            watch = libc.inotify_add_watch(descriptor, os.fsencode(folder), OPEN) if number < MOST_FOLDERS else -1
            if watch >= 0:
                opened._folders[watch] = folder
            elif folder.is_dir():
                opened._seen = None
                break
        yield opened
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc if hasattr(libc, "inotify_init1") and hasattr(libc, "inotify_add_watch") else None
    except OSError:
        return None
