"""Killed after every single effect of every kind of order, whoever comes next ends it: one release has the traffic, and the journal names it.

An effect is a line of the journal or something done to the target; a kill before an effect leaves what the kill after the one before it left.
Nothing runs after the kill, no `finally` either (tests/world/fake_driver.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.tell import Outcome
from tests.unit.rollout.orders import give, order, release, state, whole
from tests.unit.rollout.test_execute import BAD, STRATEGIES
from tests.world.fake_driver import Behaviour, Killed, World

Prepared = Callable[[], World]


def ready(*behaviours: Behaviour, orders: int = 1) -> World:
    """Release 1 is live, or the first so many."""
    world = World({release(n).id: one for n, one in enumerate(behaviours, start=orders + 1)})
    for n in range(1, orders + 1):
        assert give(world, order(f"before-{n}", n, strategy="blue-green", watch=1.0)).result == "deployed"
    world.lost, world.sent = 0.0, 0.0
    world.failed.clear()
    world.most.clear()
    return world


def everywhere(prepared: World, given: Order, check: Callable[[World, Outcome, int], object], again: Order | None = None) -> int:
    """Kill at each effect in turn, on a target of its own; how many there are."""
    undisturbed = copy.deepcopy(prepared)
    give(undisturbed, given)
    first, last = len(prepared.effects) + 1, len(undisturbed.effects)
    for at in range(first, last + 1):
        world = copy.deepcopy(prepared)
        world.kill_at = at
        with pytest.raises(Killed):
            give(world, given, owner="killed")
        if again is not None:
            world.held = None  # the time of its lock is over
        outcome = give(world, again or given, owner="next")
        whole(world)
        check(world, outcome, at)
    return last - first + 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["good", *BAD])
def test_a_deployment(kind: str, strategy: Any) -> None:
    """A good release is deployed in the end, a bad one never, and clients notice nothing but what it answered itself."""
    prepared = ready(BAD.get(kind, Behaviour()))

    def check(world: World, outcome: Outcome, at: int) -> None:
        assert outcome.result == ("deployed" if kind == "good" else "rolled-back"), (at, outcome)
        assert state(world).live == release(2 if kind == "good" else 1).id
        assert world.failed[release(1).id] == 0
        if kind == "good":
            assert sum(world.failed.values()) == 0
        if kind != "dying":
            assert world.lost == 0
        if strategy == "canary" and kind in ("failing", "slow", "other-answers"):
            assert world.most[release(2).id] == 0.1  # the share of its first step, and never more
            assert sum(world.failed.values()) <= 0.1 * world.sent

    assert everywhere(prepared, order("second", 2, strategy=strategy), check) >= 4


@pytest.mark.parametrize("kind", ["good", "image-gone", "does-not-start", "wrong-answers", "failing"])
def test_the_first_deployment(kind: str) -> None:
    """Nothing to go back to: it is live, or nothing is."""

    def check(world: World, outcome: Outcome, at: int) -> None:
        assert (outcome.result, state(world).live) == (("deployed", release(1).id) if kind == "good" else ("rolled-back", None)), at

    everywhere(World({release(1).id: BAD.get(kind, Behaviour())}), order("first", 1), check)


@pytest.mark.parametrize("gone", ["nothing", "image", "registry"])
def test_a_rollback(gone: str) -> None:
    """To the last good one, from what is stored: where its image is gone everywhere, what is live stays."""
    prepared = ready(orders=2)
    if gone != "nothing":
        prepared.images.discard(release(1).id)
        prepared.behaviours[release(1).id] = Behaviour(image="gone" if gone == "image" else "away")

    def check(world: World, outcome: Outcome, at: int) -> None:
        assert (outcome.result, state(world).live) == (
            ("deployed", release(1).id) if gone == "nothing" else ("rolled-back", release(2).id)
        ), (at, outcome)
        assert world.lost == 0

    everywhere(prepared, order("undo", None, reason="it is bad"), check)


def test_another_order_comes_after_the_kill() -> None:
    """The order that nobody carries out any more goes back, or was at its end; then the new one is carried out."""

    def check(world: World, outcome: Outcome, at: int) -> None:
        assert (outcome.result, state(world).live, world.lost) == ("deployed", release(3).id, 0.0), at
        assert release(2).id not in state(world).withdrawn  # it did nothing wrong

    everywhere(ready(), order("second", 2), check, again=order("third", 3))


def test_where_even_the_one_before_cannot_run_an_earlier_good_one_does() -> None:
    """All-at-once ended the old one, whose image is gone by now; the one before that has its image still."""
    prepared = ready(orders=2)
    world = copy.deepcopy(prepared)
    world.behaviours[release(3).id] = Behaviour(errors=0.4)
    world.behaviours[release(2).id] = Behaviour(crashes=True)
    outcome = give(world, order("third", 3, strategy="all-at-once"))
    whole(world)
    assert (outcome.result, state(world).live) == ("rolled-back", release(1).id)
    assert "back to v1.1.0" in outcome.reason


def test_where_nothing_can_be_gone_back_to_what_answers_goes_on() -> None:
    world = ready()
    world.behaviours[release(2).id] = Behaviour(errors=0.4)
    world.behaviours[release(1).id] = Behaviour(crashes=True)
    outcome = give(world, order("second", 2, strategy="all-at-once"))
    whole(world)
    assert (outcome.result, state(world).live) == ("rolled-back", release(2).id)
    assert "it keeps the traffic, since nothing can be gone back to" in outcome.reason
