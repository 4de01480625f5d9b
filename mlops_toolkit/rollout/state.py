"""What a target knows of one name: its journal, folded. Pure: the same lines give the same state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlops_toolkit.errors import UsageError
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.codec import read
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.rollout.tell import Outcome

REMEMBERED = 100  # orders whose end is known to whoever gives them again
WHERE = "the journal"


@dataclass(frozen=True)
class Done:
    """A step that was done: when, and what was found out by it."""

    at: Moment
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> int:
        """How often it was done."""
        return int(self.data.get("times", 1))


@dataclass(frozen=True)
class Back:
    """The decision to go back. withdraw: whether the release is to blame, and so may not be gone back to later."""

    name: str
    reason: str
    at: Moment
    hint: str | None = None
    withdraw: bool = True


@dataclass(frozen=True)
class Doing:
    """The order under way.

    order   its release is the one that takes over, with its spec, also of a rollback
    before  id of the release that had the traffic when it began, None where none had
    did     key of a step (`start`, `share:0`, `switch`, `back:route`, …) -> when, and what was found
    begun   the step that was begun last: after a kill it may have happened or not
    back    set once it was decided to go back: never unset
    unable  id -> why it cannot be gone back to
    asked   why somebody asked, from outside, that it goes back; asker: the order that did, which ends with it
    """

    order: Order
    since: Moment
    before: str | None = None
    did: Mapping[str, Done] = field(default_factory=dict)
    begun: str = ""
    text: str = ""
    back: Back | None = None
    unable: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    asker: str = ""

    @property
    def release(self) -> Release:
        """That takes over."""
        if self.order.release is None:
            raise ValueError("an order under way has its release")  # `ordered` lines without one are not folded
        return self.order.release


@dataclass(frozen=True)
class State:
    """releases by id, with all that it takes to run them; live: id; good: ids, the latest first; withdrawn: id -> why; ended: by order's id."""

    releases: Mapping[str, Release] = field(default_factory=dict)
    live: str | None = None
    since: str = ""
    final: bool = True
    good: tuple[str, ...] = ()
    withdrawn: Mapping[str, str] = field(default_factory=dict)
    doing: Doing | None = None
    ended: Mapping[str, Outcome] = field(default_factory=dict)
    unread: int = 0

    def release(self, identifier: str | None) -> Release | None:
        """By its id."""
        return self.releases.get(identifier) if identifier else None


def fold(lines: Iterable[Mapping[str, Any]], state: State | None = None) -> State:
    """All lines, in order; a line that says nothing that is understood changes nothing but `unread`."""
    state = state or State()
    for line in lines:
        state = _next(state, line)
    return state


def _next(state: State, line: Mapping[str, Any]) -> State:
    try:
        return _FOLDS[str(line.get("what"))](state, line)
    except (AttributeError, KeyError, TypeError, ValueError, UsageError):
        return replace(state, unread=state.unread + 1)


def moment(line: Mapping[str, Any]) -> Moment:
    """When a line was written."""
    return Moment(float(line["seconds"]), str(line["boot"]), float(line["wall"]))


def stamp(now: Moment) -> dict[str, Any]:
    """As a line has it."""
    return {"at": now.text, "seconds": now.seconds, "boot": now.boot, "wall": now.wall}


def _ordered(state: State, line: Mapping[str, Any]) -> State:
    order = read(Order, line["given"], where=WHERE)
    if order.release is None:
        raise ValueError("nothing to do")
    releases = {**state.releases, order.release.id: order.release}
    at = moment(line)
    did = {"ordered": Done(at, dict(line.get("data") or {}))}
    return replace(state, releases=releases, doing=Doing(order, at, line["before"], did))


def _of(state: State, line: Mapping[str, Any]) -> Doing:
    if state.doing is None or state.doing.order.id != line["order"]:
        raise ValueError("of no order under way")
    return state.doing


