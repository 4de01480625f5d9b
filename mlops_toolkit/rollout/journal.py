"""The journal in a file: one JSON line a happening, on disk before it is acted upon; a line torn by a power cut is left out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure, of_system
from mlops_toolkit.rollout import files
from mlops_toolkit.rollout.codec import dumps

NAME, RESERVE = "releases.jsonl", "reserve"
KEPT = 65536  # bytes that are kept free for the way back on a disk that is full


class FileJournal:
    """`releases.jsonl` in a folder of the target's own disk. Several processes may read and add at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        self.torn = 0  # lines that were left out by the last `read`
        self._seen: tuple[int, ...] = ()  # which file was read last, as it was then
        self._lines: tuple[Mapping[str, object], ...] = ()

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        """The file, with nobody else writing to it. EnvironmentFailure `journal-unwritable`."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield handle
            finally:
                os.close(handle)
        except OSError as error:
            raise _failure(error, self.path) from error

    def read(self) -> Sequence[Mapping[str, object]]:
        """Every whole line. A damaged one in the middle is left out as a torn last one is: what is observed says what is true.

        It is asked every second, and years of deployments are in it: as long as nobody writes, nothing is read again.
        """
        try:
            with self.path.open("rb") as file:
                about = os.fstat(file.fileno())
                seen = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
                if seen == self._seen:
                    return self._lines
                data = file.read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _failure(error, self.path) from error
        found: list[Mapping[str, object]] = []
        self.torn = 0
        for line in data.split(b"\n"):
            if not line.strip(b"\0 \r"):
                continue  # blocks that were never written are zeros after a power cut
            try:
                one = json.loads(line)
            except (ValueError, RecursionError):
                one = None
            if isinstance(one, dict):
                found.append(one)
            else:
                self.torn += 1
        self._seen, self._lines = seen, tuple(found)
        return self._lines

    def add(self, line: Mapping[str, object]) -> None:
        """On disk when it returns; begun on a line of its own, whatever is left of the one before."""
        data = dumps(line).encode() + b"\n"
        with self._open() as handle:
            end = os.fstat(handle).st_size
            new = end == 0
            whole = new or os.pread(handle, 1, end - 1) == b"\n"
            try:
                self._write(handle, data if whole else b"\n" + data)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, end)  # half a line helps nobody, and takes room
                raise
            if new:
                files.settle(self.folder)
        self._reserve()

    def _write(self, handle: int, data: bytes) -> None:
        """All of it, and to the disk; where that is full, into what was kept free for it."""
        start = os.fstat(handle).st_size
        try:
            _all(handle, data)
        except OSError as error:
            reserve = self.folder / RESERVE
            if of_system(error) is None or not reserve.exists():
                raise
            reserve.unlink()
            os.ftruncate(handle, start)
            _all(handle, data)

    def _reserve(self) -> None:
        """Room for the last lines. Where there is none, nothing is lost by it now."""
        path = self.folder / RESERVE
        with contextlib.suppress(OSError):
            if path.exists():
                return
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _all(handle, b"\0" * KEPT)
            except OSError:
                path.unlink()
            finally:
                os.close(handle)


def _all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _failure(error: OSError, path: Path) -> EnvironmentFailure:
    hint = "make room on that disk, or give the agent the right to write there; the order goes on by itself"
    return EnvironmentFailure("journal-unwritable", f"what happens cannot be written down: {error.strerror}", where=str(path), hint=hint)
