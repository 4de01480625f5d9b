"""What GitHub is asked, and that an answer which is not what its API says is unknown, never a guess."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.forge.base import BranchRules, Check, PullRequest
from mlops_toolkit.forge.github import GitHub
from tests.unit.forge.conftest import forge
from tests.unit.forge.test_peers_row3 import TRANSIENT
from tests.world.github import FakeGitHub, Fault, Token

HEAD, MOVED, OTHER = "a" * 40, "b" * 40, "c" * 40


# ── pull requests ──
def test_a_pull_request_is_read_with_its_last_push_and_labels(fake: FakeGitHub) -> None:
    fake.add_pull(7, head=HEAD, base_branch="release/2", labels=["evaluate", "gpu"])
    assert forge(fake).pull_request(7) == PullRequest(
        number=7,
        head=HEAD,
        base_branch="release/2",
        head_branch="feature",
        pushed_at=fake.pulls[7]["head"]["repo"]["pushed_at"],
        title="A change",
        labels=("evaluate", "gpu"),
    )
    assert fake.pulls[7]["head"]["repo"]["pushed_at"]


def test_a_head_whose_repository_is_gone_is_a_fork_s(fake: FakeGitHub) -> None:
    fake.add_pull(7, head=HEAD, fork=True, deleted=True)
    fake.add_pull(8, head=MOVED, fork=True)
    for found in (forge(fake).pull_request(7), forge(fake).find_pull_request(HEAD, branch="feature", owner="someone")):
        assert found
        assert (found.number, found.fork, found.pushed_at) == (7, True, None)
    fork = forge(fake).pull_request(8)
    assert fork
    assert fork.fork


@pytest.mark.parametrize("spoil", ["head", "base", "number", "state", "head.sha", "head.ref", "base.ref"])
@pytest.mark.parametrize("wrong", [None, {}, [], "", True])
def test_a_pull_request_that_is_not_told_as_the_api_says_is_unknown(fake: FakeGitHub, spoil: str, wrong: Any) -> None:
    fake.add_pull(7, head=HEAD)
    told = json.loads(json.dumps(fake.pulls[7]))
    *path, last = spoil.split(".")
    (told[path[0]] if path else told)[last] = wrong
    fake.fail("GET .*/pulls", Fault(200, json.dumps(told), "application/json"))
    assert forge(fake).pull_request(7) is None
    fake.fail("GET .*/pulls", Fault(200, json.dumps([told]), "application/json"))
    assert forge(fake).find_pull_request(HEAD, branch="feature", owner="acme") is None


def test_the_pull_request_of_a_head_is_found_by_owner_and_branch_in_one_request(fake: FakeGitHub) -> None:
    fake.add_pull(7, head=HEAD, fork=True)
    fake.add_pull(8, head=OTHER)  # ours, of a branch with the same name
    found = forge(fake).find_pull_request(HEAD, branch="feature", owner="someone")
    assert found
    assert (found.number, found.fork) == (7, True)
    assert [call.path for call in fake.calls] == ["/repos/acme/models/pulls"]


@pytest.mark.parametrize(("branch", "owner"), [(None, None), ("feature", None), (None, "someone"), ("renamed", "someone")])
def test_where_owner_or_branch_is_not_known_the_commit_tells(fake: FakeGitHub, branch: str | None, owner: str | None) -> None:
    fake.add_pull(7, head=HEAD, fork=True)
    found = forge(fake).find_pull_request(HEAD, branch=branch, owner=owner)
    assert found
    assert found.number == 7


def test_a_pull_request_that_has_moved_on_or_is_closed_is_not_the_one(fake: FakeGitHub) -> None:
    fake.add_pull(7, head=MOVED)
    fake.add_pull(8, head=HEAD, head_branch="merged", state="closed")
    assert forge(fake).find_pull_request(HEAD, branch="feature", owner="acme") is None
    assert forge(fake).find_pull_request(HEAD, branch="merged", owner="acme") is None


@pytest.mark.parametrize("owner", ["acme", None])
def test_of_two_pull_requests_of_one_head_neither_is_taken(fake: FakeGitHub, owner: str | None) -> None:
    fake.add_pull(7, head=HEAD)
    fake.add_pull(8, head=HEAD, base_branch="release/2")
    assert forge(fake).find_pull_request(HEAD, branch="feature", owner=owner) is None


def test_the_one_among_hundreds_is_found(fake: FakeGitHub) -> None:
    for number in range(1, 131):
        fake.add_pull(number, head=f"{number:040x}", head_branch="same")
    found = forge(fake).find_pull_request(f"{7:040x}", branch="same", owner="acme")
    assert found
    assert found.number == 7


# ── people ──
@pytest.mark.parametrize(
    ("role", "may"),
    [("admin", True), ("maintain", True), ("write", True), ("triage", False), ("read", False), ("none", False)],
)
def test_who_may_push_may_ask_for_a_run(fake: FakeGitHub, role: str, may: bool) -> None:
    fake.people["maintainer"] = role
    assert forge(fake).may_write("maintainer") is may


def test_who_is_no_collaborator_may_not_and_case_does_not_matter(fake: FakeGitHub) -> None:
    assert forge(fake).may_write("nobody-here") is False
    fake.people["OctoCat"] = "write"
    told = forge(fake)
    fake.fail("GET .*/permission", _answer(permission="write", user={"login": "OctoCat"}))
    assert told.may_write("octocat") is True


def _answer(**data: Any) -> Fault:
    return Fault(200, json.dumps(data), "application/json")


@pytest.mark.parametrize(
    "answer",
    [
        _answer(permission="write", user={"login": "mallory"}),
        _answer(permission="write", user=None),
        _answer(permission="root", user={"login": "octocat"}),
        _answer(permission=True, user={"login": "octocat"}),
        _answer(user={"login": "octocat"}),
        _answer(),
    ],
)
def test_an_answer_about_somebody_else_or_of_another_kind_says_nothing(fake: FakeGitHub, answer: Fault) -> None:
    fake.fail("GET .*/permission", answer)
    assert forge(fake).may_write("octocat") is None


def test_a_login_cannot_lead_the_question_elsewhere(fake: FakeGitHub) -> None:
    assert forge(fake).may_write("../../../user") is False
    assert [call.target for call in fake.calls] == ["/repos/acme/models/collaborators/..%2F..%2F..%2Fuser/permission"]


# ── checks ──
def test_of_our_own_checks_the_latest_is_told(fake: FakeGitHub) -> None:
    told = forge(fake)
    told.status(HEAD, "spam", "pending", "training", "https://ci.example/1")
    told.status(HEAD, "spam", "failure", "worse", "https://ci.example/2")
    told.status(HEAD, "spam (large)", "success", "", None)
    for i in range(120):
        fake._status(HEAD, {"state": "success", "context": f"other/{i}"}, Token())
    found = told.checks(HEAD)
    assert found is not None
    assert sorted(found, key=lambda each: each.name) == [
        Check("spam", "failure", "worse", "https://ci.example/2"),
        Check("spam (large)", "success", "", None),
    ]


def test_a_commit_without_checks_of_ours_has_none_and_that_is_known(fake: FakeGitHub) -> None:
    assert forge(fake).checks(HEAD) == ()


@pytest.mark.parametrize(
    "answer",
    [
        _answer(sha=OTHER, statuses=[]),
        _answer(sha=HEAD, statuses=None),
        _answer(sha=HEAD, statuses=[{"context": "mlops/x", "state": "fine"}]),
        _answer(sha=HEAD, statuses=[{"context": "mlops/x"}]),
        _answer(),
    ],
)
def test_checks_that_are_not_told_as_the_api_says_are_unknown(fake: FakeGitHub, answer: Fault) -> None:
    fake.fail("GET .*/status", answer)
    assert forge(fake).checks(HEAD) is None


# ── permissions ──
ALL = ("statuses: write", "pull-requests: write", "issues: write")


@pytest.mark.parametrize("missing", [(), *[(each,) for each in ALL], ALL])
def test_what_the_token_lacks_is_found_without_changing_anything(fake: FakeGitHub, missing: tuple[str, ...]) -> None:
    may = {each.partition(":")[0] for each in ALL if each not in missing}
    fake.tokens["ghs_job"] = Token(may=frozenset(may))
    fake.add_pull(7, head=HEAD)
    assert forge(fake).lacks(ALL) == missing
    assert (fake.comments, fake.issues, fake.statuses) == ({}, {}, {})


def test_what_cannot_be_tried_is_unknown_unless_something_else_was_refused(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"statuses"}))
    assert forge(fake).lacks(("contents: write",)) is None
    assert forge(fake).lacks(("statuses: write", "contents: write")) is None
    assert forge(fake).lacks(("statuses: write", "issues: write", "contents: write")) == ("issues: write",)
    assert forge(fake, pull_request=None).lacks(("pull-requests: write",)) is None
    assert forge(fake).lacks(()) == ()


@pytest.mark.parametrize("kind", ["locked", "switched off", "limited"])
def test_a_refusal_for_another_reason_is_not_a_missing_permission(fake: FakeGitHub, kind: str) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"pull-requests", "issues"}))
    if kind == "locked":
        fake.locked.add(7)
        assert forge(fake).lacks(("pull-requests: write",)) is None
    elif kind == "switched off":
        fake.has_issues = False
        assert forge(fake).lacks(("issues: write",)) is None
    else:
        fake.fail("POST .*", Fault.message(403, "You have exceeded a secondary rate limit"), times=99)
        assert forge(fake).lacks(("issues: write",)) is None


# ── all of them ──
QUESTIONS: dict[str, tuple[Callable[[GitHub], object], object]] = {
    "pull request": (lambda f: f.pull_request(7), None),
    "of a head": (lambda f: f.find_pull_request(HEAD, branch="feature", owner="acme"), None),
    "who": (lambda f: f.may_write("octocat"), None),
    "checks": (lambda f: f.checks(HEAD), None),
    "lacks": (lambda f: f.lacks(("statuses: write",)), None),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("question", QUESTIONS)
def test_trouble_that_stays_leaves_it_unknown_after_a_bounded_number_of_requests(fake: FakeGitHub, fault: Fault, question: str) -> None:
    fake.add_pull(7, head=HEAD)
    ask, unknown = QUESTIONS[question]
    fake.fail(".*", fault, times=10_000)
    assert ask(forge(fake)) is unknown
    assert 1 <= len(fake.requests) <= 10


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("question", QUESTIONS)
def test_trouble_that_passes_changes_no_answer(fake: FakeGitHub, fault: Fault, question: str) -> None:
    fake.add_pull(7, head=HEAD)
    fake._status(HEAD, {"state": "success", "context": "mlops/x"}, Token())
    ask, _ = QUESTIONS[question]
    wanted = ask(forge(fake))
    fake.fail(".*", fault)
    found = ask(forge(fake))
    assert fault in fake.given
    assert found == wanted or (found is None and fault.body == "{}")  # an empty object is an answer, and says nothing


@pytest.mark.parametrize("question", QUESTIONS)
def test_without_a_token_or_a_permission_to_read_it_is_unknown(fake: FakeGitHub, question: str) -> None:
    ask, unknown = QUESTIONS[question]
    assert ask(forge(fake, token=None)) is unknown
    assert ask(forge(fake, token="wrong")) is unknown
    assert forge(fake, token=None).rules("main") == BranchRules(reason="there is no token")
    fake.tokens["ghs_job"] = replace(Token(), may_read=frozenset())
    if question in ("pull request", "of a head", "checks"):
        assert ask(forge(fake)) is unknown
