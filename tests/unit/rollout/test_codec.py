"""Orders and what is told of them travel as JSON, exactly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import UsageError
from mlops_toolkit.rollout.accept import impossible
from mlops_toolkit.rollout.codec import dumps, loads, read, to_json
from mlops_toolkit.rollout.driver import Sample
from mlops_toolkit.rollout.order import Limits, Order, Step, identified
from mlops_toolkit.rollout.state import fold
from mlops_toolkit.rollout.tell import Event, Outcome, Standing
from tests.unit.rollout.orders import give, order, release, state
from tests.world.fake_driver import Behaviour, World

GIVEN = order("o", 3, steps=(Step(0.05), Step(0.5, 1.5, 2)), limits=Limits(memory=7, latency=None), by="ada", url="https://ci.example/1")


@pytest.mark.parametrize(
    "value",
    [
        GIVEN,
        order("r", None),
        Sample(1.5, 3, 1, {0.005: 2, math.inf: 3}, {"": {"spam": 1}}, 5, "x"),
        Event("end", "over", "é\u2028", {"a": [1, None]}, 1.0, Outcome("refused", release(1), None, "busy", "…")),
        Standing(live=release(1), withdrawn={"a": "b"}, shares={"a": 0.05}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_there_and_back(value: Any) -> None:
    text = dumps(value)
    assert "\n" not in text
    assert read(type(value), loads(text, where="test"), where="test") == value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"surprise": 1}, 'this has a key "surprise" that is not known here'),
        ({"steps": [{"share": 0.1, "hodl": 3}]}, 'steps[0] has a key "hodl"'),
        ({"steps": [{"hold": 3}]}, 'steps[0] has no "share"'),
        ({"steps": "10%"}, 'steps must be a list, not "10%"'),
        ({"watch": "600"}, 'watch must be a number, not "600"'),
        ({"watch": True}, "watch must be a number, not true"),
        ({"watch": None}, "watch must be a number, not nothing"),
        ({"keep": 1.5}, "keep must be a whole number, not 1.5"),
        ({"older": 1}, "older must be true or false, not 1"),
        ({"strategy": "canery"}, "strategy must be one of canary, blue-green, all-at-once, shadow"),
        ({"limits": {"errors": 10**400}}, "limits.errors must be a number"),
        ({"by": "a\0b"}, "by must be text"),
        ({"release": []}, "release must be an object"),
        ({"name": "\ud800"}, "name must be text"),
    ],
)
def test_what_is_no_order_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(Order, {**to_json(GIVEN), **change}, where="order.json")
    assert caught.value.name == "invalid-order"
    assert words.replace("not nothing", 'not "nothing"') in str(caught.value) or words in str(caught.value)
    assert caught.value.where == "order.json"


@pytest.mark.parametrize("text", ["", "{", '{"a": 1, "a": 2}', "NaN", '{"a": Infinity}', "1e999", "[" * 100_000])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(UsageError, match="this is not JSON"):
        loads(text, where="x")


def deep() -> Any:
    value: Any = 1
    for _ in range(60):
        value = [value]
    return value


def test_manifests_are_of_a_persons_depth() -> None:
    with pytest.raises(UsageError, match="at most 50 deep"):
        read(Order, {**to_json(GIVEN), "release": {**to_json(release(1)), "spec": {"a": deep()}}}, where="x")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": ""}, "no id"),
        ({"release": None}, "names its release"),
        ({"release": replace(release(1), image="model:latest")}, "no image by its digest"),
        ({"steps": (Step(0.0),)}, "share of 0"),
        ({"steps": (Step(1.5),)}, "share of 1.5"),
        ({"steps": (Step(0.5), Step(0.1))}, "smaller share"),
        ({"steps": (Step(0.5, 10, 5),)}, "holds at least 10 s and at most 5 s"),
        ({"watch": -1.0}, "0 or more seconds"),
        ({"limits": Limits(errors=-0.1)}, "below 0"),
        ({"limits": Limits(confidence=1.0)}, "confidence of 1"),
    ],
)
def test_impossible_orders(change: dict[str, Any], words: str) -> None:
    asked = replace(GIVEN, **change)
    assert words in impossible(asked)
    outcome = give(World(), asked)
    assert (outcome.result, outcome.name) == ("refused", "impossible-order")
    assert not impossible(GIVEN)


def test_ids_tell_images_and_settings_apart() -> None:
    image, other = "r/m@sha256:" + "ab" * 32, "r/m@sha256:" + "cd" * 32
    made = {identified(image, {"port": 1}), identified(image, {"port": 2}), identified(other, {"port": 1})}
    assert len(made) == 3
    assert identified(image, {"a": 1, "b": 2}) == identified(image, {"b": 2, "a": 1})
    assert all(len(one) == 12 for one in made)
    assert identified(image, {}).startswith("abababa")


def story() -> World:
    world = World({release(3).id: Behaviour(errors=0.5)})
    for number, n in enumerate((1, 2, 3)):
        give(world, order(f"order-{number}", n))
    give(world, order("undo", None, reason="it is bad"))
    return world


LINES = story().lines


@pytest.mark.parametrize("at", range(0, len(LINES), 7))
def test_a_journal_that_is_read_in_two_parts_says_the_same(at: int) -> None:
    """And on disk it says what it said in memory."""
    known = state(story())
    assert fold(LINES[at:], fold(LINES[:at])) == known
    assert fold(json.loads(dumps(line)) for line in LINES) == known
    assert known.withdrawn.keys() == {release(2).id, release(3).id}


DAMAGED: list[Any] = [
    {"what": "did"},
    {"what": None},
    {"what": "ordered", "given": {}, "before": 3},
    {"what": "ended", "order": "undo", "outcome": []},
]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-4, len(LINES) - 1), max_size=40))
def test_any_lines_are_folded(chosen: list[int]) -> None:
    """Lost, repeated, reordered and damaged ones: what does not fit changes nothing."""
    lines = [LINES[one] if one >= 0 else DAMAGED[-one - 1] for one in chosen]
    known = fold(lines)
    assert known.unread <= len(lines)
    assert fold(lines) == known
