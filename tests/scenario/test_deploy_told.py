"""Who hears of a rollout whose job did not live to tell it: whoever is told to attach again, and whoever looks next."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.world.fake_driver import Behaviour
from tests.world.fleet import Fleet, fleet, hosts, judged, laptop
from tests.world.team import READER, Job

__all__ = ["fleet", "hosts", "judged"]

LIVE, GONE = ["in_progress", "success"], ["in_progress", "success", "inactive"]


@pytest.fixture
def two(fleet: Fleet) -> Fleet:
    """Two releases, the first of which is live."""
    for run, name in zip(fleet.runs, ("v1.0.0", "v1.1.0"), strict=True):
        fleet.release(run, name)
    fleet.deploy("v1.0.0")
    return fleet


def states(fleet: Fleet) -> list[list[str]]:
    return [states for _, states in fleet.team.github.deployments.told("production")]


def left(fleet: Fleet, by: signal.Signals = signal.SIGTERM, *, after: int = 12, bad: bool = False) -> Job:
    """A job that deploys v1.1.0 and is ended in the middle; the order stays under way on the host."""
    world = fleet.hosts.world("spam-filter")
    world.kill_at = len(world.effects) + after
    fleet.hosts.left = lambda: signal.raise_signal(by)
    fleet.hosts.behaves = lambda release: Behaviour(errors=0.2) if bad and release.version == "v1.1.0" else Behaviour()
    job = fleet.job("v1.1.0")
    ended = job.within("deploy", code=128 + by)
    assert "goes on by itself" in ended.err
    assert "the same command follows it again" in ended.err
    assert "not deployed" not in ended.summary
    assert "left before its end" in ended.summary
    fleet.hosts.left = lambda: None
    world.kill_at = -1
    return job


@pytest.mark.parametrize("by", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_whoever_is_stopped_while_it_follows_changes_nothing_and_attaches_again(two: Fleet, by: signal.Signals) -> None:
    job = left(two, by)
    assert states(two)[-1] == ["in_progress"]
    said = laptop(job, "status").out
    assert "under way" in said
    (found,) = json.loads(laptop(job, "status", "--json").out)
    job.attempt = 2  # the job is run again
    done = job.within("deploy")
    assert done.outputs["result"] == "deployed"
    assert f"goes on with order {found['under-way']['id']}" in done.err
    assert [order.id for order in two.hosts.orders[-2:]] == [found["under-way"]["id"]] * 2, "the same order"
    assert states(two) == [GONE, LIVE]


def test_a_rollout_that_went_back_after_its_job_died_is_told_by_whoever_looks_next(two: Fleet) -> None:
    """A scheduled job with `status: true`: the deployment failed, the run is withdrawn, its pull request is told; once."""
    left(two, bad=True)
    _, second = two.runs
    looking = two.job()
    under_way = looking.within("deploy", status="true")
    assert "under way" in under_way.out
    assert states(two)[-1] == ["in_progress"], "what is under way is left to whoever follows it"
    two.hosts.goes_on("spam-filter")
    assert two.record(second)["withdrawn"] is None
    done = looking.within("deploy", status="true")
    assert "told the deployment of v1.1.0 (" in done.err
    assert "told the history: v1.1.0 (" in done.err
    assert done.outputs["release"].startswith("v1.0.0 (")
    assert "taken back" in done.summary
    assert states(two) == [LIVE, ["in_progress", "failure"]]
    assert "failed" in two.record(second)["withdrawn"]
    assert "⚠️ spam-filter: taken back from production on" in two.team.github.bodies(12)[0]
    before = everything(two)
    again = two.job().within("deploy", status="true")
    assert "told" not in again.err
    assert everything(two) == before


def everything(fleet: Fleet) -> Any:
    github = fleet.team.github
    return states(fleet), fleet.team.history("rev-parse", "mlops-history"), [github.bodies(number) for number in (11, 12)]


@pytest.mark.long
def test_the_same_job_run_again_is_refused_and_tells_it_all_the_same(two: Fleet) -> None:
    job = left(two, bad=True)
    two.hosts.goes_on("spam-filter")
    job.attempt = 2
    refused = job.within("deploy", code=2)
    assert "was taken back" in refused.err
    assert "of an earlier order: the deployment of v1.1.0" in refused.err
    assert states(two) == [LIVE, ["in_progress", "failure"]]
    assert two.record(two.runs[1])["withdrawn"]


@pytest.mark.long
def test_a_release_that_became_live_after_its_job_died_is_told_as_that(two: Fleet) -> None:
    left(two)
    two.hosts.goes_on("spam-filter")
    two.job().within("deploy", status="true")
    assert states(two) == [GONE, LIVE]
    first, second = (two.record(run)["deployed"] for run in two.runs)
    assert [one["until"] is None for one in (*first, *second)] == [False, True]
    assert "✅ spam-filter: live in production since" in two.team.github.bodies(12)[0]


@pytest.mark.long
def test_a_rollback_from_a_laptop_is_told_to_github_by_whoever_looks_next(two: Fleet) -> None:
    """A laptop tells the history; GitHub, which still says that v1.1.0 is live, hears of it from the next job."""
    two.deploy("v1.1.0")
    laptop(two.job(), "rollback", "--reason", "German mails are all spam")
    assert states(two) == [GONE, LIVE]
    two.job().within("deploy", status="true")
    assert states(two) == [GONE, GONE, ["success"]]
    assert two.team.github.deployments.made[-1]["ref"] == two.record(two.runs[0])["commit"]
    before = everything(two)
    two.job().within("deploy", status="true")
    assert everything(two) == before


@pytest.mark.long
def test_a_laptop_tells_the_history_alone(two: Fleet) -> None:
    left(two, bad=True)
    two.hosts.goes_on("spam-filter")
    job = two.job()
    (found,) = json.loads(laptop(job, "status", "--json", "--tell").out)
    assert [text for text in found["told"] if "was taken back" in text]
    assert found["not-told"] == []
    assert laptop(job, "status").err == ""
    assert states(two)[-1] == ["in_progress"]


@pytest.mark.long
def test_a_token_that_may_only_read_changes_no_exit_code(two: Fleet) -> None:
    left(two, bad=True)
    two.hosts.goes_on("spam-filter")
    before = everything(two)
    done = two.job(token=READER).within("deploy", status="true")
    assert "GitHub's own records of production cannot be read" in done.err
    assert "deployments: write" in done.err
    assert "the history does not say that v1.1.0" in done.err
    assert done.outputs["exit"] == "0"
    assert everything(two) == before
