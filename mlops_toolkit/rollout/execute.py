"""Carries an order out: looks, lets the planner decide, writes down what it is about to do, does it, writes down that it did, and looks again.

Killed at any instant, whoever starts it again on the same target goes on from what is there and what is written. What the engine, the cluster or
the disk refuses is tried again, later and later, until the order's time for it is over, and then the order goes back; a release that cannot run
goes back at once. On the way back nothing waits for the journal: the traffic is saved first, and what could not be written is written when it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import said
from mlops_toolkit.rollout.accept import accepted, called, short
from mlops_toolkit.rollout.actions import Action, Do, End, Look, Wait, Write
from mlops_toolkit.rollout.busy import Busy
from mlops_toolkit.rollout.clock import Moment
from mlops_toolkit.rollout.codec import to_json
from mlops_toolkit.rollout.counters import Counters
from mlops_toolkit.rollout.driver import Observed, ReleaseFailure
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.rollout.place import Place
from mlops_toolkit.rollout.plan import planned
from mlops_toolkit.rollout.state import Doing, State, fold, stamp
from mlops_toolkit.rollout.steps import back
from mlops_toolkit.rollout.tell import Event, Outcome

HELD = 15.0  # seconds for which a lock is anybody's after its owner hangs
LONGEST = 600.0  # seconds, at least, that the way back tries to reach the engine, before it is left to whoever comes next
ENDS = ("lock-lost", "engine-moved")  # what no second try of this process changes
SAID = 10.0  # seconds between two lines that say the same with other numbers


class Executor:
    """One process that carries out orders of one name. say: is given every event."""

    def __init__(self, place: Place, owner: str, say: Callable[[Event], None]) -> None:
        self.place, self.owner, self._tell = place, owner, say
        self.state = State()
        self._known = 0  # lines that our state is made of, without those that are not saved yet
        self._unsaved: list[Mapping[str, Any]] = []
        self._counters = Counters(place.driver)
        self._trouble: tuple[Moment, float] | None = None  # since when, and how long it waits before it tries again
        self._unready: Moment | None = None
        self._said: tuple[str, str, Moment] | None = None

    def run(self, order: Order | None) -> Outcome:
        """Carry out this order, or, without one, the one under way. EnvironmentFailure: it stays under way, for whoever comes next."""
        self._load()
        if order is not None and order.id in self.state.ended:
            return self._over(self.state.ended[order.id], again=True)
        busy = Busy(self.place, self.owner, self.say, HELD)
        if (outcome := busy.wait(order)) is not None:
            return self._over(outcome)
        lost = False
        try:
            return self._held(order)
        except EnvironmentFailure as error:
            lost = error.name == "lock-lost"
            raise
        finally:
            if not lost:
                self.place.lock.release(self.owner)

    def _held(self, order: Order | None) -> Outcome:
        """With the lock."""
        self._load()
        if order is not None and order.id in self.state.ended:
            return self._over(self.state.ended[order.id])
        if (doing := self.state.doing) is not None:
            self.say("order", "goes-on", f"goes on with order {doing.order.id}: {doing.text or 'it was begun'}")
            if order is None or doing.order.id == order.id:
                return self._over(self._carry())
            if doing.back is None:
                reason = f"whoever carried it out is gone, and order {order.id} came"
                self._write(back(doing, "superseded", reason, withdraw=False))
            self._carry()
        if order is None:
            live = self.state.release(self.state.live)
            return self._over(Outcome("same", short(live), short(live), reason=f"no order is under way; {called(live)} is live"))
        found = accepted(self.state, order)
        if isinstance(found, Outcome):
            return self._over(found)
        self._begin(found)
        return self._over(self._carry())

    def _begin(self, order: Order) -> None:
        before = self.state.release(self.state.live)
        data = {"samples": self._counters.begin([before] if before else [])}
        line = {"what": "ordered", "given": to_json(order), "before": self.state.live, "data": data}
        name = called(order.release)
        text = f"{'back to' if order.kind == 'rollback' else 'deploy'} {name}; {called(before)} is live"
        self._add(line)
        self.say(
            "order", "begins", text, {"order": order.id, "release": order.release.id if order.release else None, "before": self.state.live}
        )

    def _carry(self) -> Outcome:
        """The order under way, to its end."""
        while True:
            outcome = self._tried()
            if outcome is not None:
                return outcome

    def _tried(self) -> Outcome | None:
        try:
            return self._once()
        except EnvironmentFailure as error:
            if error.name in ENDS:
                raise
            self._failed(error)
            return None

    def _once(self) -> Outcome | None:
        """One look and one step."""
        self._ours()
        self._timed()
        action = self._decided()
        match action:
            case Wait():
                self._wait(action)
            case Write():
                self._write(action)
            case Do():
                self._do(action)
            case End():
                return self._end(action)
        self._trouble = None
        return None

    def _timed(self) -> None:
        """What was timed by another start of the machine is timed anew: seconds of two clocks cannot be taken from each other."""
        doing, now = self._doing(), self.place.clock.now()
        moments = [one.at for one in doing.did.values()] + ([doing.back.at] if doing.back else [])
        if any(one.boot != now.boot for one in moments):
            self._unready = self._trouble = None
            self._add({"what": "resumed", "order": doing.order.id})

    def _decided(self) -> Action:
        now, observed = self.place.clock.now(), self.place.driver.observe()
        return planned(self.state, Look(observed, self._counters.look(self.state, now, observed), self._gone(observed, now)), now)

    def _gone(self, observed: Observed, now: Moment) -> float:
        """Seconds for which the new release, that was ready, has not been."""
        doing = self.state.doing
        if doing is None or "golden" not in doing.did:
            return 0.0
        instance = observed.instances.get(doing.release.id)
        if instance is not None and instance.health == "ready":
            self._unready = None
            return 0.0
        self._unready = self._unready or now
        return now.since(self._unready)

    def _wait(self, action: Wait) -> None:
        now = self.place.clock.now()
        last = self._said
        if last is None or last[0] != action.step or (last[1] != action.text and now.since(last[2]) >= SAID):
            self.say(action.step, "goes-on", action.text)
            self._said = (action.step, action.text, now)
        self.place.clock.sleep(action.seconds)
        self._load()  # somebody may have asked for something meanwhile

    def _write(self, action: Write) -> None:
        self._add(action.line)
        self.say(
            action.step, "failed" if action.failed else "done", action.text, action.line.get("numbers") or action.line.get("data") or {}
        )

    def _do(self, action: Do) -> None:
        doing = self._doing()
        if doing.begun != action.step or self._trouble is None:
            self._add({"what": "begins", "order": doing.order.id, "step": action.step, "text": action.text})
            self.say(action.step.split(":")[0], "begins", action.text, {"key": action.step})
        self._ours()
        if action.effect == "stop" and doing.back is not None and action.release is not None and action.release.id == doing.release.id:
            self._last_words(action.release)
        try:
            data = self._effect(action)
        except ReleaseFailure as error:
            self._refused(action, error)
            return
        self._ours()  # whoever slept through its lock's time writes nothing into another's work
        line: dict[str, Any] = {"what": "did", "order": doing.order.id, "step": action.step, "text": action.text, "data": data}
        if action.step in ("switch", "back:route"):
            line["live"] = action.release.id if action.release else None
        self._add(line)
        self.say(action.step.split(":")[0], "done", action.text, {key: one for key, one in data.items() if key != "samples"})

    def _effect(self, action: Do) -> dict[str, Any]:
        """What it found out."""
        driver, did = self.place.driver, self._doing().did.get(action.step)
        match action.effect, action.release:
            case "route", _:
                driver.route(action.shares)
                return {"shares": dict(driver.observe().shares), "samples": self._samples()}
            case "shadow", live if live is not None and action.beside is not None:
                driver.shadow(live, action.beside, action.shares[action.beside.id])
                return {"samples": self._samples()}
            case "forget", _:
                self._add({"what": "forgot", "order": self._doing().order.id, "keep": [one.id for one in action.keep]})
                driver.forget(action.keep)
            case "bring", release if release is not None:
                driver.bring(release)
            case "start", release if release is not None:
                driver.start(release)
            case "golden", release if release is not None:
                driver.golden(release)
            case "stop", release if release is not None:
                driver.stop(release)
        return {"times": did.times + 1 if did else 1}

    def _last_words(self, release: Release) -> None:
        """What it said before it was taken back: told before it ends, with which its log goes, and after the traffic was saved."""
        try:
            words = said.last(self.place.driver.words(release))
        except (EnvironmentFailure, ReleaseFailure):
            return
        if words:
            self.say("log", "goes-on", f"the last that {called(release)} said:", {"release": release.id, "lines": words})

    def _samples(self) -> dict[str, Any]:
        doing = self._doing()
        before = self.state.release(doing.before)
        return self._counters.begin([doing.release, *([before] if before else [])])

    def _refused(self, action: Do, error: ReleaseFailure) -> None:
        """A release cannot run here: the new one goes back at once; one that should be gone back to is crossed off."""
        doing = self._doing()
        if doing.back is None:
            self._write(back(doing, error.name, error.message, error.hint))
        elif action.release is not None and action.effect in ("bring", "start") and action.release.id != doing.release.id:
            line = {"what": "unable", "order": doing.order.id, "release": action.release.id, "reason": error.message}
            self._write(Write(line, "back", f"{called(action.release)} cannot be gone back to: {error.message}", failed=True))
        else:
            raise EnvironmentFailure(error.name, error.message, hint=error.hint)

    def _failed(self, error: EnvironmentFailure) -> None:
        """Something around us does not work: later again, and going back, and at last for whoever comes next."""
        now, doing = self.place.clock.now(), self._doing()
        since, pause = self._trouble or (now, 0.5)
        self._trouble = (since, min(2 * pause, 10.0))
        lasted = now.since(since)
        self.say("engine", "goes-on", f"{error.message}; tried again in {pause:g} s", {"name": error.name})
        if doing.back is None and lasted > doing.order.start:
            self._trouble = None
            self._write(back(doing, error.name, f"{error.message}, for {lasted:.0f} s", error.hint, withdraw=False))
            return
        if doing.back is not None and lasted > max(LONGEST, 4 * doing.order.start):
            raise error
        self.place.clock.sleep(pause)

    def _end(self, action: End) -> Outcome:
        """Written down, whatever time it takes: only then is it over."""
        outcome = action.outcome
        line = {"what": "ended", "order": self._doing().order.id, "outcome": to_json(outcome), "withdrawn": dict(action.withdrawn)}
        self._add(line, whole=True)
        return outcome

    def _over(self, outcome: Outcome, *, again: bool = False) -> Outcome:
        text = outcome.reason + (" (the order was given before)" if again else "")
        self._tell(Event("end", "over", text, {}, self.place.clock.now().wall, outcome))
        return outcome

    def _doing(self) -> Doing:
        if self.state.doing is None:
            raise ValueError("no order is under way")
        return self.state.doing

    def _ours(self) -> None:
        """Stop where another one has the lock: it goes on, and two at once would undo each other's steps."""
        if not self.place.lock.renew(self.owner, HELD):
            hint = "nothing is lost: follow the order with `mlops status`"
            raise EnvironmentFailure("lock-lost", "another agent carries out this order now", hint=hint)

    def _load(self) -> None:
        try:
            lines = self.place.journal.read()
        except EnvironmentFailure:
            if self.state.doing is None:
                raise
            return  # what we know is what we wrote
        if len(lines) != self._known:
            self._known = len(lines)
            self.state = fold([*lines, *self._unsaved])

    def _add(self, line: Mapping[str, Any], *, whole: bool = False) -> None:
        """On disk, then in our state. whole: also on the way back it must be on disk."""
        line = {**line, **stamp(self.place.clock.now())}
        try:
            while self._unsaved:
                self.place.journal.add(self._unsaved[0])
                self._unsaved.pop(0)
                self._known += 1
            self.place.journal.add(line)
            self._known += 1
        except EnvironmentFailure:
            doing = self.state.doing
            if whole or not (line["what"] == "back" or (doing is not None and doing.back is not None)):
                raise
            self._unsaved.append(line)
        self.state = fold([line], self.state)

    def say(self, step: str, state: Any, text: str, data: Mapping[str, Any] | None = None) -> None:
        """Tell whoever follows."""
        self._tell(Event(step, state, text, to_json(data or {}), self.place.clock.now().wall))
