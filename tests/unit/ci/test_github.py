"""A GitHub Actions job's environment and payload, as the runner gives them, read as where we are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mlops_toolkit.ci import Context, detect

HEAD, MERGE, BASE = "a" * 40, "b" * 40, "c" * 40
ENV = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/models",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_SHA": MERGE,
    "GITHUB_RUN_ID": "812",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_JOB": "model",
    "RUNNER_ENVIRONMENT": "github-hosted",
}
PULL_REQUEST = {
    **ENV,
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "feature",
    "GITHUB_BASE_REF": "main",
}


def pull_request(head: str | None = "acme/models", **more: Any) -> dict[str, Any]:
    sides = {
        "head": {"sha": HEAD, "ref": "feature", "repo": {"full_name": head} if head else None},
        "base": {"sha": BASE, "ref": "main", "repo": {"full_name": "acme/models"}},
    }
    return {
        "number": 7,
        "pull_request": {"number": 7, "user": {"login": "octocat"}, **sides, **more},
        "repository": {"default_branch": "main", "private": True},
    }


def test_outside_of_any_ci_it_is_a_laptop() -> None:
    assert detect({}) == Context()
    assert not detect({}).ci


def test_of_a_pull_request_the_head_is_judged_and_its_test_merge_is_checked_out() -> None:
    at = detect(PULL_REQUEST, pull_request())
    assert (at.event, at.head, at.checkout, at.pull_request) == ("pull_request", HEAD, MERGE, 7)
    assert (at.branch, at.base_branch, at.default_branch, at.private) == ("feature", "main", "main", True)
    assert (at.fork, at.read_only_token) == (False, False)
    assert at.url == "https://github.com/acme/models/actions/runs/812"


def test_a_pull_request_s_stale_base_is_never_taken() -> None:
    assert detect(PULL_REQUEST, pull_request()).base is None


@pytest.mark.parametrize("repository", ["someone/models", None], ids=["a fork", "a fork that was deleted"])
def test_a_fork_has_a_token_that_only_reads(repository: str | None) -> None:
    at = detect(PULL_REQUEST, pull_request(repository))
    assert (at.fork, at.read_only_token) == (True, True)


@pytest.mark.parametrize("event", [None, {}, {"pull_request": None}, {"pull_request": {"head": "x", "base": []}}])
def test_a_pull_request_of_which_nothing_is_known_counts_as_a_fork(event: Mapping[str, Any] | None) -> None:
    at = detect(PULL_REQUEST, event)
    assert (at.fork, at.read_only_token, at.pull_request, at.head) == (True, True, None, MERGE)


def test_dependabot_s_token_only_reads_though_it_is_no_fork() -> None:
    assert detect(PULL_REQUEST, pull_request(user={"login": "dependabot[bot]"})).read_only_token
    at = detect({**PULL_REQUEST, "GITHUB_ACTOR": "dependabot[bot]"}, pull_request())
    assert (at.fork, at.read_only_token) == (False, True)


def test_a_merge_queue_names_its_base_and_the_pull_request_in_its_branch() -> None:
    ref = f"refs/heads/gh-readonly-queue/release/2.x/pr-31-{BASE}"
    env = {**ENV, "GITHUB_EVENT_NAME": "merge_group", "GITHUB_REF": ref}
    at = detect(env, {"merge_group": {"head_ref": ref, "head_sha": HEAD, "base_sha": BASE}})
    assert (at.event, at.head, at.base, at.base_branch, at.pull_request) == ("merge_group", HEAD, BASE, "release/2.x", 31)
    assert detect(env, {}).pull_request == 31


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main"}, ("push", "main", None)),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "v1.2.0", "GITHUB_REF_TYPE": "tag"}, ("tag", None, "v1.2.0")),
        ({"GITHUB_EVENT_NAME": "schedule", "GITHUB_REF_NAME": "main"}, ("schedule", "main", None)),
        ({"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF_NAME": "x"}, ("dispatch", "x", None)),
        ({"GITHUB_EVENT_NAME": "repository_dispatch", "GITHUB_REF_NAME": "main"}, ("dispatch", "main", None)),
        ({"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}, ("tag", None, "v1")),
        ({"GITHUB_EVENT_NAME": "discussion", "GITHUB_REF_NAME": "main"}, ("other", "main", None)),
    ],
)
def test_other_events_are_told_apart(changes: dict[str, str], wanted: tuple[str, str | None, str | None]) -> None:
    at = detect({**ENV, **changes}, {})
    assert (at.event, at.branch, at.tag) == wanted
    assert not at.fork


def test_a_second_attempt_has_its_own_address() -> None:
    at = detect({**ENV, "GITHUB_RUN_ATTEMPT": "2"}, {})
    assert (at.attempt, at.url) == (2, "https://github.com/acme/models/actions/runs/812/attempts/2")


def test_an_enterprise_server_s_addresses_are_honoured() -> None:
    at = detect({**ENV, "GITHUB_SERVER_URL": "https://git.acme.example/", "GITHUB_API_URL": "https://git.acme.example/api/v3/"}, {})
    assert (at.server_url, at.api_url) == ("https://git.acme.example", "https://git.acme.example/api/v3")


@pytest.mark.parametrize(("value", "wanted"), [("self-hosted", True), ("github-hosted", False), ("", False)])
def test_the_runner_says_whose_machine_it_is(value: str, wanted: bool) -> None:
    assert detect({**ENV, "RUNNER_ENVIRONMENT": value}, {}).self_hosted is wanted


@pytest.mark.parametrize(("server", "wanted"), [("https://github.com", False), ("https://git.acme.example", True)])
def test_a_runner_too_old_to_say_so_is_somebody_s_own_unless_github_com_renews_it(server: str, wanted: bool) -> None:
    silent = {key: value for key, value in ENV.items() if key != "RUNNER_ENVIRONMENT"}
    assert detect({**silent, "GITHUB_SERVER_URL": server}, {}).self_hosted is wanted
