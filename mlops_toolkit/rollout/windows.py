"""What is counted while a step is watched: counters that may begin anew, looks that share what false alarms may be spent, memory over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean
from typing import TypeVar

from mlops_toolkit.rollout.actions import Judged
from mlops_toolkit.rollout.driver import Sample
from mlops_toolkit.rollout.intervals import slope
from mlops_toolkit.rollout.judge import Counted, Finding, judge, together
from mlops_toolkit.rollout.order import Limits

K = TypeVar("K", str, float)
FIRST, GROWTH = 20, 1.5  # requests at the first look, and how many times as many at each next one
PIECE = 60.0  # seconds of a watch that are judged by themselves, so that what goes wrong late is not thinned by what went well before
PIECES = 10  # at most
AHEAD = 6 * 3600.0  # seconds from now within which memory must not be used up at the rate at which it grows
LEAKS = 0.001  # of windows without a leak in which one is seen
GROWN = 0.02  # of the limit by which memory must have grown, to be spoken of


def minus(later: Sample, earlier: Sample) -> Counted | None:
    """What was counted in between; None where counters began anew, so that nobody knows."""
    if later.since != earlier.since or later.requests < earlier.requests or later.failed < earlier.failed:
        return None
    return Counted(
        later.requests - earlier.requests,
        later.failed - earlier.failed,
        {bound: max(0, count - earlier.latency.get(bound, 0)) for bound, count in later.latency.items()},
        {output: _counts(labels, earlier.answers.get(output, {})) for output, labels in later.answers.items()},
    )


def _counts(later: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    return {label: max(0, count - earlier.get(label, 0)) for label, count in later.items()}


def plus(one: Counted, other: Counted) -> Counted:
    """Both windows."""
    outputs = {*one.answers, *other.answers}
    return Counted(
        one.requests + other.requests,
        one.failed + other.failed,
        _sum(one.latency, other.latency),
        {output: _sum(one.answers.get(output, {}), other.answers.get(output, {})) for output in sorted(outputs)},
    )


def _sum(one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


@dataclass
class Counter:
    """One release: counts since the step began. What was counted between the last look and a restart is lost, and what was counted long before
    it by the instances that did not restart is not taken for it."""

    last: Sample | None = None
    counted: Counted = field(default_factory=Counted)

    def add(self, sample: Sample | None) -> None:
        """At a look; None: it could not be asked."""
        if sample is None:
            return
        between = minus(sample, self.last) if self.last is not None else None
        self.counted = plus(self.counted, between) if between is not None else self.counted
        self.last = sample


@dataclass
class Looks:
    """Looks at growing counts, each with its part of `alpha`: the k-th has 1/((k+1)(k+2)) of half of it, the last one the other half.

    However many there are, together they spend no more (the parts sum to it, and Bonferroni's inequality asks for no more). That they come when
    there are half as many requests again, and not by the clock, keeps what is known at each the same at any traffic.
    """

    alpha: float
    next: float = FIRST
    k: int = 0
    ended: bool = False

    def due(self, requests: int, over: bool) -> float:
        """What may be spent at this look; 0.0: none is due."""
        if over and not self.ended:
            self.ended = True
            return self.alpha / 2
        if requests < self.next:
            return 0.0
        while requests >= self.next:
            self.next *= GROWTH
            self.k += 1
        return self.alpha / 2 / (self.k * (self.k + 1))


class Watch:
    """The counters of one step of an order, from its beginning.

    new, old  samples at its beginning, None: unknown
    length    seconds after which it may pass; parts: how many steps before the switch share what may be spent
    after     whether it is the watch after the switch: there is no traffic of the old one beside it, and `earlier` (first and last sample of
              the old one while the order was prepared) is what it is held against
    """

    def __init__(
        self,
        limits: Limits,
        new: Sample | None,
        old: Sample | None,
        *,
        length: float,
        parts: int = 1,
        after: bool = False,
        earlier: tuple[Sample | None, Sample | None] = (None, None),
    ) -> None:
        self.limits, self.length, self.after = limits, length, after
        first, last = earlier
        self.reference = minus(last, first) if first is not None and last is not None else None
        asked = [one for one in (limits.errors, limits.latency, limits.most_latency, limits.predictions) if one is not None]
        alpha = (1 - limits.confidence) / 2 / max(1, len(asked)) / 2  # each limit has its part; half of it before the switch, half after
        pieces = min(PIECES, max(1, math.ceil(length / PIECE))) if after else 0
        self.alpha = alpha / (pieces + 1 if after else max(1, parts))
        self.piece = length / pieces if pieces else math.inf
        self.new, self.old = Counter(new), Counter(old)
        self.part, self.part_began = Counter(new), 0.0
        self.looks, self.part_looks = Looks(self.alpha), Looks(self.alpha)
        self.restarts: tuple[int, int] | None = None
        self.restarted = (0, 0)
        self.why = ""  # in words, why the new one was started again
        self.memory: list[tuple[float, float]] = []

    def add(self, new: Sample | None, old: Sample | None, restarts: int, restarts_old: int) -> None:
        """A look at both."""
        self.new.add(new)
        self.part.add(new)
        self.old.add(old)
        self.restarts = self.restarts or (restarts, restarts_old)
        self.restarted = (max(0, restarts - self.restarts[0]), max(0, restarts_old - self.restarts[1]))
        if new is not None and new.memory is not None:
            self.memory.append((new.at, float(new.memory)))

    def judged(self, elapsed: float) -> Judged:
        """What is known so far. elapsed: seconds since the step began."""
        before = (self.reference if self.reference is not None and self.reference.requests else None) if self.after else self.old.counted
        spend = self.looks.due(self.new.counted.requests, elapsed >= self.length)
        found = judge(self.new.counted, before, self.limits, spend or 1e-12)
        worse = self._piece(before, elapsed) if self.after else ()
        return together((*self._hard(), *worse, *found))

    def _piece(self, before: Counted | None, elapsed: float) -> tuple[Finding, ...]:
        """The last minute by itself, where it is worse."""
        over = elapsed >= self.part_began + self.piece
        spend = self.part_looks.due(self.part.counted.requests, over)
        found = judge(self.part.counted, before, self.limits, spend) if spend else ()
        if over:
            self.part, self.part_began, self.part_looks = Counter(self.part.last), elapsed, Looks(self.alpha)
        return tuple(one for one in found if one.verdict == "fail")

    def _hard(self) -> tuple[Finding, ...]:
        """What needs no statistics of requests."""
        found = []
        new, old = self.restarted
        if new > old:
            text = f"it was restarted {new} times, the one before {old} times" + (f": {self.why}" if self.why else "")
            found.append(Finding("restarts", "fail", text, {"new": new, "old": old}))
        limit = self.limits.memory
        if limit is not None and self.memory:
            now = self.memory[-1][1]
            if now > limit:
                found.append(Finding("memory", "fail", f"it has {_bytes(now)} of memory, allowed {_bytes(limit)}", {"memory": now}))
            elif (leak := leaking(self.memory, limit)) is not None:
                found.append(leak)
        return tuple(found)


def leaking(points: list[tuple[float, float]], limit: float) -> Finding | None:
    """Memory that grows so that it reaches the limit before long; None where none is seen.

    Looked at are the last three fifths of the window (what is loaded late at first is no leak), in ten pieces by time, whose means are held
    to be independent. Both its halves must grow too: what grows and then stays is a cache.
    """
    start, end = points[0][0], points[-1][0]
    length = (end - start) * 0.6
    late = [(at, size) for at, size in points if at >= end - length]
    if length <= 0 or len(late) < 20:
        return None
    means = [
        (fmean(at for at, _ in piece), fmean(size for _, size in piece))
        for number in range(10)
        if (piece := [one for one in late if number <= (one[0] - (end - length)) / length * 10 < number + 1 + (number == 9)])
    ]
    whole, first, second = slope(means, LEAKS), slope(list(islice(means, 0, 5)), 0.1), slope(means[-5:], 0.1)
    if whole is None or first is None or second is None or min(whole[0], first[0], second[0]) <= 0:
        return None
    now = points[-1][1]
    left = (limit - now) / whole[0]
    if left > AHEAD or whole[1] * length < GROWN * limit:
        return None
    low, likely, high = (60 * rate for rate in whole)
    text = f"its memory grows by {_bytes(likely)} a minute [{_bytes(low)}, {_bytes(high)}]: {_bytes(limit)} are used up in about {_long((limit - now) / whole[1])}"
    return Finding("memory", "fail", text, {"memory": now, "a_minute": likely, "low": low, "high": high})


def _bytes(size: float) -> str:
    for unit, each in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size) >= each:
            return f"{size / each:.3g} {unit}"
    return f"{size:.0f} bytes"


def _long(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{max(seconds / 60, 1):.0f} min"
