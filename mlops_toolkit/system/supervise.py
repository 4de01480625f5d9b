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
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from mlops_toolkit.errors import Cancelled, CommandFailed, EnvironmentFailure, MlopsError
from mlops_toolkit.system import leftovers
from mlops_toolkit.system.follow import Follow, Output
from mlops_toolkit.system.gpu import Meter
from mlops_toolkit.system.proc import OURS
from mlops_toolkit.system.usage import Resources

How = Literal["ok", "failed", "interrupted", "time-limit", "out-of-memory"]

POLITE_SECONDS = 2.0  # what background processes get after SIGTERM when the command itself has ended
# Files by which a step speaks to GitHub's runner: who writes there speaks, or sets variables of later steps, in our name.
CHANNELS = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE")
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
    open_line  whether its output ended within a line: what is said next needs one of its own
    """

    exit: int | None
    signal: str | None
    seconds: float
    ended: How
    resources: Resources
    tail: str
    open_line: bool = False


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

    env: its whole environment, but for the runner's channels and our secrets (CHANNELS, OURS). log: file its output is appended to, bytes as they are. echo: where it is shown live.
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
        return supervision.run(command, cwd, env, Output(file, echo), timeout_seconds, woken, adopter)


def trouble(ended: Ended, *, what: str, log: Path, where: str | None = None) -> MlopsError | None:
    """The error that an end other than `ok` is: Cancelled, or a CommandFailed whose name says how. what: `train.run`; where: it stands.

    What the command said last stands in the hint only: the message goes into records and statuses, which others read.
    """
    if ended.ended == "ok":
        return None
    if ended.ended == "interrupted":
        return Cancelled(signal.Signals[ended.signal or "SIGTERM"])
    last = next((line.strip() for line in reversed(ended.tail.splitlines()) if line.strip()), "")
    hint = (f"it said last: {last[:300]}\n" if last else "") + f"its output is in {log}"
    if ended.ended == "time-limit":
        message = f"{what} ran past its time limit and was stopped after {ended.seconds:.0f} s"
        return CommandFailed("time-limit", message, where=where, hint=hint)
    if ended.ended == "out-of-memory":
        return CommandFailed(
            "out-of-memory", f"{what} ran out of memory", where=where, hint=f"a smaller batch, or a larger machine\n{hint}"
        )
    if ended.exit in (126, 127):
        return CommandFailed(
            "command-not-found", f"{what} could not be started", where=where, hint=f"is it installed, and on PATH?\n{hint}"
        )
    how = f"exit status {ended.exit}" if ended.exit is not None else f"signal {ended.signal}"
    return CommandFailed("command-failed", f"{what} ended with {how}", where=where, hint=hint)


class _Supervision:
    """One command under supervision. Times are time.monotonic()."""

    def __init__(self, grace_seconds: float) -> None:
        self.grace = grace_seconds
        self.signal: str | None = None
        self.cause: Literal["interrupted", "time-limit"] | None = None
        self.ending: leftovers.Ending | None = None
        self.leader: subprocess.Popen[bytes] | None = None
        self.adopter: int | None = None
        self.known: frozenset[int] = frozenset()
        self.mark = secrets.token_hex(8)

    def asked(self, signum: int) -> None:
        """A signal asks us to stop; called in the handler itself, so that a blocked terminal delays nothing."""
        again = self.signal is not None
        self.signal = self.signal or signal.Signals(signum).name
        self.cause = "interrupted"
        if again and signum == signal.SIGINT:  # a person pressed Ctrl-C twice
            self.end(0)
        self.end(self.grace)

    def end(self, seconds: float) -> None:
        """Ask all of it to end, once; what is left after so many seconds is killed."""
        kill_at = time.monotonic() + seconds
        if self.leader is None:
            return
        if self.ending is None:
            self.ending = leftovers.Ending(kill_at)
        self.ending.kill_at = min(self.ending.kill_at, kill_at)
        self._press()

    def _left(self) -> list[int]:
        leader = self.leader
        return leftovers.alive(self.mark, leader.pid, adopted_by=self.adopter, known=self.known) if leader else []

    def _reap(self, processes: list[leftovers.Process]) -> None:
        if self.leader is not None and self.adopter is not None:
            leftovers.reap(processes, self.leader.pid, self.adopter, self.known)

    def _press(self) -> None:
        if self.ending is None or self.leader is None:
            return
        left, now = self._left(), time.monotonic()
        self.ending.press(left, now)
        if not leftovers.PROC.is_dir() and self.leader.returncode is None:  # the group is all we know
            due = now >= self.ending.kill_at
            if due or self.leader.pid not in self.ending.told:
                self.ending.told.add(self.leader.pid)
                leftovers.send(signal.SIGKILL if due else signal.SIGTERM, (), group=self.leader.pid)

    def run(
        self,
        command: str,
        cwd: Path,
        env: Mapping[str, str],
        output: Output,
        timeout_seconds: float | None,
        woken: int | None,
        adopter: int | None,
    ) -> Ended:
        began, oom_before, meter = time.monotonic(), oom_kills(), Meter()
        with _guard(self.mark, self.grace) as tell_guard:
            if adopter is not None:
                self.adopter = adopter
                self.known = frozenset(p.pid for p in leftovers.table() if p.parent == adopter)
            try:
                self.leader = self._start(command, cwd, env)
            except (OSError, ValueError) as error:
                output.write(f"{error}\n".encode())
                return Ended(127, None, time.monotonic() - began, "failed", Resources(wall_seconds=0.0), output.tail())
            tell_guard(self.leader.pid)
            if self.cause:  # asked while it was being started
                self.end(self.grace)
            follow = Follow(self.leader, output, meter, woken, self._reap)
            try:
                follow.until_exit(lambda: self._keep_time(began, timeout_seconds))
            finally:
                self._sweep(follow)
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
            env={"PYTHONUNBUFFERED": "1", **{k: v for k, v in env.items() if k not in CHANNELS + OURS}, leftovers.MARKER: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )

    def _keep_time(self, began: float, timeout_seconds: float | None) -> float | None:
        """Enforce time limit and grace; returns the seconds until it must be called again, None for never."""
        now = time.monotonic()
        if self.ending is not None:
            self._press()
            return 0.05
        if timeout_seconds is None:
            return None
        if now - began >= timeout_seconds:
            self.cause = self.cause or "time-limit"
            self.end(self.grace)
        return max(0.05, began + timeout_seconds - now)

    def _sweep(self, follow: Follow) -> None:
        """End what the command left behind: it may finish by itself, then is asked, then is killed."""
        if follow.leader.returncode is None:  # we are leaving by an exception of our own
            leftovers.send(signal.SIGKILL, (), group=follow.leader.pid)
            follow.reap(block=True)
        began = time.monotonic()
        give_up = began + leftovers.LINGER_SECONDS + max(self.grace, POLITE_SECONDS) + 2
        while self._left() and (now := time.monotonic()) < give_up:
            if self.ending is not None:
                self._press()
            elif now - began >= leftovers.LINGER_SECONDS:
                self.end(POLITE_SECONDS)
            follow.drain(0.02)
        follow.drain(0)

    def _ended(self, follow: Follow, output: Output, seconds: float, took: Resources, *, killed_by_kernel: bool) -> Ended:
        code = follow.leader.returncode or 0
        exit_status, by = (code, None) if code >= 0 else (None, signal.Signals(-code).name)
        how: How = "ok" if code == 0 else "failed"
        if self.cause is not None:
            how, by = self.cause, self.signal or by
        elif code != 0:
            killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
            if (killed and killed_by_kernel) or _OUT_OF_MEMORY.search(output.memory.decode("utf-8", "replace")):
                how = "out-of-memory"
        return Ended(exit_status, by, round(seconds, 3), how, took, output.tail(), output.open_line)


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
