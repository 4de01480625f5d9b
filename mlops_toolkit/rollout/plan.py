"""The next step of an order, from what is known and what is seen. Pure: whoever begins anew after a kill decides the same.

Forwards: the image is brought, instances start beside the live ones, answer their golden examples, take their part of the traffic step by step
(or a copy of it), then all of it, are watched, and the old ones end. Backwards, from wherever it was: `back.py`. What a step did is looked for
where it can be seen; only what cannot be seen (that golden examples were right, that a share was watched) is known from the journal alone.
"""

from __future__ import annotations

from mlops_toolkit.rollout.accept import called, short
from mlops_toolkit.rollout.actions import Action, Do, End, Look, Wait, soon
from mlops_toolkit.rollout.back import backward
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.driver import Instance, Observed
from mlops_toolkit.rollout.order import Order, Step
from mlops_toolkit.rollout.state import Doing, State
from mlops_toolkit.rollout.steps import back, done, leave, moved
from mlops_toolkit.rollout.tell import Outcome

AGAIN = 5.0  # seconds before a division of the traffic is made again that does not stay
GRACE = 15.0  # seconds for which a release that was ready may not be, before it goes back
ONE = Step(1.0)  # what `shadow` does where no step is given


def planned(state: State, look: Look, now: Moment) -> Action:
    """What the order under way needs next."""
    doing = state.doing
    if doing is None:
        raise ValueError("no order is under way")
    if doing.back is not None:
        return backward(state, doing, look, now)
    return _forward(state, doing, look, now)


def stages(order: Order, before: str | None) -> tuple[Step, ...]:
    """The parts of the traffic on the way to all of it. Without a release before it there is nobody to share with."""
    if before is None:
        return ()
    if order.strategy == "canary":
        return tuple(step for step in order.steps if step.share < 1)
    return (order.steps or (ONE,)) if order.strategy == "shadow" else ()


def judged_step(state: State) -> str:
    """The step whose counters say something now: `share:0`, `watch`, or ""."""
    doing = state.doing
    if doing is None or doing.back is not None:
        return ""
    if "switch" in doing.did:
        return "watch"
    for at in range(len(stages(doing.order, doing.before))):
        if f"judged:{at}" not in doing.did:
            return f"share:{at}" if f"share:{at}" in doing.did else ""
    return ""


def _forward(state: State, doing: Doing, look: Look, now: Moment) -> Action:
    if doing.asked:
        return back(doing, "asked", doing.asked)
    new, did = doing.release, doing.did
    instance = look.observed.instances.get(new.id, Instance(new.id, "absent"))
    if "switch" not in did and "bring" not in did:
        return Do("bring", "bring", new, text=f"bring {new.image}")
    if (found := _ready(state, doing, instance, look, now)) is not None:
        return found
    if "golden" not in did:
        return Do("golden", "golden", new, text=f"ask {called(new)} its golden examples")
    if "switch" not in did:
        return _towards(state, doing, look, now)
    return _after(state, doing, look, now)


def _ready(state: State, doing: Doing, instance: Instance, look: Look, now: Moment) -> Action | None:
    """Until the new release is there and ready; None where it is."""
    new, did = doing.release, doing.did
    name, beside = called(new), called(state.release(doing.before))
    if instance.health == "failed":
        cause = instance.cause or ("does-not-start" if "golden" not in did else "died")
        return back(doing, cause, f"{name} does not run: {instance.why or 'it ended'}", withdraw=instance.blamed)
    if instance.health == "absent" and ("start" not in did or "golden" in did or now.since(did["start"].at) > GRACE):
        if "start" in did and did["start"].times >= 3:
            return back(doing, "does-not-stay", f"{name} was started three times and was gone again each time")
        return Do("start", "start", new, text=f"start {name} beside {beside}")
    if "start" not in did:  # it was started, and then we were killed
        return Do("start", "start", new, text=f"start {name} beside {beside}")
    if instance.health == "ready":
        return None
    if "golden" in did:
        if look.unready > GRACE and not _all_down(doing, look.observed):
            return back(doing, "not-ready", f"{name} stopped being ready: {instance.why or 'it does not say why'}")
        if look.unready > doing.order.start:
            return back(
                doing, "not-ready", f"{name} is not ready again after {look.unready:.0f} s: {instance.why or 'it does not say why'}"
            )
        return Wait("start", f"{name} is not ready: {instance.why}".rstrip(": "))
    taken = now.since(did["start"].at)
    if taken > doing.order.start:
        hint = "if it needs longer to load, give it more time to start"
        late = f"{name} is not ready after {doing.order.start:g} s: {instance.why or 'it does not say why'}"
        return back(doing, instance.cause or "does-not-start", late, hint, withdraw=instance.blamed)
    text = f"{name} starts: {instance.ready} of {instance.wanted} ready" + (f" ({instance.why})" if instance.why else "")
    return Wait("start", text, soon(taken))


