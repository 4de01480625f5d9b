"""How often and how long a registry that stumbles is asked again."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

from mlops_toolkit.errors import EnvironmentFailure

T = TypeVar("T")
TRIES = 5
SECONDS = 300.0  # of waiting, all in all
FIRST, LONGEST = 0.5, 30.0


class Stumbled(Exception):
    """Something that another try may mend. after: seconds the registry asks to wait."""

    def __init__(self, said: str, after: float | None = None) -> None:
        super().__init__(said)
        self.said, self.after = said, after


@dataclass
class Patience:
    """Waits between tries, exponentially with jitter, or as long as the registry says; gives up after `tries` in a row or `seconds` of waiting."""

    sleep: Callable[[float], object] = time.sleep
    tries: int = TRIES
    seconds: float = SECONDS
    failures: int = 0
    waited: float = 0.0
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def persist(self, ask: Callable[[], T], what: str) -> T:
        """What `ask` gives, once it does not stumble."""
        while True:
            try:
                return ask()
            except Stumbled as stumbled:  # noqa: PERF203 -- the network is slower than this
                self.wait(stumbled, what)

    def progress(self) -> None:
        """Something went forward: trying again is worth it once more."""
        self.failures = 0

    def wait(self, stumbled: Stumbled, what: str) -> None:
        """Wait, or raise `registry-unreachable`. what: what failed, as the beginning of a sentence."""
        self.failures += 1
        pause = min(LONGEST, FIRST * 2.0**self.failures) * self.rng.uniform(0.5, 1.0)
        if stumbled.after is not None:
            pause = max(stumbled.after, 0.0) + pause / 10
        if self.failures >= self.tries or self.waited + pause > self.seconds:
            asks = f"; it asks to wait {stumbled.after:.0f} s" if stumbled.after and stumbled.after > self.seconds else ""
            raise EnvironmentFailure("registry-unreachable", f"{what} failed: {stumbled.said}{asks}") from stumbled
        self.waited += pause
        self.sleep(pause)


def retry_after(value: str | None, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> float | None:
    """Seconds of a `Retry-After`: a number, or a date; None where it is neither."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return float(value.strip()[:12])  # longer than anybody waits
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() - now().timestamp())
    except (ValueError, OverflowError):
        return None
