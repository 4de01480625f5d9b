"""Time as a value that is passed in, so that nothing below reads the clock by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """now() is aware UTC; monotonic() seconds only differ meaningfully; sleep() takes seconds."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class FixedClock:
    """A clock that moves only when slept on or told; for tests."""

    at: datetime
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def looks(clock: Clock, seconds: float, every: float = 15.0) -> Iterator[float]:
    """When to look at what others are still making: now, then time and again, the last time when that long is over. How long was waited yet."""
    begun, waited = clock.monotonic(), 0.0
    while True:
        yield waited
        if waited >= seconds:
            return
        left = seconds - (clock.monotonic() - begun)
        if left > 0:  # else the look itself took so long
            clock.sleep(min(every, left))
        waited = clock.monotonic() - begun


def iso(moment: datetime) -> str:
    """`2026-11-24T09:20:57Z`: UTC, whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
