"""Running the user's own command: its output streamed, its end told apart, and nothing of it left behind.

The command has its own session, so that a signal to us reaches all of it at once and by us: SIGTERM at t = 0, SIGKILL
after the grace. GitHub's runner signals only its entry process (SIGINT, 7.5 s, SIGTERM, 2.5 s, kill), and a shell in
between passes nothing on. If we are killed outright, a guard (`leftovers`) ends the command in our place.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TextIO

from mlops_toolkit.errors import Cancelled, CommandFailed, EnvironmentFailure, MlopsError
from mlops_toolkit.system import leftovers
from mlops_toolkit.system.gpu import Meter
from mlops_toolkit.system.usage import Resources

How = Literal["ok", "failed", "interrupted", "time-limit", "out-of-memory"]

CHUNK = 1 << 16
TAIL = 1 << 15  # bytes of output kept in memory: enough for the message of an error
LINGER_SECONDS = 0.5  # what a command's background processes get to end by themselves, e.g. `tee` in `> >(tee log)`
POLITE_SECONDS = 2.0  # what they get after SIGTERM when nobody is waiting for a cancel
_SET_SUBREAPER, _GET_SUBREAPER = 36, 37  # prctl(2)
_OUT_OF_MEMORY = re.compile(
    r"CUDA out of memory|OutOfMemoryError|^MemoryError\b|std::bad_alloc|Cannot allocate memory|RESOURCE_EXHAUSTED: Out of memory",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    exit       its exit status as the shell has it; None if a signal ended the shell itself
    signal     the signal that ended it, or that asked us to stop it (`SIGINT`); None otherwise
    ended      `interrupted` and `time-limit` stand even where the command then exits 0: its work is not whole
    tail       the end of its output as text, at most 20 lines and 4,000 characters
    """

    exit: int | None
    signal: str | None
    seconds: float
    ended: How
    resources: Resources
    tail: str


def run(
    command: str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    timeout_seconds: float | None = None,
    echo: TextIO | None = None,
    grace_seconds: float = 8.0,
) -> Ended:
    """Run a shell command (`bash -eo pipefail -c`, or `sh -e -c`) to its end, or to ours.

    env: its whole environment. log: file its output is appended to, bytes as they are. echo: where it is shown live.
    timeout_seconds: after this long it is stopped as if cancelled. grace_seconds: between SIGTERM and SIGKILL.
    A command that cannot be started ends like a shell's: exit 127. Only the main thread can be asked to stop by a signal.
    """
    supervision = _Supervision(grace_seconds)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        opened = log.open("ab", buffering=0)
    except OSError as error:
        raise EnvironmentFailure("log-unwritable", f"the command's output cannot be kept: {error.strerror}", where=str(log)) from error
    with opened as file, _listening(supervision.asked) as woken, _adopting() as adopter:
        return supervision.run(command, cwd, env, _Output(file, echo), timeout_seconds, woken, adopter)


def trouble(ended: Ended, *, what: str, log: Path) -> MlopsError | None:
    """The error that an end other than `ok` is: Cancelled, or a CommandFailed whose name says how. what: `train.run`."""
    if ended.ended == "ok":
        return None
    if ended.ended == "interrupted":
        return Cancelled(signal.Signals[ended.signal or "SIGTERM"])
    last = next((line.strip() for line in reversed(ended.tail.splitlines()) if line.strip()), "")
    said = f': "{last[:300]}"' if last else ""
    hint = f"its output is in {log}"
    if ended.ended == "time-limit":
        return CommandFailed("time-limit", f"{what} ran past its time limit and was stopped after {ended.seconds:.0f} s", hint=hint)
    if ended.ended == "out-of-memory":
        return CommandFailed("out-of-memory", f"{what} ran out of memory{said}", hint=f"a smaller batch, or a larger machine; {hint}")
    if ended.exit in (126, 127):
        return CommandFailed("command-not-found", f"{what} could not be started{said}", hint=f"is it installed, and on PATH? {hint}")
    how = f"exit status {ended.exit}" if ended.exit is not None else f"signal {ended.signal}"
    return CommandFailed("command-failed", f"{what} ended with {how}{said}", hint=hint)


class _Output:
    """Where output goes: a log, a stream for people, and a bounded tail. A full disk or a closed terminal does not end the command."""

    def __init__(self, log: IO[bytes], echo: TextIO | None) -> None:
        self._log: IO[bytes] | None = log
        self._echo = echo
        self._tail = bytearray()

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
        """The last 20 non-empty lines; a progress bar's carriage returns are line ends."""
        text = self.memory.decode("utf-8", "replace").replace("\r", "\n")
        return "\n".join([line.rstrip() for line in text.split("\n") if line.strip()][-20:])[-4000:]


