"""`mlops deploy`, `rollback`, `status` whole: jobs of a team against a fake GitHub and a registry; orders are carried out by the real executor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.world import proven
from tests.world.deploy_target import Hosts, hosts
from tests.world.fake_driver import Behaviour
from tests.world.fake_registry import FakeRegistry
from tests.world.project import CONFIG, GOOD, HARMLESS
from tests.world.released import mark
from tests.world.team import Job, Step, Team, team

__all__ = ["hosts"]

MAY = frozenset({"pull-requests", "statuses", "contents", "deployments"})
ROLLOUT = "rollout: {steps: [{share: 25%, hold: 30s, most: 2m}], start: 30s}, watch: 1m"
DEPLOY = f"deploy: {{production: {{target: docker, url: 'https://spam.example.com', env: [SPAM_KEY], wait: 30s, {ROLLOUT}}}}}\n"


@dataclass
class Fleet:
    """A team, the registry that it published to, and the host that its releases run on."""

    team: Team
    registry: FakeRegistry
    hosts: Hosts
    runs: tuple[str, str]

    def release(self, run: str, tag: str, **more: Any) -> str:
        """What `mlops publish` leaves of a run: an image with its proofs, a tag of git, a line in the record; the image's digest."""
        commit = self.record(run)["commit"]
        made = proven.published(self.registry.host, "acme/spam", model="spam-filter", id=run, commit=commit, seed=int(run[-4:], 16), **more)
        published = {"image": made.registry.name, "digest": made.subject.digest, "tags": [tag], "as": "image", "at": "2026-11-24T10:00:00Z"}
        mark(self.team.project.remote, run, tag, published=[published])
        self.team.project.git("tag", tag, commit)
        self.team.project.git("push", "-q", "origin", f"refs/tags/{tag}")
        return made.subject.digest

    def job(self, tag: str | None = None, **options: Any) -> Job:
        job = self.team.job(self.team.tag(tag) if tag else self.team.push(), **options)
        job.env["SPAM_KEY"] = "s3cr3t-of-the-server"
        return job

    def deploy(self, tag: str, *, code: int = 0, **inputs: str) -> Step:
        return self.job(tag).within("deploy", code=code, **inputs)

    def record(self, run: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.team.history("show", f"mlops-history:runs/{run[:4]}-{run[4:6]}/{run}/run.json"))
        return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a team with two judged models on main, merged by pull requests 11 and 12."""
    folder = tmp_path_factory.mktemp("team")
    with team(folder, {"mlops.yaml": f"{CONFIG}comment: {{charts: false}}\n{DEPLOY}"}, may=MAY) as made:
        for number, wrong in ((11, GOOD - 1), (12, HARMLESS)):
            made.project.commit(f"A model (#{number})", {"src/wrong.txt": f"{wrong}\n"})
            made.reviewed(made.push())
    return folder


@pytest.fixture
def fleet(tmp_path: Path, judged: Path, hosts: Hosts) -> Iterator[Fleet]:
    with FakeRegistry().serving() as registry, team(tmp_path, like=judged, may=MAY) as made:
        first, second = (str(line["i"]) for line in made.index())
        found = Fleet(made, registry, hosts, (first, second))
        for number, run in ((11, first), (12, second)):
            made.github.add_pull(number, head="f" * 40, merged=found.record(run)["commit"], state="closed")
        yield found
    assert made.github.violations == []


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


def laptop(job: Job, *words: str, code: int = 0) -> Step:
    """The command line as a person gives it, in the same checkout."""
    import contextlib
    import io
    import os

    from mlops_toolkit.cli import main

    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(job.root)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = main(list(words))
    finally:
        os.chdir(here)
    assert ended == code, err.getvalue() + out.getvalue()
    return Step(ended, out.getvalue(), err.getvalue(), {}, "")
