"""Parts of steps that the way forwards and the way back share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.actions import Action, Do, Look, Wait, Write, soon
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.state import Doing, State

MORE = 0.02  # of all traffic that the newest may get more than it was given, before it is divided anew
PAUSE = 5.0  # seconds between two requests to end the same instances
TRIES = 6  # of these; then they are left for a person


def back(
    doing: Doing, name: str, reason: str, hint: str | None = None, *, withdraw: bool = True, numbers: Mapping[str, Any] | None = None
) -> Write:
    """The decision to go back, for the journal."""
    line = {"what": "back", "order": doing.order.id, "name": name, "reason": reason, "hint": hint, "withdraw": withdraw}
    return Write({**line, "numbers": dict(numbers or {})}, "back", reason, failed=True)


def done(doing: Doing, step: str, text: str, **data: object) -> Write:
    """What was found out, for the journal."""
    return Write({"what": "did", "order": doing.order.id, "step": step, "text": text, "data": data}, step.split(":")[0], text)


def moved(seen: Mapping[str, float], made: object, newest: str) -> bool:
    """Whether the traffic goes elsewhere than it was sent: to others, or more of it to the newest. What comes and goes with single replicas is not."""
    if not isinstance(made, Mapping):
        return True
    if {one for one, share in seen.items() if share > 0} != {one for one, share in made.items() if float(share) > 0}:
        return True
    return seen.get(newest, 0.0) > max(1.5 * float(made.get(newest, 0.0)), float(made.get(newest, 0.0)) + MORE)


def leave(state: State, look: Look, now: Moment, stays: str | None, quiet: float) -> Action | None:
    """End all other instances, once they have answered what they have; quiet: seconds since they had traffic. None where none is left."""
    doing = state.doing
    if doing is None:
        return None
    for identifier, instance in sorted(look.observed.instances.items()):
        if identifier == stays or instance.health == "absent":
            continue
        release = state.release(identifier) or Release(identifier, "")
        asked = doing.did.get(f"stop:{identifier}")
        if asked is not None and (instance.health == "stopping" or now.since(asked.at) < PAUSE):
            return Wait("stop", f"{called(release)} ends", soon(now.since(asked.at)))
        if asked is not None and asked.times >= TRIES:
            continue
        if asked is None and instance.health != "failed" and instance.in_flight != 0 and quiet < doing.order.drain:
            waits = "" if instance.in_flight is None else f": {instance.in_flight} requests wait"
            return Wait("drain", f"{called(release)} answers what it has{waits}", soon(quiet))
        return Do(f"stop:{identifier}", "stop", release, text=f"stop {called(release)}")
    return None