def _all_down(doing: Doing, observed: Observed) -> bool:
    """Whether the one before is not ready either: then it is the machine, and not the release."""
    old = observed.instances.get(doing.before) if doing.before else None
    return old is not None and old.health != "ready"


def _towards(state: State, doing: Doing, look: Look, now: Moment) -> Action:
    """Its part of the traffic, step by step, and then all of it."""
    new, old, did = doing.release, state.release(doing.before), doing.did
    shadow = doing.order.strategy == "shadow"
    for at, step in enumerate(stages(doing.order, doing.before)):
        if f"judged:{at}" in did or old is None:
            continue
        made = did.get(f"share:{at}")
        if made is None or (not shadow and moved(look.observed.shares, made.data.get("shares"), new.id)):
            if made is not None and now.since(made.at) < AGAIN:
                return Wait("share", "the traffic is divided otherwise than it was")
            percent = f"{100 * step.share:g} %"
            if shadow:
                return Do(
                    f"share:{at}", "shadow", old, {new.id: step.share}, new, text=f"{called(new)} gets a copy of {percent} of the traffic"
                )
            shares = {new.id: step.share, old.id: 1 - step.share}
            return Do(f"share:{at}", "route", shares=shares, text=f"{called(new)} gets {percent} of the traffic")
        return _judged(doing, look, now.since(made.at), at, step)
    if shadow and old is not None and "unshadow" not in did:
        return Do("unshadow", "shadow", old, {new.id: 0.0}, new, text="no more copies")
    return Do("switch", "route", new, {new.id: 1.0}, text=f"{called(new)} gets all traffic")


def _judged(doing: Doing, look: Look, elapsed: float, at: int, step: Step) -> Action:
    verdict = look.judged
    name = called(doing.release)
    text = verdict.text if verdict else "nothing was counted yet"
    if verdict is not None and verdict.verdict == "fail":
        return back(doing, "worse", f"{name} was worse at {100 * step.share:g} %: {text}", numbers=verdict.numbers)
    if elapsed >= step.hold and verdict is not None and verdict.verdict == "pass":
        return done(doing, f"judged:{at}", f"{100 * step.share:g} %: {text}", verdict="pass", numbers=verdict.numbers)
    if elapsed < step.most:
        return Wait("judge", text)
    if doing.order.uncertain == "go-back":
        return back(
            doing,
            "undecided",
            f"after {step.most:g} s at {100 * step.share:g} % it is not known whether {name} is good: {text}",
            withdraw=False,
        )
    return done(doing, f"judged:{at}", f"{100 * step.share:g} %: undecided, and goes on: {text}", verdict="inconclusive")


def _after(state: State, doing: Doing, look: Look, now: Moment) -> Action:
    """It has all traffic: is watched, and what was before it ends."""
    new, did, order = doing.release, doing.did, doing.order
    if moved(look.observed.shares, {new.id: 1.0}, new.id):
        if now.since(did["switch"].at) < AGAIN:
            return Wait("switch", f"{called(new)} does not have all traffic yet")
        return Do("switch", "route", new, {new.id: 1.0}, text=f"{called(new)} gets all traffic again")
    switched = now.since(did["switch"].at)
    verdict = look.judged
    if "watched" not in did:
        if verdict is not None and verdict.verdict == "fail":
            return back(doing, "worse", f"{called(new)} was worse after the switch: {verdict.text}", numbers=verdict.numbers)
        if order.strategy == "all-at-once" and (found := leave(state, look, now, new.id, switched)) is not None:
            return found
        if switched < order.watch:
            return Wait("watch", verdict.text if verdict else "watched")
        if not order.watch:
            return done(doing, "watched", "not watched: it was before" if order.kind == "rollback" else "not watched")
        return done(doing, "watched", f"watched for {order.watch:g} s" + (f": {verdict.text}" if verdict and verdict.reasons else ""))
    if (found := leave(state, look, now, new.id, switched)) is not None:
        return found
    if "forget" not in did:
        keep = (new.id, *(one for one in state.good if one != new.id))[: order.keep + 1]
        return Do("forget", "forget", keep=tuple(state.releases[one] for one in keep if one in state.releases), text="old images go")
    before = state.release(doing.before)
    withdrawn = {}
    if order.kind == "rollback" and before is not None:
        withdrawn[before.id] = order.reason or f"rolled back by {order.by or 'somebody'}"
    return End(Outcome("deployed", short(new), short(before), reason=f"{called(new)} is live"), withdrawn)