def _begins(state: State, line: Mapping[str, Any]) -> State:
    return replace(state, doing=replace(_of(state, line), begun=str(line["step"]), text=str(line.get("text", ""))))


def _did(state: State, line: Mapping[str, Any]) -> State:
    doing, step = _of(state, line), str(line["step"])
    did = {key: one for key, one in doing.did.items() if step != "start" or key != "golden"}  # a new instance is to be asked again
    did[step] = Done(moment(line), dict(line.get("data") or {}))
    state = replace(state, doing=replace(doing, did=did, begun="", text=str(line.get("text", "")) or doing.text))
    if step in ("switch", "back:route"):
        # who was live before stays final and good: an order that goes back restores it as it was
        return replace(state, live=line["live"], since=str(line["at"]), final=step != "switch")
    return state


def _resumed(state: State, line: Mapping[str, Any]) -> State:
    """The machine was started in between, or it goes on on another one: nobody knows how long that took, so what was timed is timed anew."""
    doing, now = _of(state, line), moment(line)
    did = {key: one if one.at.boot == now.boot else replace(one, at=now) for key, one in doing.did.items()}
    back = replace(doing.back, at=now) if doing.back is not None and doing.back.at.boot != now.boot else doing.back
    return replace(state, doing=replace(doing, did=did, back=back))


def _back(state: State, line: Mapping[str, Any]) -> State:
    doing = _of(state, line)
    if doing.back is not None:
        return state
    back = Back(str(line["name"]), str(line["reason"]), moment(line), line.get("hint"), bool(line["withdraw"]))
    return replace(state, doing=replace(doing, back=back, begun="", text=back.reason))


def _unable(state: State, line: Mapping[str, Any]) -> State:
    doing = _of(state, line)
    did = {key: one for key, one in doing.did.items() if not key.startswith("back:")}
    return replace(state, doing=replace(doing, did=did, unable={**doing.unable, str(line["release"]): str(line["reason"])}))


def _asked(state: State, line: Mapping[str, Any]) -> State:
    return replace(state, doing=replace(_of(state, line), asked=str(line["reason"]), asker=str(line["by"])))


def _ended(state: State, line: Mapping[str, Any]) -> State:
    outcome = read(Outcome, line["outcome"], where=WHERE)
    doing, ends = state.doing, {str(line["order"]): outcome}
    if doing is not None and doing.asker and outcome.result == "rolled-back":
        reason = f"order {doing.order.id} was under way and went back"
        ends[doing.asker] = replace(outcome, result="deployed", before=replace(doing.release, spec={}), name="", reason=reason, hint=None)
    ended = dict([*state.ended.items(), *ends.items()][-REMEMBERED:])
    if doing is None or doing.order.id != line["order"]:
        return replace(state, ended=ended)  # it was refused, or there was nothing to do
    withdrawn = {**state.withdrawn, **{str(key): str(why) for key, why in line["withdrawn"].items()}}
    live = outcome.live.id if outcome.live else None
    good = state.good
    if outcome.result == "deployed" and live:
        withdrawn.pop(live, None)
        good = (live, *(one for one in good if one != live))
    good = tuple(one for one in good if one not in withdrawn)
    since = state.since if live == state.live else str(line["at"])
    return replace(state, doing=None, ended=ended, withdrawn=withdrawn, live=live, good=good, final=True, since=since)


def _forgot(state: State, line: Mapping[str, Any]) -> State:
    keep = {*line["keep"], state.live}
    releases = {key: one for key, one in state.releases.items() if key in keep}
    named = {key: replace(one, spec={}) for key, one in state.releases.items() if key in state.withdrawn and key not in keep}
    return replace(state, releases={**named, **releases}, good=tuple(one for one in state.good if one in keep))


_FOLDS = {
    "ordered": _ordered,
    "begins": _begins,
    "did": _did,
    "resumed": _resumed,
    "back": _back,
    "unable": _unable,
    "asked": _asked,
    "ended": _ended,
    "forgot": _forgot,
}
