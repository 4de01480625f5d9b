"""How long a batch of so many rows takes, learned from those that were computed."""

from __future__ import annotations

import time
from collections.abc import Callable

WEIGHT = 0.2  # of the newest measurement
FORGET = 30.0  # seconds after which a size that was not computed again is guessed from its neighbours: it may have been slow by accident
RISE = 1.05  # by which the fastest measurement fades with each later one


class Speed:
    """Seconds by size, kept for sizes 1, 2, 3–4, 5–8, …; what is between or beyond them is in proportion.

    Before anything was computed it says 0: the first request is never refused.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._known: dict[int, tuple[float, float, float, float]] = {}  # size class -> (seconds, rows, when, the fastest)

    def learn(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        place, fastest = (rows - 1).bit_length(), seconds
        before = self._known.get(place)
        if before is not None:
            scaled = before[0] * rows / before[1] if before[1] > rows else before[0]
            fastest = min(seconds, before[3] * RISE)
            seconds = scaled + WEIGHT * (seconds - scaled)
        self._known[place] = (seconds, rows, self._clock(), fastest)

    def seconds(self, rows: int) -> float:
        """What a batch of so many rows will take."""
        return self._guess(rows, 0)

    def fastest(self, rows: int) -> float:
        """What it takes when nothing else wants the processor (or the interpreter's lock)."""
        return self._guess(rows, 3)

    def _guess(self, rows: int, which: int) -> float:
        if rows <= 0 or not self._known:
            return 0.0
        place = (rows - 1).bit_length()
        known = self._known.get(place)
        if known is not None and (len(self._known) == 1 or self._clock() - known[2] < FORGET):
            return known[which] if rows <= known[1] else known[which] * rows / known[1]
        smaller = max((size for size in self._known if size < place), default=None)
        if smaller is None:
            return self._known[min(self._known)][which]
        known = self._known[smaller]
        return known[which] * rows / known[1]

    def rows(self, target: float, most: int) -> int:
        """How many rows, `most` at most, are computed in the target time: at least 1; more where they cost hardly more than one does."""
        target = max(target, 2 * self.seconds(1))
        while most > 1 and self.seconds(most) > target:
            most //= 2
        return most