class _Supervision:
    """One command under supervision. Times are time.monotonic()."""

    def __init__(self, grace_seconds: float) -> None:
        self.grace = grace_seconds
        self.signal: str | None = None
        self.cause: Literal["interrupted", "time-limit"] | None = None
        self.kill_at: float | None = None
        self.leader: subprocess.Popen[bytes] | None = None
        self.mark = secrets.token_hex(8)

    def asked(self, signum: int) -> None:
        """A signal asks us to stop; called in the handler itself, so that a blocked terminal delays nothing."""
        again = self.signal is not None
        self.signal = self.signal or signal.Signals(signum).name
        self.cause = "interrupted"
        if again and signum == signal.SIGINT:  # a person pressed Ctrl-C twice
            self.kill_at = time.monotonic()
        self.stop()

    def stop(self) -> None:
        """SIGTERM to the whole group, once; the grace runs from here."""
        if self.leader is None or self.kill_at is not None:
            return
        self.kill_at = time.monotonic() + self.grace
        if self.leader.returncode is None:
            leftovers.send(signal.SIGTERM, (), group=self.leader.pid)

    def run(
        self,
        command: str,
        cwd: Path,
        env: Mapping[str, str],
        output: _Output,
        timeout_seconds: float | None,
        woken: int | None,
        adopter: int | None,
    ) -> Ended:
        began, oom_before, meter = time.monotonic(), oom_kills(), Meter()
        with _guard(self.mark, self.grace) as tell_guard:
            known = frozenset(p.pid for p in leftovers.table() if p.parent == os.getpid()) if adopter else frozenset()
            try:
                self.leader = self._start(command, cwd, env)
            except (OSError, ValueError) as error:
                output.write(f"{error}\n".encode())
                return Ended(127, None, time.monotonic() - began, "failed", Resources(wall_seconds=0.0), output.tail())
            tell_guard(self.leader.pid)
            if self.cause:
                self.stop()
            follow = _Follow(self.leader, output, meter, woken)
            try:
                follow.until_exit(lambda: self._keep_time(began, timeout_seconds))
            finally:
                self._sweep(follow, adopter, known)
                follow.close()
        seconds = time.monotonic() - began
        busy, energy = meter.read()
        took = Resources(round(seconds, 3), follow.cpu_seconds, busy, follow.peak_memory, energy)
        return self._ended(follow, output, seconds, took, killed_by_kernel=oom_kills() > oom_before)

    def _start(self, command: str, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        shell = shutil.which("bash", path=env.get("PATH")) or shutil.which("bash") or shutil.which("sh")
        if shell is None:
            raise EnvironmentFailure("program-missing", "there is neither bash nor sh to run a command with")
        # As GitHub's own bash steps: the first failure ends it, and `train.py | tee log` fails where train.py does.
        strict = ["-eo", "pipefail"] if Path(shell).name == "bash" else ["-e"]
        # Python would hold back its output for kilobytes when it writes into a pipe.
        return subprocess.Popen(
            [shell, *strict, "-c", command],
            cwd=cwd,
            env={"PYTHONUNBUFFERED": "1", **env, leftovers.MARKER: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )

    def _keep_time(self, began: float, timeout_seconds: float | None) -> float | None:
        """Enforce time limit and grace; returns the seconds until one of them is due."""
        assert self.leader is not None  # noqa: S101
        now = time.monotonic()
        if self.kill_at is None and timeout_seconds is not None and now - began >= timeout_seconds:
            self.cause = self.cause or "time-limit"
            self.stop()
        if self.kill_at is not None:
            if now >= self.kill_at:
                leftovers.send(signal.SIGKILL, leftovers.alive(self.mark, self.leader.pid), group=self.leader.pid)
                return 0.05
            return self.kill_at - now
        return None if timeout_seconds is None else began + timeout_seconds - now

    def _sweep(self, follow: _Follow, adopter: int | None, known: frozenset[int]) -> None:
        """End what the command left behind: it may finish by itself, then is asked, then is killed."""
        leader = follow.leader
        if leader.returncode is None:  # we are leaving by an exception of our own
            leftovers.send(signal.SIGKILL, (), group=leader.pid)
            follow.reap(block=True)
        now = time.monotonic()
        ask_at = now if self.kill_at is not None else now + LINGER_SECONDS
        give_up, asked = now + LINGER_SECONDS + max(self.grace, POLITE_SECONDS) + 2, False
        while left := leftovers.alive(self.mark, leader.pid, adopted_by=adopter, known=known):
            now = time.monotonic()
            kill_at = self.kill_at if self.kill_at is not None else ask_at + POLITE_SECONDS
            if now >= give_up:
                break
            if now >= kill_at:
                leftovers.send(signal.SIGKILL, left)
            elif now >= ask_at and not asked:
                leftovers.send(signal.SIGTERM, left)
                asked = True
            follow.drain(0.02)
        follow.drain(0)

    def _ended(self, follow: _Follow, output: _Output, seconds: float, took: Resources, *, killed_by_kernel: bool) -> Ended:
        code = follow.leader.returncode or 0
        exit_status, by = (code, None) if code >= 0 else (None, signal.Signals(-code).name)
        how: How = "ok" if code == 0 else "failed"
        if self.cause is not None:
            how, by = self.cause, self.signal or by
        elif code != 0:
            killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
            if (killed and killed_by_kernel) or _OUT_OF_MEMORY.search(output.memory.decode("utf-8", "replace")):
                how = "out-of-memory"
        return Ended(exit_status, by, round(seconds, 3), how, took, output.tail())


class _Follow:
    """Reads a running command: its output as it comes, its end at once, its memory about every second."""

    def __init__(self, leader: subprocess.Popen[bytes], output: _Output, meter: Meter, woken: int | None) -> None:
        self.leader, self._output, self._meter = leader, output, meter
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
        family = leftovers.descendants(self.leader.pid, leftovers.table())
        self.peak_memory = max(self.peak_memory or 0, leftovers.resident(family)) or None
        self._meter.sample(now - self._sampled)
        self._sampled = time.monotonic()
        # Never more than 2 % of a core for looking, on a machine with thousands of processes too.
        self._interval = max(1.0 if self._interval >= 0.8 else self._interval * 2, 50 * (self._sampled - now))


@contextlib.contextmanager
def _listening(asked: Callable[[int], None]) -> Iterator[int | None]:
    """Our SIGINT, SIGTERM and SIGHUP go to `asked`; yields a descriptor that wakes a select; the former handlers come back."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        for signum, handler in before.items():
            if signum != signal.SIGHUP or handler != signal.SIG_IGN:  # nohup means it
                signal.signal(signum, lambda received, _frame: asked(received))
        yield read
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(read)
        os.close(write)


@contextlib.contextmanager
def _adopting() -> Iterator[int | None]:
    """While it holds, orphans of the command become our children instead of init's; yields our pid, None where it cannot be."""
    main = threading.current_thread() is threading.main_thread()
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None) if main and sys.platform == "linux" else None
    before = ctypes.c_int(0)
    if prctl is None or prctl(_GET_SUBREAPER, ctypes.byref(before), 0, 0, 0) != 0 or prctl(_SET_SUBREAPER, 1, 0, 0, 0) != 0:
        yield None
        return
    try:
        yield os.getpid()
    finally:
        prctl(_SET_SUBREAPER, before.value, 0, 0, 0)


@contextlib.contextmanager
def _guard(mark: str, grace_seconds: float) -> Iterator[Callable[[int], None]]:
    """A process that ends the command if we are killed; yields the function that tells it the leader's pid.

    Its environment is empty: a runner that hunts for its own variable must not find it before its work is done.
    """
    program = [sys.executable, "-I", "-S", leftovers.__file__, mark, str(grace_seconds)]
    guard = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, start_new_session=True, cwd="/"
    )
    assert guard.stdin is not None  # noqa: S101
    pipe = guard.stdin

    def tell(leader: int) -> None:
        with contextlib.suppress(OSError):
            pipe.write(f"{leader}\n".encode())
            pipe.flush()

    try:
        yield tell
    finally:
        guard.kill()  # we live and the sweep is done: it has nothing to do
        guard.wait()
        with contextlib.suppress(OSError):
            pipe.close()


def oom_kills() -> int:
    """How many processes of our cgroup the kernel has killed for want of memory; 0 where it does not say."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    candidates = [Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            candidates.insert(0, Path(f"/sys/fs/cgroup{path}/memory.events"))
        elif "memory" in controllers.split(","):
            candidates.insert(0, Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
    for candidate in candidates:
        with contextlib.suppress(OSError, ValueError):
            for line in candidate.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
