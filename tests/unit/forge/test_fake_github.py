"""The fake is held by the real contract: what GitHub would not take or say, it does not either."""

from __future__ import annotations

import json

import pytest
import requests

from tests.world.github import CONTRADICTING, FakeGitHub, Fault, Token, checker, description, example, serving
from tests.world.openapi import FORGOTTEN_NULLS

HEADERS = {"authorization": "token ghs_job"}


def call(fake: FakeGitHub, verb: str, path: str, **arguments: object) -> requests.Response:
    return requests.request(verb, fake.url + path, headers=HEADERS, timeout=10, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/repos/acme/models/issues/7/comments", {"bdy": "x"}),
        ("POST", "/repos/acme/models/issues/7/comments", {"body": 3}),
        ("POST", f"/repos/acme/models/statuses/{'a' * 40}", {"state": "passed"}),
        ("POST", f"/repos/acme/models/statuses/{'a' * 40}", {}),
        ("PUT", "/repos/acme/models/issues/comments/1", {"body": "x"}),
        ("GET", "/repos/acme/models/issue/7/comments", None),
        ("GET", "/repos/acme/models/issues/7/comments?page=first", None),
        ("GET", "/repos/acme/models/issues?state=ajar", None),
        ("POST", "/repos/acme/models/issues", {"body": "no title"}),
        ("PATCH", "/repos/acme/models/issues/7", {"state": "close"}),
        ("GET", "/repos/acme/models/pulls?state=merged", None),
        ("GET", "/repos/acme/models/collaborators/octocat", None),
        ("GET", "/repos/acme/models/rules/branch/main", None),
    ],
)
def test_a_request_that_github_does_not_describe_is_a_violation(verb: str, path: str, body: dict[str, object] | None) -> None:
    with serving() as fake:
        assert call(fake, verb, path, json=body).status_code == 400
        assert len(fake.violations) == 1
        assert path in fake.violations[0]


def test_an_answer_that_github_would_not_give_is_a_violation() -> None:
    with serving() as fake:
        fake.add_comment(7, "x")["user"] = "octocat"
        call(fake, "GET", "/repos/acme/models/issues/7/comments")
        assert len(fake.violations) == 1


def test_of_the_examples_only_the_listed_ones_contradict_their_own_schema() -> None:
    from openapi_core.testing import MockRequest, MockResponse

    wrong = set()
    for path, verbs in description()["paths"].items():
        for verb, operation in verbs.items():
            for status, answer in operation["responses"].items():
                if not answer.get("content", {}).get("application/json", {}).get("examples"):
                    continue
                real = "/".join(
                    "1" if part in ("{issue_number}", "{comment_id}", "{pull_number}") else part.strip("{}") for part in path.split("/")
                )
                body = {"body": "x"} if "comments" in path else {"title": "x"} if "issues" in path else {"state": "error"}
                request = MockRequest("http://x", verb, real, data=json.dumps(body).encode() if verb in ("post", "patch") else None)
                try:
                    checker().validate_response(request, MockResponse(json.dumps(example(verb, path, int(status))).encode(), int(status)))
                except Exception:  # noqa: BLE001 (whatever openapi-core raises)
                    wrong.add((verb, path))
    assert wrong == set(CONTRADICTING)


def test_pages_hold_thirty_comments_unless_asked_and_a_hundred_at_most(fake: FakeGitHub) -> None:
    for i in range(130):
        fake.add_comment(7, str(i))
    path = "/repos/acme/models/issues/7/comments"
    assert [len(call(fake, "GET", path + query).json()) for query in ("", "?per_page=100", "?per_page=100&page=2", "?page=9")] == [
        30,
        100,
        30,
        0,
    ]
    assert len(call(fake, "GET", path + "?per_page=500").json()) == 100


def test_every_call_is_counted_with_its_bytes(fake: FakeGitHub) -> None:
    path = "/repos/acme/models/issues/7/comments"
    made = call(fake, "POST", path, json={"body": "x" * 1_000})
    fake.fail("GET .*/comments", Fault(drop=True))
    with pytest.raises(requests.ConnectionError):
        call(fake, "GET", path)
    (post, get) = fake.calls
    assert (post.verb, post.path, post.status, get.status, get.received) == ("POST", path, 201, 0, 0)
    assert 1_000 < post.sent - len(json.dumps({"body": ""})) < 1_500
    assert len(made.content) < post.received < len(made.content) + 500


def test_a_pull_request_is_an_issue_too_and_a_head_without_an_owner_filters_nothing(fake: FakeGitHub) -> None:
    fake.add_pull(7, head="a" * 40)
    issue = fake.add_issue("A question")
    assert [i["number"] for i in call(fake, "GET", "/repos/acme/models/issues").json()] == [issue["number"], 7]
    for head, found in (("nobody:feature", []), ("acme:feature", [7]), ("feature", [7])):
        assert [p["number"] for p in call(fake, "GET", f"/repos/acme/models/pulls?head={head}").json()] == found


@pytest.mark.parametrize("what", ["issues", "pulls", "pulls/7", f"commits/{'a' * 40}/status", f"commits/{'a' * 40}/pulls", "branches/main"])
def test_what_a_token_may_not_read_it_does_not_get(fake: FakeGitHub, what: str) -> None:
    fake.add_pull(7, head="a" * 40)
    assert call(fake, "GET", f"/repos/acme/models/{what}").status_code == 200
    fake.tokens["ghs_job"] = Token(may_read=frozenset())
    assert call(fake, "GET", f"/repos/acme/models/{what}").status_code == 403


def test_only_the_listed_nulls_are_allowed_beyond_the_description(fake: FakeGitHub) -> None:
    from openapi_core import OpenAPI
    from openapi_core.testing import MockRequest, MockResponse

    fake.add_pull(7, head="a" * 40, fork=True, deleted=True)
    fake.add_issue("open")
    plain = OpenAPI.from_dict(description())
    for path in ("pulls/7", "pulls", "issues?creator=octocat"):
        target = f"/repos/acme/models/{path}"
        answer = call(fake, "GET", target)
        assert (answer.status_code, fake.violations) == (200, [])
        with pytest.raises(Exception, match="InvalidData"):
            plain.validate_response(MockRequest(fake.url, "get", target.partition("?")[0]), MockResponse(answer.content, 200))
    assert len(FORGOTTEN_NULLS) == 3
