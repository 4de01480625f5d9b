"""Whether an order can be begun, and with which release: from the state alone, before anything is touched."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.rollout.state import State
from mlops_toolkit.rollout.tell import Outcome
from mlops_toolkit.rollout.versions import older

IDENTIFIER = 63  # characters of a release's id, at most: it is part of names and labels


def accepted(state: State, order: Order) -> Order | Outcome:
    """The order with its release as it is run, or what becomes of it at once: `same`, `refused`."""
    if wrong := impossible(order):
        return Outcome("refused", short(state.release(state.live)), name="impossible-order", reason=wrong)
    return _rollback(state, order) if order.kind == "rollback" else _deploy(state, order)


def impossible(order: Order) -> str:
    """What of an order cannot be meant, as a sentence; "" where it can."""
    if not order.id or not order.name:
        return "the order has no id or no name"
    if order.kind == "deploy" and (order.release is None or not 0 < len(order.release.id) <= IDENTIFIER):
        return "a deployment names its release, whose id has 1 to 63 characters"
    if order.kind == "deploy" and order.release is not None and "@sha256:" not in order.release.image:
        return f"{order.release.image} is no image by its digest (NAME@sha256:…): a tag may mean another one tomorrow"
    before = 0.0
    for at, step in enumerate(order.steps, start=1):
        if not 0 < step.share <= 1:
            return f"step {at} has a share of {step.share:g}: more than 0 and at most 1 is meant"
        if step.share < before:
            return f"step {at} has a smaller share ({step.share:g}) than the one before it ({before:g})"
        if not 0 <= step.hold <= step.most:
            return f"step {at} holds at least {step.hold:g} s and at most {step.most:g} s"
        before = step.share
    if min(order.watch, order.drain) < 0 or order.start <= 0 or order.keep < 1:
        return "watch and drain are 0 or more seconds, start is more than 0, and at least 1 release is kept"
    if not 0.5 < order.limits.confidence < 1:
        return f"a confidence of {order.limits.confidence:g} is none: 0.95 is usual"
    limits = order.limits
    if any(
        limit is not None and limit < 0 for limit in (limits.errors, limits.latency, limits.most_latency, limits.predictions, limits.memory)
    ):
        return "a limit is below 0"
    return ""


def _deploy(state: State, order: Order) -> Order | Outcome:
    release, live = order.release, state.release(state.live)
    if release is None:
        raise ValueError("refused above")
    if live is not None and live.id == release.id:
        if dict(live.spec) != dict(release.spec):
            reason = f"{called(release)} is live with other settings, and an id has one: give it another id (`order.identified`)"
            return Outcome("refused", short(live), short(live), "same-id", reason)
        return Outcome("same", short(live), short(live), reason=f"{called(live)} is live since {state.since}: there is nothing to do")
    if live is not None and not order.older and older(release.version, live.version):
        reason = f"{release.version} is older than {live.version}, which is live"
        hint = f"`mlops rollback --to {release.version}` goes back; `mlops deploy --allow-older` deploys it as a new release"
        return Outcome("refused", short(live), short(live), "older", reason, hint)
    return order


def _rollback(state: State, order: Order) -> Order | Outcome:
    live = state.release(state.live)
    wanted = order.release
    if wanted is None:
        found = next((state.releases[one] for one in state.good if one != state.live), None)
        if found is None:
            reason = "there is no earlier release here that was good" + (f" beside {called(live)}, which is live" if live else "")
            return Outcome(
                "refused", short(live), short(live), "nothing-to-go-back-to", reason, "`mlops deploy` a release that is known to be good"
            )
    else:
        known = [
            one
            for one in state.releases.values()
            if one.id == wanted.id or (not wanted.id and wanted.version and one.version == wanted.version)
        ]
        if live is not None and live in known:
            return Outcome("same", short(live), short(live), reason=f"{called(live)} is live since {state.since}: there is nothing to do")
        ran = [one for one in known if one.image and (one.spec or one.id in state.good)]
        if not ran:
            names = ", ".join(called(state.releases[one]) for one in state.good if one != state.live) or "none"
            reason = f"{wanted.version or wanted.id} is not known here; that can be gone back to: {names}"
            return Outcome("refused", short(live), short(live), "unknown-release", reason, "`mlops deploy` it")
        found = next((one for one in ran if one.id in state.good), ran[-1])
    # No shares and no watch: what is gone back to was watched already, and what it could go back to is what is left.
    return replace(order, release=found, strategy="blue-green", steps=(), watch=0.0, older=True)


def called(release: Release | None) -> str:
    """A release, as people know it."""
    if release is None:
        return "nothing"
    return f"{release.version} ({release.id})" if release.version else release.id


def short(release: Release | None) -> Release | None:
    """Without how it is run, which the journal has once."""
    return replace(release, spec={}) if release is not None else None
