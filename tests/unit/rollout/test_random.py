"""Any orders, kills, refusals of the engine, power cuts and second agents, in any sequence: it always ends whole."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.order import Order
from tests.unit.rollout.orders import give, order, release, state, whole
from tests.unit.rollout.test_execute import BAD, STRATEGIES
from tests.world.fake_driver import Behaviour, Killed, World

EFFECTS = ("bring", "start", "golden", "route", "shadow", "stop", "forget", "journal", "observe", "sample")
happenings = st.lists(
    st.fixed_dictionaries(
        {
            "release": st.one_of(st.none(), st.integers(1, 5)),
            "strategy": st.sampled_from(STRATEGIES),
            "behaviour": st.sampled_from(["good", *BAD]),
            "kills": st.lists(st.integers(1, 40), max_size=3),
            "power": st.booleans(),
            "refuses": st.one_of(st.none(), st.sampled_from(EFFECTS)),
            "uncertain": st.sampled_from(["go-on", "go-back"]),
        }
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(happenings)
def test_it_always_ends_whole(all_of: list[dict[str, Any]]) -> None:
    world = World({}, wall=2e9)
    for number, one in enumerate(all_of):
        if one["release"] is not None and release(one["release"]).id not in world.running:
            world.behaviours[release(one["release"]).id] = BAD.get(one["behaviour"], Behaviour())
        more = {"strategy": one["strategy"], "uncertain": one["uncertain"], "older": True}
        asked = order(f"order-{number}", one["release"], **more)
        for kill in one["kills"]:
            world.kill_at = len(world.effects) + kill
            try:
                give(world, asked, owner="killed")
            except Killed:
                world.held = None
            if one["power"]:
                world.power_cut()
        world.kill_at = -1
        _refused(world, asked, one["refuses"])
        give(world, asked, owner="last")
        world.pass_time(2.0)  # after a power cut it comes up by itself
        _good_ones_live(world)
        whole(world)


def _refused(world: World, asked: Order, effect: str | None) -> None:
    """The engine refuses an effect until nobody tries any more."""
    if effect is None:
        return
    world.refuses[effect] = "the engine does not answer"
    try:
        give(world, asked, owner="refused")
    except EnvironmentFailure as error:
        assert error.name == "engine-away"  # noqa: PT017 -- it may also end well
    world.refuses.clear()


def _good_ones_live(world: World) -> None:
    """What is live answers, unless nothing that could be gone back to does."""
    live = state(world).live
    if live is not None and world.health(live) != "ready":
        assert math.isinf(world.behaviour(live).starts) or world.behaviour(live).crashes or world.behaviour(live).dies < math.inf


@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.integers(1, 45), st.sampled_from(STRATEGIES), st.booleans())
def test_an_agent_that_sleeps_while_another_goes_on_stops_when_it_wakes(at: int, strategy: Any, bad: bool) -> None:
    """It hangs after any effect for longer than its lock lasts; another one carries the order to its end; the first finds its lock gone."""
    world = World({release(2).id: Behaviour(errors=0.3 * bad)})
    give(world, order("first", 1))
    asked = order("second", 2, strategy=strategy)
    outcomes: list[str] = []

    def hang(target: World) -> None:
        target.pass_time(20.0)
        outcomes.append(give(target, asked, owner="second agent").result)

    world.interrupt = (len(world.effects) + at, hang)
    try:
        outcomes.append(give(world, asked, owner="first agent").result)
    except EnvironmentFailure as error:
        assert error.name == "lock-lost"  # noqa: PT017 -- where it hung at the very end, it was over
        assert len(outcomes) == 1
    whole(world)
    assert set(outcomes) == {"rolled-back" if bad else "deployed"}
