"""A program that runs beside us: its lines are read as they come, and it ends with the block that started it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system.proc import OURS

LONGEST = 1 << 20  # bytes of a line: a longer one comes in pieces


class Beside:
    """One that was started."""

    def __init__(self, process: subprocess.Popen[bytes], said: tempfile._TemporaryFileWrapper[bytes]) -> None:
        self._process, self._said = process, said

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return self._process.poll() is None

    @property
    def trouble(self) -> str:
        """The last line of its standard error: what to show a person."""
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - 4096))
        lines = [line for line in self._said.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self._process.poll()}"

    def lines(self) -> Iterator[str]:
        """Of its standard output, until it ends, without the line's end."""
        assert self._process.stdout is not None  # noqa: S101 -- for the type checker: it was started with a pipe
        while line := self._process.stdout.readline(LONGEST):
            yield line.decode("utf-8", "replace").rstrip("\r\n")
        self._process.wait()

    def lines_until_silence(self, seconds: float) -> Iterator[str]:
        """As `lines`, but only until nothing came for so long: it may have nothing more to say and not know it."""
        assert self._process.stdout is not None  # noqa: S101
        pipe, rest = self._process.stdout.fileno(), b""
        while select.select([pipe], [], [], seconds)[0]:
            block = os.read(pipe, 1 << 16)
            *whole, rest = (rest + block).split(b"\n")
            for line in whole if block else [rest][: bool(rest)]:
                yield line[:LONGEST].decode("utf-8", "replace").rstrip("\r")
            if not block:
                self._process.wait()
                return
            rest = rest[:LONGEST]


@contextlib.contextmanager
def beside(args: Sequence[str], *, env: Mapping[str, str]) -> Iterator[Beside]:
    """Run it, without standard input, until the block ends. env: its whole environment, but for our secrets. EnvironmentFailure `program-missing`."""
    known = {name: value for name, value in env.items() if name not in OURS}
    with tempfile.NamedTemporaryFile(prefix="mlops-") as said:
        try:
            process = subprocess.Popen(list(args), env=known, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        except FileNotFoundError as error:
            raise EnvironmentFailure("program-missing", f"{args[0]} is not installed", hint=f"install {args[0]} and try again") from error
        except OSError as error:
            raise EnvironmentFailure("program-fails", f"{args[0]} could not be started: {error}") from error
        try:
            yield Beside(process, said)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
