"""The way back of an order: the traffic to the last good release, made anew from its stored spec where it is gone; then the new one ends.

Nothing here asks whether it pays: that it goes back was decided and written down. What can still be decided is where to, since the release before
may itself be gone for good: then the next good one, and where none can run, the new one keeps the traffic, if it answers at all.
"""

from __future__ import annotations

from mlops_toolkit.rollout.accept import called, short
from mlops_toolkit.rollout.actions import Action, Do, End, Look, Wait, Write
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.driver import Instance
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.state import Doing, State
from mlops_toolkit.rollout.steps import leave, moved
from mlops_toolkit.rollout.tell import Outcome


def backward(state: State, doing: Doing, look: Look, now: Moment) -> Action:
    """The next step of the way back."""
    wanted = candidates(state, doing)
    if doing.before is None or not wanted:
        return _without(state, doing, look, now)
    return _to(state, doing, wanted[0], look, now)


def candidates(state: State, doing: Doing) -> tuple[Release, ...]:
    """Whom it can go back to, the release before first. The one that takes over is none."""
    ids = dict.fromkeys([doing.before or "", *state.good])
    return tuple(state.releases[one] for one in ids if one in state.releases and one != doing.release.id and one not in doing.unable)


def _to(state: State, doing: Doing, old: Release, look: Look, now: Moment) -> Action:
    instance = look.observed.instances.get(old.id, Instance(old.id, "absent"))
    routed = doing.did.get("back:route")
    if moved(look.observed.shares, {old.id: 1.0}, old.id):
        if instance.health != "ready":
            return _ready(doing, old, instance, now)
        if routed is not None and now.since(routed.at) < 1.0:
            return Wait("back", f"{called(old)} does not have all traffic yet", 0.2)
        return Do("back:route", "route", old, {old.id: 1.0}, text=f"all traffic to {called(old)} again")
    if routed is None and instance.health not in ("ready", "starting") and "back:start" not in doing.did:
        return _ready(doing, old, instance, now)  # it has all traffic by name, but is not there; once: then it comes up by itself
    # perhaps it gets copies of the traffic, and a kill came before that was written
    if doing.order.strategy == "shadow" and "golden" in doing.did and "unshadow" not in doing.did:
        return Do("unshadow", "shadow", old, {doing.release.id: 0.0}, doing.release, text="no more copies")
    quiet = now.since(routed.at) if routed is not None else doing.order.drain
    if (found := leave(state, look, now, old.id, quiet)) is not None:
        return found
    return _end(state, doing, old)


def _ready(doing: Doing, old: Release, instance: Instance, now: Moment) -> Action:
    """Until the release to go back to is there."""
    did = doing.did
    if "back:bring" not in did:
        if instance.health == "starting":
            return _patient(doing, old, instance, now, doing.back.at if doing.back else now)
        return Do("back:bring", "bring", old, text=f"have the image of {called(old)}")
    start = did.get("back:start")
    if start is None or (instance.health in ("absent", "failed") and now.since(start.at) > 5.0 and start.times < 3):
        return Do("back:start", "start", old, text=f"start {called(old)} again, as it was")
    if instance.health == "failed" and now.since(start.at) > 5.0:
        return unable(doing, old, f"it does not run: {instance.why or 'it ended'}")
    return _patient(doing, old, instance, now, start.at)


def _patient(doing: Doing, old: Release, instance: Instance, now: Moment, since: Moment) -> Action:
    if now.since(since) > 2 * doing.order.start:
        return unable(doing, old, f"it is not ready after {2 * doing.order.start:g} s: {instance.why or 'it does not say why'}")
    return Wait("back", f"{called(old)} starts: {instance.ready} of {instance.wanted} ready", 0.2)


def unable(doing: Doing, old: Release, why: str) -> Write:
    """This one cannot be gone back to."""
    text = f"{called(old)} cannot be gone back to: {why}"
    return Write({"what": "unable", "order": doing.order.id, "release": old.id, "reason": why}, "back", text, failed=True)


def _without(state: State, doing: Doing, look: Look, now: Moment) -> Action:
    """There is nothing to go back to: it ends empty where nothing was, and where something was, what answers goes on answering."""
    new = doing.release
    instance = look.observed.instances.get(new.id, Instance(new.id, "absent"))
    if doing.before is not None and instance.health == "ready":
        if moved(look.observed.shares, {new.id: 1.0}, new.id):
            return Do("back:route", "route", new, {new.id: 1.0}, text=f"{called(new)} keeps the traffic: nothing else can have it")
        if (found := leave(state, look, now, new.id, doing.order.drain)) is not None:
            return found
        return _end(state, doing, new)
    if any(share > 0 for share in look.observed.shares.values()):
        return Do("back:route", "route", None, {}, text="no traffic to anybody")
    routed = doing.did.get("back:route")
    if (found := leave(state, look, now, None, now.since(routed.at) if routed else doing.order.drain)) is not None:
        return found
    return _end(state, doing, None)


def _end(state: State, doing: Doing, live: Release | None) -> End:
    decided = doing.back
    if decided is None:
        raise ValueError("it goes back for a reason")
    new = doing.release
    rest = ""
    if live is None:
        rest = (
            "; nothing was live before it, so nothing is now"
            if doing.before is None
            else "; no earlier release can run either: nothing is live"
        )
    elif live.id == new.id:
        tried = ", ".join(f"{called(state.releases[one])}: {why}" for one, why in doing.unable.items() if one in state.releases)
        rest = f"; it keeps the traffic, since nothing can be gone back to ({tried})"
    elif live.id != doing.before:
        rest = f"; back to {called(live)}, since the release before it cannot run: {doing.unable.get(doing.before or '', '')}"
    outcome = Outcome("rolled-back", short(live), short(state.release(doing.before)), decided.name, decided.reason + rest, decided.hint)
    blamed = decided.withdraw and (live is None or live.id != new.id) and doing.order.kind == "deploy"
    return End(outcome, {new.id: decided.reason} if blamed else {})
