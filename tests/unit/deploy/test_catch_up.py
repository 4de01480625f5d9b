"""What others do not know yet of what a target did: by what the target, the forge's records and the runs say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.deploy.catch_up import owed, unrecorded
from mlops_toolkit.deploy.recorded import Change
from mlops_toolkit.deploy.targets import Outcome, Standing
from mlops_toolkit.records.publication import Deployed
from mlops_toolkit.rollout.order import Release
from tests.world.proven import run

ONE, TWO = (Release(f"{number}" * 12, f"host/spam@sha256:{number * 64}", f"v1.{number}.0", run=f"run-{number}") for number in ("1", "2"))
DEPLOYED, BACK = Outcome("deployed", TWO, ONE), Outcome("rolled-back", ONE, ONE, "worse", "4 % failed")


def standing(**more: Any) -> Standing:
    return Standing(**{"live": ONE, "since": "2026-11-24T10:00:00Z", "releases": {ONE.id: ONE, TWO.id: TWO}, **more})


@pytest.mark.parametrize(
    ("ended", "told", "under_way", "late"),
    [
        ({"a": DEPLOYED}, [("a", "success")], None, []),
        ({"a": DEPLOYED, "b": BACK}, [("b", "in_progress"), ("a", "success")], None, ["b"]),
        ({"a": DEPLOYED, "b": BACK}, [("b", ""), ("a", "queued")], None, ["a", "b"]),
        ({"a": DEPLOYED}, [("b", "in_progress"), ("a", "success")], "b", []),
        ({"a": DEPLOYED, "b": BACK}, [("c", "in_progress"), ("b", "failure"), ("a", "success")], None, []),
        ({"a": DEPLOYED, "laptop": DEPLOYED}, [("a", "success")], None, ["laptop"]),
        ({"a": DEPLOYED, "laptop": DEPLOYED}, [("a", "success")], "b", []),
        ({"a": DEPLOYED, "laptop": BACK}, [("a", "success")], None, []),
        ({"laptop": DEPLOYED}, [], None, []),
        ({}, [("a", "in_progress")], None, []),
    ],
    ids=[
        "all is told",
        "its job died",
        "two jobs died",
        "under way",
        "of an order that is not known there",
        "a laptop deployed",
        "a laptop deployed, and the next is under way",
        "a laptop's went back",
        "the forge has no record of it",
        "nothing ended",
    ],
)
def test_the_forge_is_told_of_the_orders_that_it_shows_wrongly(
    ended: Mapping[str, Outcome], told: list[tuple[str, str]], under_way: str | None, late: list[str]
) -> None:
    assert [order for order, _ in owed(standing(ended=ended, under_way=under_way), told)] == late


def lasting(release: Release, environment: str = "production", until: str | None = None) -> tuple[Deployed, ...]:
    return (Deployed(environment, "spam", release.image.partition("@")[2], "2026-11-24T09:00:00Z", until),)


def found(of: Standing, **runs: Any) -> list[Change]:
    """runs: of the first and the second release, what their records say more."""
    made = {ONE.run: run(**runs.get("one", {})), TWO.run: run(**runs.get("two", {}))}
    return list(unrecorded(of, lambda release: made.get(release.run), "production", "spam"))


def test_the_history_is_told_what_is_live_once() -> None:
    assert found(standing()) == [Change(ONE, True)]
    assert found(standing(), one={"deployed": lasting(ONE)}) == []
    assert found(standing(), one={"deployed": lasting(ONE, until="2026-11-24T09:30:00Z")}) == [Change(ONE, True)]
    assert found(standing(), one={"deployed": lasting(ONE, "staging")}) == [Change(ONE, True)]


@pytest.mark.parametrize("more", [{"under_way": "deploy-7"}, {"final": False}])
def test_what_is_not_final_is_left_to_whoever_follows_it(more: dict[str, Any]) -> None:
    assert found(standing(**more)) == []


def test_what_was_taken_back_is_withdrawn_once() -> None:
    of, live = standing(withdrawn={TWO.id: "4 % failed"}), {"deployed": lasting(ONE)}
    assert found(of, one=live) == [Change(TWO, False, "4 % failed")]
    assert found(of, one=live, two={"deployed": lasting(TWO)}) == [Change(TWO, False, "4 % failed")]
    assert found(of, one=live, two={"withdrawn": "4 % failed"}) == []
    assert found(of, one=live, two={"withdrawn": "4 % failed", "deployed": lasting(TWO)}) == [Change(TWO, False)]


def test_a_run_that_is_live_elsewhere_or_here_with_other_settings_is_not_withdrawn() -> None:
    of = standing(withdrawn={TWO.id: "no memory"})
    assert found(of, one={"deployed": lasting(ONE)}, two={"deployed": lasting(TWO, "staging")}) == []
    again = replace(TWO, id="3" * 12)
    of = standing(live=again, withdrawn={TWO.id: "no memory"}, releases={TWO.id: TWO, again.id: again})
    assert found(of, two={"deployed": lasting(TWO)}) == []


def test_what_was_replaced_is_said_to_be_over() -> None:
    of = standing(live=TWO)
    assert found(of, one={"deployed": lasting(ONE)}, two={"deployed": lasting(TWO)}) == [Change(ONE, False)]
    assert found(replace(of, under_way="deploy-7"), one={"deployed": lasting(ONE)}, two={"deployed": lasting(TWO)}) == []


def test_of_what_no_run_is_known_nothing_is_said() -> None:
    assert list(unrecorded(standing(withdrawn={TWO.id: "x"}), lambda _: None, "production", "spam")) == []
