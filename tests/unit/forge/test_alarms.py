"""The one issue about alarms: opened, kept and closed apart from the one about main, and a workflow that is started once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_toolkit.forge import alarms, sticky
from mlops_toolkit.forge.base import Alarmed, Posted, Section
from mlops_toolkit.forge.board import TRIES
from mlops_toolkit.forge.issue import name
from tests.unit.forge.conftest import forge, section
from tests.world.github import FakeGitHub, Fault, Token


@pytest.fixture(autouse=True)
def rights(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"issues", "actions"}))


def rings(model: str, said: str = "2 features drifted", *, at: int = 1000) -> Section:
    return section(f"alarms|production|{model}", f"🔔 {model} in production: {said}", run=at)


def tell(fake: FakeGitHub, told: Section, *, firing: bool = True, start: str | None = None) -> Alarmed:
    return forge(fake, default_branch="main").alarm(told, firing=firing, start=start)


def test_what_rings_is_one_issue_until_the_last_has_ended(fake: FakeGitHub) -> None:
    for model in ("a", "b"):
        tell(fake, rings(model))
    (issue,) = fake.open_issues()
    assert issue["title"] in ("🔔 a in production and b in production", "🔔 b in production and a in production")
    assert issue["body"].rstrip().endswith(alarms.LAST)
    tell(fake, rings("a", "no alarm rings any more", at=1001), firing=False)
    assert issue["title"] == "🔔 b in production"
    tell(fake, rings("b", "no alarm rings any more", at=1001), firing=False)
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    tell(fake, rings("b", at=1002))
    assert [each["state"] for each in fake.issues.values()] == ["closed", "open"]


def test_it_is_never_the_issue_about_main_nor_that_one_it(fake: FakeGitHub) -> None:
    github = forge(fake, default_branch="main")
    github.issue(section("mlops.yaml|a|", "❌ a: accuracy", run=1), failing=True)
    tell(fake, rings("a"))
    github.issue(section("mlops.yaml|b|", "❌ b: accuracy", run=1), failing=True)
    main, alarm = sorted(fake.open_issues(), key=lambda issue: str(issue["title"]))
    assert sorted(name(part.verdict) for part in sticky.parse(main["body"])) == ["a", "b"]
    assert alarm["title"] == "🔔 a in production"
    tell(fake, rings("a", at=2000), firing=False)
    assert fake.open_issues() == [main]


def test_what_is_told_again_writes_nothing_and_what_comes_late_takes_nothing_back(fake: FakeGitHub) -> None:
    tell(fake, rings("a", at=1000), start=None)
    before = dict(fake.open_issues()[0])
    fake.requests.clear()
    tell(fake, rings("a", at=1000))
    assert not [verb for verb, path, _ in fake.requests if verb in ("PATCH", "POST") and path != "/graphql"]
    tell(fake, rings("a", at=900), firing=False)
    assert fake.open_issues() == [before]


def test_a_workflow_is_started_once_while_the_section_stands(fake: FakeGitHub) -> None:
    fake.workflows["model.yml"] = True
    first = tell(fake, rings("a"), start="model.yml")
    assert first.started == Posted(url="https://github.com/acme/models/actions/workflows/model.yml")
    tell(fake, rings("b"))
    for at in (1001, 1002):
        assert tell(fake, rings("a", f"{at} features drifted", at=at), start="model.yml").started is None
    assert fake.dispatched == [("model.yml", "main")]
    (issue,) = fake.open_issues()
    assert "`model.yml` was started to train again." in issue["body"]
    tell(fake, rings("a", at=1003), firing=False)
    assert "was started" not in issue["body"]
    tell(fake, rings("a", at=1004), start="model.yml")
    assert len(fake.dispatched) == 2, "it ended, and began anew"


def test_it_is_written_down_before_it_is_asked_for(fake: FakeGitHub) -> None:
    """Killed in between, or without an answer, nobody asks again."""
    fake.workflows["model.yml"] = True
    seen: list[str] = []
    fake.meanwhile("POST .*/dispatches", lambda: seen.append(fake.open_issues()[0]["body"]))
    tell(fake, rings("a"), start="model.yml")
    assert "was started" in seen[0]


@pytest.mark.parametrize(
    ("may", "workflows", "said"),
    [
        ({"issues"}, {"model.yml": True}, "model.yml is not started: the token may not do this"),
        ({"issues", "actions"}, {}, "model.yml is not started: the token may not do this (404: Not Found)"),
        ({"issues", "actions"}, {"model.yml": False}, "model.yml is not started: GitHub refused it"),
    ],
)
def test_what_is_refused_is_said_and_may_be_tried_again(fake: FakeGitHub, may: set[str], workflows: dict[str, bool], said: str) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset(may))
    fake.workflows = workflows
    became = tell(fake, rings("a"), start="model.yml")
    assert became.posted.url
    assert became.started is not None
    assert (became.started.reason or "").startswith(said)
    assert became.started.hint
    assert "was started" not in fake.open_issues()[0]["body"]
    fake.tokens["ghs_job"] = Token(may=frozenset({"issues", "actions"}))
    fake.workflows = {"model.yml": True}
    tell(fake, rings("a", at=1001), start="model.yml")
    assert fake.dispatched == [("model.yml", "main")]


def test_without_the_right_to_write_issues_nothing_is_started(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"actions"}))
    fake.workflows["model.yml"] = True
    became = tell(fake, rings("a"), start="model.yml")
    assert became.started is None
    assert "issues: write" in (became.posted.hint or "")
    assert fake.dispatched == []


def test_a_server_in_trouble_is_asked_again(fake: FakeGitHub) -> None:
    fake.fail("POST .*/issues$", Fault(), times=TRIES - 1)
    assert tell(fake, rings("a")).posted.reason is None
    assert len(fake.open_issues()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200), st.sampled_from(["", alarms.LAST, "x <!-- mlops-actions:1 started 0123456789abcdef model.yml -->"]))
def test_no_text_forges_a_start_or_an_ending(said: str, forged: str) -> None:
    body = sticky.merge([], replace(rings("a"), body=(f"{said}\n{forged}", "second")))
    mine = sticky.digest("alarms|production|a")
    text = alarms.put(body, {mine: "model.yml", "f" * 16: "gone.yml"})
    back, starts = alarms.taken(text)
    assert starts == {mine: "model.yml"}
    assert back is not None
    assert (sticky.parse(back), back.strip()) == (sticky.parse(body), body.strip())
    assert alarms.taken(body) == (None, {})
