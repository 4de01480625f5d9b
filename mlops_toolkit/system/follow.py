"""Reading a running command: its output as it comes, its end at once, its memory about every second."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO, TextIO

from mlops_toolkit.system import leftovers
from mlops_toolkit.system.gpu import Meter
from mlops_toolkit.system.leftovers import Process

CHUNK = 1 << 16
TAIL = 1 << 15  # bytes of output kept in memory: enough for the message of an error

# Colours and titles, as ECMA-48 writes them: CSI, OSC, and short ones.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")


class Output:
    """Where output goes: a log, a stream for people, and a bounded tail. A full disk or a closed terminal does not end the command."""

    def __init__(self, log: IO[bytes], echo: TextIO | None) -> None:
        self._log: IO[bytes] | None = log
        self._echo = echo
        self._tail = bytearray()

    @property
    def open_line(self) -> bool:
        """Whether what is said next would stand at the end of a line of the command's, for instance of its progress bar."""
        return bool(self._tail) and not self._tail.endswith(b"\n")

    def write(self, chunk: bytes) -> None:
        self._tail += chunk
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        if self._log is not None:
            try:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._log.write(rest) :]
            except OSError:
                self._log = None
        if self._echo is not None:
            try:
                binary: IO[bytes] | None = getattr(self._echo, "buffer", None)
                if binary is not None:
                    self._echo.flush()
                    binary.write(chunk)
                    binary.flush()
                else:
                    self._echo.write(chunk.decode("utf-8", "replace"))
            except (OSError, ValueError):
                self._echo = None

    @property
    def memory(self) -> bytes:
        return bytes(self._tail[-TAIL:])

    def tail(self) -> str:
        """The last 20 non-empty lines without colours; a progress bar's carriage returns are line ends."""
        text = _ESCAPE.sub("", self.memory.decode("utf-8", "replace")).replace("\r", "\n")
        return "\n".join([line.rstrip() for line in text.split("\n") if line.strip()][-20:])[-4000:]


class Follow:
    """Reads a running command: its output as it comes, its end at once, its memory about every second.

    woken: a descriptor that a signal makes readable. seen: is shown every process table that is read.
    """

    def __init__(
        self, leader: subprocess.Popen[bytes], output: Output, meter: Meter, woken: int | None, seen: Callable[[list[Process]], None]
    ) -> None:
        self.leader, self._output, self._meter, self._seen = leader, output, meter, seen
        self.cpu_seconds: float | None = None
        self.peak_memory: int | None = None
        assert leader.stdout is not None  # noqa: S101
        self._pipe = leader.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._select = selectors.DefaultSelector()
        self._select.register(self._pipe, selectors.EVENT_READ)
        self._pidfd: int | None = None
        with contextlib.suppress(OSError, AttributeError):  # no pidfd (macOS, an old kernel): we look every 50 ms
            self._pidfd = os.pidfd_open(leader.pid)
            self._select.register(self._pidfd, selectors.EVENT_READ)
        self._woken = woken
        if woken is not None:
            self._select.register(woken, selectors.EVENT_READ)
        self._open = True
        self._sampled = time.monotonic()
        self._interval = 0.05

    def until_exit(self, due: Callable[[], float | None]) -> None:
        """Stream until the shell itself has ended; what it started may go on. due: seconds to the next deadline, None: none."""
        while not self.reap():
            limit = due()
            now = time.monotonic()
            if now - self._sampled >= self._interval:
                self._sample(now)
            patience = self._sampled + self._interval - now
            if self._pidfd is None:
                patience = min(patience, 0.05)
            self._turn(max(0.0, patience if limit is None else min(patience, limit)))

    def drain(self, seconds: float) -> None:
        """Read what is there, waiting at most so long for the first of it."""
        if not self._open:
            time.sleep(seconds)
            return
        self._turn(seconds, only_output=True)
        while self._read():
            pass

    def reap(self, *, block: bool = False) -> bool:
        """Whether the shell has ended; its usage is taken with it."""
        if self.leader.returncode is None:
            pid, status, usage = os.wait4(self.leader.pid, 0 if block else os.WNOHANG)
            if pid == 0:
                return False
            self.leader.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = round(usage.ru_utime + usage.ru_stime, 3)
            # Linux starts a child's ru_maxrss at its parent's own peak: below that it says nothing.
            if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
                largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
                self.peak_memory = max(self.peak_memory or 0, largest)
        return True

    def close(self) -> None:
        self._select.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        if self.leader.stdout is not None:
            self.leader.stdout.close()

    def _turn(self, seconds: float, *, only_output: bool = False) -> None:
        ready = {key.fd for key, _ in self._select.select(seconds)}
        if self._woken in ready:
            with contextlib.suppress(OSError):
                os.read(self._woken or 0, 512)
        if self._pipe in ready and self._open:
            self._read()
        elif only_output and ready:
            time.sleep(min(seconds, 0.02))  # the ended shell's pidfd stays ready: not to spin on it

    def _read(self) -> bool:
        if not self._open:
            return False
        try:
            chunk = os.read(self._pipe, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._select.unregister(self._pipe)
            self._open = False
            return False
        self._output.write(chunk)
        return True

    def _sample(self, now: float) -> None:
        worked = time.thread_time()
        processes = leftovers.table()
        self._seen(processes)
        family = leftovers.descendants(self.leader.pid, processes)
        self.peak_memory = max(self.peak_memory or 0, leftovers.resident(family)) or None
        self._meter.sample(now - self._sampled)
        self._sampled = time.monotonic()
        # Never more than 2 % of a core for looking, on a machine with thousands of processes too. What counts is our own work: on a busy
        # machine a look takes long because others run meanwhile, and to look less often would miss a short command's memory.
        self._interval = max(1.0 if self._interval >= 0.8 else self._interval * 2, 50 * (time.thread_time() - worked))
