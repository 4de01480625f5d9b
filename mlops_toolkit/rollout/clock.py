"""Time that a clock set wrong cannot change: seconds of the kernel since this machine started, and which start that was."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """seconds: of the kernel's own clock, which nobody can set; boot: the start of the machine that they are counted from; wall: since 1970,
    to be shown to people and never reckoned with."""

    seconds: float
    boot: str = ""
    wall: float = 0.0

    def since(self, earlier: Moment) -> float:
        """Seconds from then to now; 0 where the machine was started in between, since nobody knows how long that took."""
        return max(0.0, self.seconds - earlier.seconds) if self.boot == earlier.boot else 0.0

    @property
    def text(self) -> str:
        """For people and records: ISO 8601 in UTC."""
        return datetime.datetime.fromtimestamp(self.wall, datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


class Clock(Protocol):
    """Tells the time, and lets it pass."""

    def now(self) -> Moment: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's. CLOCK_BOOTTIME goes on while the machine sleeps, as others' clocks do."""

    def __init__(self) -> None:
        try:
            self.boot = BOOT.read_text().strip()
        except OSError:  # not Linux: moments of one process can be compared, those of two cannot
            self.boot = f"process-{time.time_ns()}"
        self._clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> Moment:
        return Moment(time.clock_gettime(self._clock), self.boot, time.time())

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
