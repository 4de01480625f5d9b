"""What runs where, as GitHub's Deployments: one record an order, whatever is told again, lost on the way or not allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.forge.base import Deployment
from tests.unit.forge.conftest import forge
from tests.world.github import FakeGitHub, Fault, Token

FIRST = Deployment("order-1", "production", "spam", "a" * 40, "v1.0.0", "https://spam.example.com", "https://ci.example.com/1")
SECOND = replace(FIRST, order="order-2", commit="b" * 40, version="v1.1.0")
OTHER = replace(FIRST, order="order-3", name="ham")
LIVE, GONE = ["in_progress", "success"], ["in_progress", "success", "inactive"]


@pytest.fixture
def deploying(fake: FakeGitHub) -> FakeGitHub:
    fake.tokens["ghs_job"] = Token(may=frozenset({"deployments"}))
    fake.deployments.failing = ("mlops/spam",)  # no record of ours waits for it
    return fake


def told(fake: FakeGitHub) -> list[list[str]]:
    return [states for _, states in fake.deployments.told("production")]


def test_a_release_that_replaces_another_leaves_one_live_record(deploying: FakeGitHub) -> None:
    for one in (FIRST, OTHER, SECOND):
        forge(deploying).deployment(one, "in_progress", "on its way")
        posted = forge(deploying).deployment(one, "success", "it has all traffic")
    assert posted.reason is None
    assert told(deploying) == [GONE, LIVE, LIVE]  # another model's stays
    (last, *_) = [deploying.deployments.statuses[each["id"]][-1] for each in deploying.deployments.made[2:]]
    assert (last["environment_url"], last["log_url"]) == (FIRST.url, FIRST.log)
    assert deploying.deployments.made[2]["ref"] == "b" * 40


def test_what_is_told_again_is_written_once_and_an_old_order_never_wakes_up(deploying: FakeGitHub) -> None:
    for state in ("in_progress", "in_progress", "success", "success", "in_progress"):
        forge(deploying).deployment(FIRST, state, "the same")  # type: ignore[arg-type]
    forge(deploying).deployment(SECOND, "success", "newer")
    forge(deploying).deployment(FIRST, "success", "again")
    assert told(deploying) == [GONE, ["success"]]


def test_one_that_failed_leaves_the_one_before_it_live(deploying: FakeGitHub) -> None:
    forge(deploying).deployment(FIRST, "success", "live")
    forge(deploying).deployment(SECOND, "in_progress", "on its way")
    forge(deploying).deployment(SECOND, "failure", "2.1 % of 480 requests failed " * 20)
    assert told(deploying) == [["success"], ["in_progress", "failure"]]


@pytest.mark.parametrize("lost", ["POST .*/deployments ", "POST .*/statuses", "GET .*/deployments"])
def test_an_answer_that_is_lost_makes_no_second_record(deploying: FakeGitHub, lost: str) -> None:
    deploying.fail(lost.strip(), Fault(drop=True, performed=True))
    assert forge(deploying).deployment(FIRST, "success", "live").reason is None
    assert told(deploying) == [["success"]]


def test_records_of_others_are_left_alone(deploying: FakeGitHub) -> None:
    for payload in ("", "no json", '{"name": 3}', {"deploy": "migrate"}):
        body = {"ref": "main", "auto_merge": False, "required_contexts": [], "payload": payload}
        deploying.deployments.all("post", {}, body, deploying.tokens["ghs_job"])
    forge(deploying).deployment(FIRST, "success", "live")
    assert told(deploying) == [[], [], [], [], ["success"]]


def test_a_token_that_may_not_is_told_the_line_to_paste(fake: FakeGitHub) -> None:
    posted = forge(fake).deployment(FIRST, "success", "live")
    assert "the deployment is not recorded: the token may not do this (403" in (posted.reason or "")
    assert "permissions:\n  deployments: write" in (posted.hint or "")


@pytest.mark.parametrize("commit", ["", "main", "-x"])
def test_a_release_of_no_known_commit_is_not_recorded(deploying: FakeGitHub, commit: str) -> None:
    assert "no commit" in (forge(deploying).deployment(replace(FIRST, commit=commit), "success", "live").reason or "")


def test_the_pull_requests_that_a_commit_came_with_are_the_merged_ones(fake: FakeGitHub) -> None:
    fake.add_pull(7, head="c" * 40, merged="a" * 40, state="closed")
    fake.add_pull(8, head="a" * 40)
    assert forge(fake).merged_by("a" * 40) == (7,)
    assert forge(fake).merged_by("d" * 40) == ()
