"""Reads counters of the new and the old release while a step is watched, and has them judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.rollout.actions import Judged
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.codec import read, to_json
from mlops_toolkit.rollout.driver import Driver, Observed, ReleaseFailure, Sample
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.plan import judged_step, stages
from mlops_toolkit.rollout.state import Doing, State
from mlops_toolkit.rollout.windows import Watch

EVERY = 2.0  # seconds between two looks at the counters


class Counters:
    """Of one order at a time."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._watch: tuple[tuple[str, Moment], Watch] | None = None
        self._last: Moment | None = None
        self._judged: Judged | None = None

    def begin(self, releases: Sequence[Release]) -> dict[str, Any]:
        """The counters as they stand, for the journal; without those that cannot be read."""
        found = {one.id: self._sample(one) for one in releases}
        return {key: to_json(one) for key, one in found.items() if one is not None}

    def look(self, state: State, now: Moment, observed: Observed) -> Judged | None:
        """What they say of the step that is watched now; None where none is."""
        step, doing = judged_step(state), state.doing
        if doing is None or not step:
            self._watch = self._last = self._judged = None
            return None
        began = doing.did["switch" if step == "watch" else step]
        key = (step, began.at)
        if self._watch is None or self._watch[0] != key:
            self._watch, self._last, self._judged = (key, self._made(doing, step)), None, None
        if self._last is not None and now.since(self._last) < EVERY:
            return self._judged
        self._last = now
        before = state.release(doing.before)
        beside = step != "watch" and before is not None
        new, old = self._sample(doing.release), self._sample(before) if beside and before else None
        restarts = {one: instance.restarts for one, instance in observed.instances.items()}
        elapsed = now.since(began.at)
        watch = self._watch[1]
        watch.add(new, old, restarts.get(doing.release.id, 0), restarts.get(doing.before or "", 0))
        instance = observed.instances.get(doing.release.id)
        watch.why = instance.why if instance is not None else ""
        self._judged = watch.judged(elapsed)
        return self._judged

    def _made(self, doing: Doing, step: str) -> Watch:
        """With the counters as they were when the step began, also where that was before a kill."""
        began = _samples(doing, "switch" if step == "watch" else step)
        order = doing.order
        if step != "watch":
            parts = stages(order, doing.before)
            hold = parts[int(step.split(":")[1])].hold
            return Watch(order.limits, began.get(doing.release.id), began.get(doing.before or ""), length=hold, parts=len(parts))
        start, end = _samples(doing, "ordered").get(doing.before or ""), began.get(doing.before or "")
        return Watch(order.limits, began.get(doing.release.id), None, length=order.watch, after=True, earlier=(start, end))

    def _sample(self, release: Release) -> Sample | None:
        try:
            return self.driver.sample(release)
        except (EnvironmentFailure, ReleaseFailure):
            return None  # counted again at the next look: what does not answer is seen by its health


def _samples(doing: Doing, step: str) -> dict[str, Sample]:
    data = doing.did[step].data.get("samples") if step in doing.did else None
    try:
        return {key: read(Sample, one, where="the journal") for key, one in (data or {}).items()}
    except UsageError:
        return {}  # then it is counted from the next look on
