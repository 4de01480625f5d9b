"""The lock has one owner, with real processes that die, hang, and find it free at the same time, whatever their clocks say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.rollout.clock import Moment, SystemClock
from mlops_toolkit.rollout.lock import FileLock, Kept


class Set:
    """A clock that somebody sets."""

    def __init__(self, moment: Moment = Moment(100.0, "boot-1", 1e9)) -> None:  # noqa: B008 -- it is frozen
        self.moment = moment

    def now(self) -> Moment:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment = replace(self.moment, seconds=self.moment.seconds + seconds)


# Takes the lock again and again; while it has it, the file `inside` must be its own: two owners would meet there. Now and then it lets its
# time run out, outside of what only an owner may do.
HAMMER = """
import os, sys, time
from pathlib import Path
from mlops_toolkit.rollout.clock import SystemClock
from mlops_toolkit.rollout.lock import FileLock
folder, number, mine = Path(sys.argv[1]), sys.argv[2], 0
lock, inside, end = FileLock(folder / "lock", SystemClock()), folder / "inside", time.monotonic() + 1.5
while time.monotonic() < end:
    owner = f"owner {number} try {mine}"
    if lock.take(owner, 0.5) is not None:
        continue
    try:
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        print("two owners")
    inside.unlink(missing_ok=True)
    mine += 1
    if mine % 50 == 7:
        continue  # it forgets to let go, and takes it again under another name when its time is over, or another does
    lock.release(owner)
print(mine)
"""
HOLD = """
import sys, time
from pathlib import Path
from mlops_toolkit.rollout.clock import SystemClock
from mlops_toolkit.rollout.lock import FileLock
assert FileLock(Path(sys.argv[1]), SystemClock()).take("holder", 600.0) is None
print("ready", flush=True)
time.sleep(600)
"""


def process(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)


def test_of_many_who_find_it_free_one_gets_it(tmp_path: Path) -> None:
    crowd = [process(HAMMER, str(tmp_path), str(number)) for number in range(4)]
    said = [one.communicate(timeout=120)[0].split("\n") for one in crowd]
    assert [one.returncode for one in crowd] == [0] * 4
    assert not [lines for lines in said if "two owners" in lines]
    assert sum(int(lines[-2]) for lines in said) > 20


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with process(HOLD, str(tmp_path / "lock")) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        yield one
        one.kill()


def test_a_dead_owner_is_known_at_once(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """Without waiting for its time; one that lives, or is stopped, keeps it for that."""
    lock = FileLock(tmp_path / "lock", SystemClock())
    words = lock.take("next", 60.0)
    assert words is not None
    assert words.startswith("holder since 20")
    os.kill(holder.pid, signal.SIGSTOP)
    assert lock.take("next", 60.0)
    holder.kill()
    holder.wait()
    assert lock.take("next", 60.0) is None
    assert not FileLock(tmp_path / "lock", SystemClock()).renew("holder", 60.0)


def test_an_owner_that_hangs_loses_it_and_finds_out(tmp_path: Path) -> None:
    clock = Set()
    first, second, third = (FileLock(tmp_path, clock) for _ in range(3))
    assert first.take("first", 15.0) is None
    clock.sleep(14.0)
    assert second.take("second", 15.0)
    assert first.renew("first", 15.0)
    clock.sleep(14.0)
    assert second.take("second", 15.0)
    clock.sleep(2.0)
    assert second.take("second", 15.0) is None
    assert not first.renew("first", 15.0)
    first.release("first")  # which is not its any more
    assert third.take("third", 15.0)
    clock.sleep(14.9)
    assert third.take("third", 15.0)
    second.release("second")
    assert third.take("third", 15.0) is None


@pytest.mark.parametrize("jump", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_clock_that_is_set_gives_it_to_nobody(tmp_path: Path, jump: float) -> None:
    clock = Set()
    first, second = FileLock(tmp_path, clock), FileLock(tmp_path, clock)
    assert first.take("first", 15.0) is None
    clock.moment = replace(clock.moment, wall=clock.moment.wall + jump)
    assert second.take("second", 15.0)
    assert first.renew("first", 15.0)


@pytest.mark.parametrize("seconds", [1.0, 5e6])
def test_one_from_before_the_last_start_is_free_after_its_own_time(tmp_path: Path, seconds: float) -> None:
    """Its seconds are of another clock: whoever renews it is seen to renew it, on this machine or on another that shares the folder."""
    away, here = Set(), Set(Moment(seconds, "boot-2", 0.0))
    first, second = FileLock(tmp_path, away), FileLock(tmp_path, here)
    assert first.take("first", 15.0) is None
    words = second.take("second", 15.0)
    assert words is not None
    assert "before this machine was started: free in 15 s" in words
    here.sleep(14.0)
    assert second.take("second", 15.0)
    away.sleep(5.0)
    assert first.renew("first", 15.0)  # it lives after all
    here.sleep(14.0)
    assert second.take("second", 15.0)
    here.sleep(14.0)
    assert second.take("second", 15.0)
    here.sleep(1.0)
    assert second.take("second", 15.0) is None
    assert not first.renew("first", 15.0)


def test_it_is_renewed_while_a_step_lasts(tmp_path: Path) -> None:
    clock = SystemClock()
    kept, other = Kept(FileLock(tmp_path, clock), 0.05), FileLock(tmp_path, clock)
    assert kept.take("one", 0.3) is None
    time.sleep(0.6)
    assert other.take("two", 0.3)
    kept.release("one")
    time.sleep(0.1)
    assert other.take("two", 0.3) is None
    assert not kept.renew("one", 0.3)


def test_a_damaged_record_is_mended(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_bytes(b"\0\0{")
    assert FileLock(tmp_path, Set()).take("one", 1.0) is None
