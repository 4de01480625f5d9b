"""`mlops deploy`, `rollback`, `status` whole: jobs of a team against a fake GitHub and a registry; orders are carried out by the real executor."""

from __future__ import annotations

import json

import pytest

from tests.world.fake_driver import Behaviour
from tests.world.fleet import Fleet, fleet, hosts, judged, laptop

__all__ = ["fleet", "hosts", "judged"]


def test_a_tag_goes_to_production_is_replaced_and_gone_back_to_and_everybody_is_told(fleet: Fleet) -> None:
    """The whole life: two releases, the second one found worse by people; the first is live again, and the second no baseline any more."""
    first, second = fleet.runs
    digest = fleet.release(first, "v1.0.0")
    fleet.release(second, "v1.1.0")
    done = fleet.deploy("v1.0.0")
    assert done.outputs["result"] == "deployed"
    assert done.outputs["digest"] == digest
    assert done.outputs["release"].startswith("v1.0.0 (")
    assert done.outputs["url"] == "https://spam.example.com"
    assert done.out.strip().endswith("is live in production")
    assert "### ✅ spam-filter: v1.0.0" in done.summary
    (order,) = fleet.hosts.orders
    assert (order.strategy, order.watch, [step.share for step in order.steps]) == ("canary", 60.0, [0.25])
    assert "s3cr3t" not in repr(order) + done.log + done.summary
    assert fleet.hosts.places[0].secrets == {"SPAM_KEY": "s3cr3t-of-the-server"}

    again = fleet.deploy("v1.0.0")
    assert again.outputs["result"] == "same"
    fleet.deploy("v1.1.0")
    assert fleet.team.github.deployments.told("production") == [
        ("spam-filter v1.0.0", ["in_progress", "success", "inactive"]),
        ("spam-filter v1.0.0", ["in_progress", "success", "inactive"]),
        ("spam-filter v1.1.0", ["in_progress", "success"]),
    ]
    (told,) = fleet.team.github.bodies(12)
    assert "✅ spam-filter: live in production since" in told
    assert "[where it runs](https://spam.example.com)" in told
    assert "[what was done](" in told
    records(fleet)
    assert fleet.record(first)["deployed"][0]["until"] is not None
    assert [one["until"] for one in fleet.record(second)["deployed"]] == [None]

    back = fleet.job().within("deploy", rollback="last", reason="German mails are all spam")
    assert (back.outputs["result"], back.outputs["previous"][:6]) == ("deployed", "v1.1.0")
    assert fleet.team.github.deployments.told("production")[-2:] == [
        ("spam-filter v1.1.0", ["in_progress", "success", "inactive"]),
        ("spam-filter v1.0.0", ["in_progress", "success"]),
    ]
    (told,) = fleet.team.github.bodies(12)
    assert "⚠️ spam-filter: taken back from production on" in told
    assert "German mails are all spam" in told
    assert fleet.record(second)["withdrawn"] == "German mails are all spam"
    assert [one["until"] is None for one in fleet.record(first)["deployed"]] == [False, True]

    refused = fleet.deploy("v1.1.0", code=2)
    assert "was taken back: German mails are all spam" in refused.err


def records(fleet: Fleet) -> None:
    """A deployment's record leads to the environment while it is live, and to its job; the one it replaced says so."""
    github = fleet.team.github.deployments
    *_, first, second = (github.statuses[made["id"]] for made in github.made)
    assert [one["environment_url"] for one in second] == ["", "https://spam.example.com"]
    assert all("/actions/runs/" in one["log_url"] for one in second)
    assert first[-1]["state"] == "inactive"
    assert first[-1]["log_url"] == ""
    assert "replaced by v1.1.0" in first[-1]["description"]
    assert {(made["task"], made["environment"], made["production_environment"]) for made in github.made} == {("deploy", "production", True)}


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(wrong=True), "golden examples"),
        (Behaviour(errors=0.2), "failed"),
        (Behaviour(image="gone"), "no registry has"),
        (Behaviour(crashes=True), "ended with code 1"),
    ],
    ids=["wrong answers", "errors", "image gone", "crashes"],
)
def test_a_worse_release_is_taken_back_by_itself_and_told_so(fleet: Fleet, behaviour: Behaviour, said: str) -> None:
    first, second = fleet.runs
    fleet.release(first, "v1.0.0")
    bad = fleet.release(second, "v1.1.0")
    fleet.deploy("v1.0.0")
    fleet.hosts.behaves = lambda release: behaviour if release.image.endswith(bad) else Behaviour()
    done = fleet.deploy("v1.1.0", code=5)
    assert done.outputs["result"] == "rolled-back"
    assert done.outputs["release"].startswith("v1.0.0")
    assert said in done.err
    assert "is live again" in done.err
    assert fleet.team.github.deployments.told("production") == [
        ("spam-filter v1.0.0", ["in_progress", "success"]),
        ("spam-filter v1.1.0", ["in_progress", "failure"]),
    ]
    assert said in (fleet.record(second)["withdrawn"] or "")
    assert "⚠️ spam-filter: taken back from production" in fleet.team.github.bodies(12)[0]


def test_a_host_that_fails_blames_no_release(fleet: Fleet) -> None:
    run, _ = fleet.runs
    fleet.release(run, "v1.0.0")
    fleet.hosts.away = True
    assert "the host does not answer" in fleet.deploy("v1.0.0", code=4).err
    assert fleet.record(run)["withdrawn"] is None


def test_what_runs_where_is_said_for_people_and_programs(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = fleet.runs
    fleet.release(run, "v1.0.0")
    job = fleet.job("v1.0.0")
    assert "live  nothing" in laptop(job, "status").out
    job.within("deploy")
    said = laptop(job, "status").out
    assert said.startswith("spam-filter · production (docker)\n  live     v1.0.0 (")
    assert f"from     pull request #11, commit {fleet.record(run)['commit'][:7]}, run {run}" in said
    assert "verdict  passed" in said
    (found,) = json.loads(laptop(job, "status", "--json").out)
    assert (found["live"]["version"], found["live"]["run"], found["final"], found["under-way"]) == ("v1.0.0", run, True, None)
    fleet.hosts.away = True
    assert "cannot be asked: the host does not answer" in laptop(job, "status", code=4).out
