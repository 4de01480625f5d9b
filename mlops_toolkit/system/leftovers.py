"""Finding and ending every process a command started, also those that left its process group.

Everything the command starts inherits a marker in its environment; what clears its environment is still found by its
session, or as an orphan that came to us. Without /proc (macOS) only the process group is known.

Run as a program it is the guard: it waits on its standard input, and when that closes (whoever held the other end was
killed) it ends the marked processes. It imports nothing of ours, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

MARKER = "MLOPS_SUPERVISED"
PROC = Path("/proc")
LINGER_SECONDS = 0.5  # what a process gets to end by itself once nothing more can come in, e.g. `tee` in `> >(tee log)`
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A line of the process table. zombie: ended, and not yet waited for by its parent."""

    pid: int
    parent: int
    group: int
    session: int
    zombie: bool


def table() -> list[Process]:
    """Every process there is; [] where there is no /proc."""
    found = []
    for name in os.listdir(PROC) if PROC.is_dir() else ():  # noqa: PTH208 -- names are all we need, of thousands
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                # The program's name stands in parentheses and may hold anything, parentheses too.
                state, parent, group, session = (PROC / name / "stat").read_bytes().rpartition(b")")[2].split()[:4]
                found.append(Process(int(name), int(parent), int(group), int(session), state in (b"Z", b"X")))
    return found


def descendants(root: int, processes: Iterable[Process]) -> list[int]:
    """root and what descends from it, by parents."""
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process.pid)
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that a family of processes holds: what is private to each, and the largest shared part once."""
    private, shared = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            pages = (PROC / str(pid) / "statm").read_bytes().split()
            private += int(pages[1]) - int(pages[2])
            shared = max(shared, int(pages[2]))
    return (private + shared) * _PAGE


def marked(pid: int, mark: str) -> bool:
    """Whether a process was started with our marker in its environment (another user's cannot be asked: no)."""
    try:
        return f"{MARKER}={mark}".encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def alive(mark: str, leader: int, *, adopted_by: int | None = None, known: frozenset[int] = frozenset()) -> list[int]:
    """The processes of a command that still run.

    leader: the pid that is also its session and group. adopted_by: our own pid where orphans come to us; its children
    outside of `known` are then the command's too.
    """
    processes = table()
    if adopted_by is not None:
        reap(processes, leader, adopted_by, known)
    found = []
    for process in processes:
        if process.pid in known or process.pid == os.getpid() or process.zombie:
            continue
        ours = leader in (process.session, process.group) or (adopted_by is not None and process.parent == adopted_by)
        if ours or marked(process.pid, mark):
            found.append(process.pid)
    return found


def reap(processes: Iterable[Process], leader: int, adopted_by: int, known: frozenset[int]) -> None:
    """Wait for the orphans that came to us and have ended, as init would have done; the leader is its starter's to wait for."""
    for process in processes:
        if process.zombie and process.parent == adopted_by and process.pid != leader and process.pid not in known:
            with contextlib.suppress(OSError):
                os.waitpid(process.pid, os.WNOHANG)


def send(signum: int, pids: Iterable[int], *, group: int | None = None) -> None:
    """Signal a group and single processes; those that are gone already are fine."""
    if group is not None:
        with contextlib.suppress(OSError):
            os.killpg(group, signum)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signum)


def readers(pids: Iterable[int]) -> set[int]:
    """Those whose standard input is a pipe that another of them writes to: `tee` in `train.py | tee log`."""
    ends = {pid: [_pipe(pid, number) for number in (0, 1, 2)] for pid in pids}
    return {pid for pid, (end, _, _) in ends.items() if end and any(end in out[1:] for other, out in ends.items() if other != pid)}


def _pipe(pid: int, descriptor: int) -> str | None:
    try:
        place = os.readlink(f"{PROC}/{pid}/fd/{descriptor}")  # noqa: PTH115 -- no file, a name like `pipe:[4711]`
    except OSError:
        return None
    return place if place.startswith("pipe:") else None


@dataclass
class Ending:
    """Ending processes: each is asked once with SIGTERM (a second one means "at once" to many programs), and killed at `kill_at`.

    A reader of a pipe is not asked before its writers are gone: killed first, `tee` would take the last words of a program
    that saves its checkpoint, and the program with them (SIGPIPE). By then it mostly has ended by itself.
    """

    kill_at: float
    told: set[int] = field(default_factory=set)
    reading: dict[int, float] = field(default_factory=dict)

    def press(self, left: Iterable[int], now: float) -> None:
        """One step with those that are left; to be called again until there are none. now, kill_at: time.monotonic()."""
        left = list(left)
        if now >= self.kill_at:
            send(signal.SIGKILL, left)
            return
        self.reading |= dict.fromkeys(readers(left), now)
        due = [pid for pid in left if pid not in self.told and now - self.reading.get(pid, -LINGER_SECONDS) >= LINGER_SECONDS]
        self.told.update(due)
        send(signal.SIGTERM, due)


def guard(mark: str, leader: int, grace_seconds: float) -> None:
    """End the command politely, then for certain, as its supervisor would have done."""
    ending = Ending(time.monotonic() + grace_seconds)
    while (left := alive(mark, leader)) and (now := time.monotonic()) < ending.kill_at + 2:
        ending.press(left, now)
        time.sleep(0.05)


if __name__ == "__main__":
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()  # the leader's pid; then nothing, until our supervisor is dead
    if line.strip().isdigit() and not sys.stdin.buffer.read(1):
        guard(sys.argv[1], int(line), float(sys.argv[2]))
