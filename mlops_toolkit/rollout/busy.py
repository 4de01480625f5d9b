"""What an order does while another agent holds the lock: it is refused, waits for its own end, or asks the one under way to go back."""

from __future__ import annotations

from collections.abc import Callable

from mlops_toolkit.rollout.accept import short
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.place import Place
from mlops_toolkit.rollout.state import Doing, State, fold, stamp
from mlops_toolkit.rollout.tell import Outcome


class Busy:
    """Before an order is carried out. held: seconds that a lock is kept without being renewed."""

    def __init__(self, place: Place, owner: str, say: Callable[[str, str, str], None], held: float) -> None:
        self.place, self.owner, self.say, self.held = place, owner, say, held
        self._asked = ""  # the order that was asked to go back
        self._told = False

    def wait(self, order: Order | None) -> Outcome | None:
        """None once the lock is ours; else what becomes of the order."""
        while True:
            holder = self.place.lock.take(self.owner, self.held)
            if holder is None:
                return None
            state = fold(self.place.journal.read())
            if order is not None and order.id in state.ended:
                return state.ended[order.id]
            doing = state.doing
            other = doing is None or (order is not None and doing.order.id != order.id)
            if other and (order is None or not self._asks(state, order)):
                return self._refused(state, holder)
            if not self._told:
                self._told = True
                self.say("order", "goes-on", f"another agent has the lock: {holder}")
            self.place.clock.sleep(1.0)

    def _asks(self, state: State, order: Order) -> bool:
        """Whether the order is a rollback of just what is under way: then that one is asked to go back, and this one waits for it."""
        doing = state.doing
        if doing is None:
            return bool(self._asked)  # it is over: its agent lets go of the lock now
        if order.kind != "rollback" or doing.order.kind == "rollback" or not _leads(doing, order):
            return False
        if self._asked != doing.order.id:
            self._asked = doing.order.id
            reason = order.reason or f"rolled back by {order.by or 'somebody'}"
            line = {"what": "asked", "order": doing.order.id, "by": order.id, "reason": reason}
            self.place.journal.add({**line, **stamp(self.place.clock.now())})
            self.say("back", "begins", f"order {doing.order.id}, which is under way, is asked to go back")
        return True

    def _refused(self, state: State, holder: str) -> Outcome:
        live = short(state.release(state.live))
        doing = state.doing
        if doing is None:
            what = "another agent has the lock"
        else:
            who = f", given by {doing.order.by}" if doing.order.by else ""
            what = f"order {doing.order.id} is under way since {doing.since.text}{who}: {doing.text or 'it was begun'}"
        hint = "wait for it (`mlops status`), or end it: `mlops rollback` goes back to what was live before it"
        return Outcome("refused", live, live, "busy", f"{what} (the lock: {holder})", hint)


def _leads(doing: Doing, order: Order) -> bool:
    """Whether going back from what is under way leads to where the rollback wants to go."""
    wanted = order.release
    return doing.before is not None and (wanted is None or wanted.id == doing.before)
