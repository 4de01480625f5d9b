"""Orders are carried out on a simulated target: forwards, back, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.execute import Executor
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.tell import Event, Outcome
from tests.unit.rollout.orders import give, order, release, state, whole
from tests.world.fake_driver import Behaviour, Killed, World

STRATEGIES = ("canary", "blue-green", "all-at-once", "shadow")


def deployed(*behaviours: Behaviour) -> World:
    """A target where release 1 is live and good; behaviours: of releases 2, 3, …"""
    world = World({release(n).id: one for n, one in enumerate(behaviours, start=2)})
    assert give(world, order("first", 1)).result == "deployed"
    world.lost = 0.0  # nothing was live before it
    return world


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_good_release_takes_over_without_one_failed_request(strategy: Any) -> None:
    world = deployed()
    said: list[Event] = []
    outcome = give(world, order("second", 2, strategy=strategy), said=said)
    whole(world)
    assert (outcome.result, outcome.live.id if outcome.live else None, world.lost, sum(world.failed.values())) == (
        "deployed",
        release(2).id,
        0.0,
        0,
    )
    assert state(world).good == (release(2).id, release(1).id)
    assert said[-1].state == "over"
    assert said[-1].outcome == outcome


BAD = {
    "image-gone": Behaviour(image="gone"),
    "registry-away": Behaviour(image="away"),
    "does-not-start": Behaviour(crashes=True),
    "no-room": Behaviour(crashes=True, blamed=False),
    "not-ready": Behaviour(starts=math.inf),
    "wrong-answers": Behaviour(wrong=True),
    "failing": Behaviour(errors=0.3),
    "slow": Behaviour(seconds=0.09),
    "other-answers": Behaviour(spam=0.9),
    "leaking": Behaviour(leak=60 * 2**20),
    "dying": Behaviour(dies=3.0),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_release_goes_back_by_itself(bad: str, strategy: Any) -> None:
    world = deployed(BAD[bad])
    outcome = give(world, order("second", 2, strategy=strategy))
    whole(world)
    known = state(world)
    assert (outcome.result, known.live) == ("rolled-back", release(1).id)
    assert outcome.reason
    # a registry that is away, or a machine without room for it, says nothing about the release
    assert (release(2).id in known.withdrawn) == (bad not in ("registry-away", "no-room"))
    assert set(world.failed) <= {release(1).id, release(2).id}
    assert world.failed[release(1).id] == 0


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_first_release_leaves_nothing_behind(bad: str) -> None:
    """There is nothing to go back to, and so nothing to be slower or to answer otherwise than."""
    world = World({release(1).id: BAD[bad]})
    outcome = give(world, order("first", 1))
    whole(world)
    if bad in ("slow", "other-answers"):
        assert outcome.result == "deployed"
        return
    assert (outcome.result, world.shares, state(world).live) == ("rolled-back", {}, None)
    assert "nothing was live before it, so nothing is now" in outcome.reason


def test_a_rollback_starts_the_last_good_one_from_what_is_stored() -> None:
    """Its container is gone, its image too, and no order brings its spec."""
    world = deployed()
    give(world, order("second", 2))
    world.images.clear()
    outcome = give(world, order("undo", None, reason="people complain"))
    whole(world)
    known = state(world)
    assert (outcome.result, known.live, world.lost) == ("deployed", release(1).id, 0.0)
    assert world.running[release(1).id].release.spec == release(1).spec
    assert known.withdrawn == {release(2).id: "people complain"}
    assert give(world, order("again", None)).name == "nothing-to-go-back-to"


def test_what_is_refused_and_what_is_the_same() -> None:
    world = deployed()
    give(world, order("second", 2))
    before = list(world.effects)
    older = give(world, order("third", 1))
    assert (older.result, older.name) == ("refused", "older")
    assert "v1.1.0 is older than v1.2.0" in older.reason
    assert give(world, order("fourth", 2)).result == "same"
    assert give(world, order("second", 2)).result == "deployed"  # the same order: what became of it
    assert give(world, order("fifth", 9, kind="rollback")).name == "unknown-release"
    assert world.effects == before
    assert give(world, order("sixth", 1, older=True)).result == "deployed"
    whole(world)


@pytest.mark.parametrize("at", [4, 9, 16, 22])
def test_a_rollback_ends_the_order_under_way(at: int) -> None:
    """Its agent is asked to go back, and the rollback is at its end with it, also where whoever gave it died while it waited."""
    world = deployed()

    def undo(target: World) -> None:
        target.impatient = True
        with pytest.raises(Killed):
            give(target, order("undo", None, reason="people complain"), owner="rollback")
        target.impatient = False

    world.interrupt = (len(world.effects) + at, undo)
    outcome = give(world, order("second", 2, by="ada"))
    whole(world)
    assert (outcome.result, outcome.name, outcome.reason) == ("rolled-back", "asked", "people complain")
    assert state(world).withdrawn == {release(2).id: "people complain"}
    undone = give(world, order("undo", None, reason="people complain"))
    assert (undone.result, undone.live.id if undone.live else None) == ("deployed", release(1).id)
    assert "order second was under way and went back" in undone.reason
    whole(world)


def test_another_deployment_is_refused_while_one_is_under_way() -> None:
    """With who has it, and since when; given again later, it is carried out."""
    world = deployed()
    outcomes: list[Outcome] = []
    world.interrupt = (len(world.effects) + 9, lambda target: outcomes.append(give(target, order("third", 3), owner="another")))
    assert give(world, order("second", 2, by="ada")).result == "deployed"
    refused = outcomes[0]
    assert (refused.result, refused.name) == ("refused", "busy")
    assert refused.reason.startswith("order second is under way since 20")
    assert ", given by ada: " in refused.reason
    assert "one since" in refused.reason
    assert give(world, order("third", 3)).result == "deployed"
    whole(world)


def test_a_full_disk_sends_it_back_and_the_traffic_does_not_wait_for_the_journal() -> None:
    world = deployed()
    world.interrupt = (len(world.effects) + 12, lambda target: target.refuses.update(journal="the disk is full"))
    with pytest.raises(EnvironmentFailure):
        give(world, order("second", 2), owner="killed")
    assert world.shares == {release(1).id: 1.0}
    assert list(world.running) == [release(1).id]
    assert world.lost == 0
    world.refuses.clear()
    world.held = None
    give(world, order("second", 2))
    whole(world)


def test_a_clock_set_wrong_changes_nothing() -> None:
    world = deployed()
    world.interrupt = (len(world.effects) + 12, lambda target: setattr(target, "wall", 0.0))
    assert give(world, order("second", 2)).result == "deployed"
    whole(world)


def test_a_restarted_machine_is_not_the_releases_fault() -> None:
    """Both were restarted: the step is watched anew, and goes on."""
    for at in range(5, 28):
        world = deployed()
        world.interrupt = (len(world.effects) + at, lambda target: target.power_cut())
        assert give(world, order("second", 2)).result == "deployed", at
        whole(world)


def test_the_same_image_with_other_settings_needs_an_id_of_its_own() -> None:
    world = deployed()
    changed = order("second", 1)
    changed = changed.__class__(**{**vars(changed), "release": release(1).__class__(**{**vars(release(1)), "spec": {"port": 1}})})
    refused = give(world, changed)
    assert (refused.result, refused.name) == ("refused", "same-id")


def test_an_undecided_step_goes_on_or_back() -> None:
    for uncertain, result in (("go-on", "deployed"), ("go-back", "rolled-back")):
        world = deployed()
        world.traffic = 1.0
        outcome = give(world, order("second", 2, uncertain=uncertain))
        whole(world)
        assert (outcome.result, outcome.name) == (result, "" if result == "deployed" else "undecided")
        assert release(2).id not in state(world).withdrawn  # nothing was shown against it


@pytest.mark.parametrize("bad", ["does-not-start", "wrong-answers", "failing", "dying"])
def test_what_a_release_said_last_is_told_before_it_ends_and_after_the_traffic_is_saved(bad: str) -> None:
    world = deployed(BAD[bad])
    said: list[Event] = []
    assert give(world, order("second", 2), said=said).result == "rolled-back"
    at = [one.step for one in said].index("log")
    assert said[at].data == {"release": release(2).id, "lines": [f"[2Jthe last of {release(2).id}"]}
    assert not any(one.step == "back" for one in said[at:])
    assert any((one.step, one.state) == ("stop", "done") for one in said[at:])
    assert [one.step for one in said].count("log") == 1


def test_a_log_that_cannot_be_read_holds_nothing_up() -> None:
    world = deployed(BAD["failing"])
    world.refuses["words"] = "no log here"
    said: list[Event] = []
    assert give(world, order("second", 2), said=said).result == "rolled-back"
    whole(world)
    assert not any(one.step == "log" for one in said)


def test_an_agent_whose_engine_is_another_one_now_ends_for_the_next_one_to_go_on() -> None:
    world = deployed()

    place = world.place()

    def gone(_: Release) -> None:
        raise EnvironmentFailure("engine-moved", "another socket")

    place.driver.golden = gone  # type: ignore[method-assign, assignment]
    moved = Executor(place, "one", lambda _: None)
    with pytest.raises(EnvironmentFailure, match="another socket"):
        moved.run(order("second", 2))
    assert give(world, None).result == "deployed"
    whole(world)
