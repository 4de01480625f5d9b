"""Other tools let a refused comment replace the verdict, or read an error page as data: ours is a reason, said once, with its way out."""

from __future__ import annotations

from typing import cast

import pytest

from mlops_toolkit.forge import board
from mlops_toolkit.forge.base import Posted
from mlops_toolkit.forge.rest import READ_ONLY, permission
from mlops_toolkit.system.clock import FixedClock
from tests.unit.forge.conftest import NOW, forge, section
from tests.world.github import BOT, UNICORN, FakeGitHub, Fault, Token

SHA = "a" * 40


def test_without_permission_the_answer_is_the_yaml_to_paste(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset())
    github = forge(fake)
    refusal = "the token may not do this (403: Resource not accessible by integration)"
    assert github.comment(7, section()) == Posted(reason=f"the comment is not posted: {refusal}", hint=permission("pull-requests: write"))
    assert github.status(SHA, "spam", "success", "fine", None) == Posted(
        reason=f"the status mlops/spam is not set: {refusal}", hint=permission("statuses: write")
    )
    assert permission("pull-requests: write").endswith("\npermissions:\n  pull-requests: write   # the comment")
    assert [r for r in fake.requests if r[0] == "POST" and r[2] == 403] == [
        ("POST", "/repos/acme/models/issues/7/comments", 403),
        ("POST", f"/repos/acme/models/statuses/{SHA}", 403),
    ]


def test_a_fork_is_told_that_no_permission_line_would_help(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset())
    assert forge(fake, read_only_token=True).comment(7, section()).hint == READ_ONLY


def test_a_locked_conversation_is_named(fake: FakeGitHub) -> None:
    fake.locked.add(7)
    posted = forge(fake).comment(7, section())
    assert posted.reason == "the comment is not posted: the conversation is locked (403: Unable to create comment because issue is locked.)"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "there is no token"),
        ("  ", "there is no token"),
        ("bad", "GitHub does not know the token (Bad credentials)"),
    ],
)
def test_a_token_that_is_missing_or_wrong_is_named(fake: FakeGitHub, token: str | None, reason: str) -> None:
    assert forge(fake, token=token).comment(7, section()).reason == f"the comment is not posted: {reason}"
    assert forge(fake, token=token).status(SHA, "x", "pending", "", None).reason == f"the status mlops/x is not set: {reason}"


TRANSIENT = {
    "500": Fault.message(500, "Server Error"),
    "502 with a page": Fault(502, UNICORN),
    "503 empty": Fault(503, "", "text/plain"),
    "429": Fault.message(429, "Too many requests", retry_after="3"),
    "secondary rate limit": Fault.message(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
    "hung up": Fault(drop=True),
    "a page with status 200": Fault(200, "<html><title>Sign in to Wi-Fi</title></html>"),
    "half an object": Fault(200, '{"id": 1', "application/json"),
    "a list instead of an object": Fault(200, "[1, 2]", "application/json"),
    "an object without what it should hold": Fault(201, "{}", "application/json"),
    "an error that is a list": Fault(500, "[]", "application/json"),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("request_line", ["GET /user", "POST /graphql", "GET .*/comments", "POST .*/comments", "PATCH .*/comments/"])
def test_trouble_that_passes_is_waited_for(fake: FakeGitHub, fault: Fault, request_line: str) -> None:
    fake.tokens["ghp_person"] = Token("octocat")
    token, author = ("ghp_person", "octocat") if request_line == "GET /user" else ("ghs_job", BOT)
    if request_line.startswith("PATCH"):
        forge(fake).comment(7, section(verdict="❌ first"))
    fake.fail(request_line, fault)
    posted = forge(fake, token=token).comment(7, section(verdict="✅ spam"))
    assert (posted.reason, posted.hint) == (None, None)
    assert [body.split(" <!--")[0] for body in fake.bodies(7, author)] == ["✅ spam"]
    assert fault in fake.given


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_trouble_that_stays_ends_after_a_bounded_number_of_requests_in_a_reason(fake: FakeGitHub, fault: Fault) -> None:
    fake.fail(".*", fault, times=10_000)
    github = forge(fake)
    for posted in (github.comment(7, section()), github.status(SHA, "spam", "success", "fine", None)):
        assert posted.url is None
        assert posted.reason
        assert "<" not in posted.reason
        assert "\n" not in posted.reason
    assert github.pull_request(7) is None
    assert len(fake.requests) <= 3 * (board.TRIES + 1)
    assert cast(FixedClock, github.clock).seconds <= 3 * board.PATIENCE_SECONDS


def test_a_page_is_named_by_its_title_and_never_taken_for_data(fake: FakeGitHub) -> None:
    fake.fail(".*", Fault(200, "<html><title>Sign in\n to Wi-Fi</title></html>"), times=10_000)
    assert (
        forge(fake).comment(7, section()).reason
        == f"the comment is not posted: {fake.url} answered with a page titled “Sign in to Wi-Fi” instead of data"
    )


def test_a_comment_written_though_its_answer_was_lost_is_not_written_twice(fake: FakeGitHub) -> None:
    fake.fail("POST .*/comments", Fault(drop=True, performed=True))
    assert forge(fake).comment(7, section()).reason is None
    assert len(fake.bodies(7)) == 1


def test_where_every_write_is_hung_up_on_that_is_the_reason_and_not_other_writers(fake: FakeGitHub) -> None:
    fake.fail("POST .*/comments", Fault(drop=True), times=99)
    posted = forge(fake).comment(7, section())
    assert "cannot be reached" in (posted.reason or ""), posted


def test_a_rate_limit_longer_than_a_minute_is_not_waited_for_but_said(fake: FakeGitHub) -> None:
    reset = str(int(NOW.timestamp()) + 1800)
    fault = Fault.message(403, "API rate limit exceeded for installation", x_ratelimit_remaining="0", x_ratelimit_reset=reset)
    fake.fail("GET .*/comments", fault, times=99)
    github = forge(fake)
    posted = github.comment(7, section())
    assert posted.hint == "it ends in 1801 s; run the job again then"
    assert cast(FixedClock, github.clock).seconds == 0


def test_the_server_says_how_long_to_wait_and_is_believed(fake: FakeGitHub) -> None:
    fake.fail("POST .*/statuses", Fault.message(429, "slow down", retry_after="30"))
    github = forge(fake)
    assert github.status(SHA, "x", "success", "", None).reason is None
    assert 30 <= cast(FixedClock, github.clock).seconds < 32


def test_a_comment_deleted_while_it_is_edited_is_posted_again(fake: FakeGitHub) -> None:
    forge(fake).comment(7, section(verdict="❌ first"))
    fake.meanwhile("PATCH .*/comments/", lambda: fake.comments[7].clear())
    assert forge(fake).comment(7, section(verdict="✅ second")).reason is None
    assert fake.bodies(7)[0].startswith("✅ second")


def test_a_redirect_to_another_host_is_not_followed(fake: FakeGitHub) -> None:
    fake.fail("GET .*/comments", Fault(301, "", headers={"location": "http://elsewhere.example/x"}), times=99)
    assert "redirected from host 127.0.0.1 to elsewhere.example" in (forge(fake).comment(7, section()).reason or "")


def test_a_section_written_over_by_another_job_is_written_again(fake: FakeGitHub) -> None:
    from mlops_toolkit.forge import sticky

    fake.add_comment(7, sticky.merge([], section("other", "✅ other")), BOT)

    def other_job_writes_what_it_read_before() -> None:
        fake.comments[7][0]["body"] = sticky.merge([], section("other", "❌ other, newer", run=813))

    fake.meanwhile("GET .*/comments.*page=1", lambda: fake.meanwhile("GET .*/comments", other_job_writes_what_it_read_before))
    assert forge(fake).comment(7, section("mine", "✅ mine")).reason is None
    assert {p.verdict for p in sticky.parse(fake.bodies(7)[0])} == {"❌ other, newer", "✅ mine"}


def test_writers_that_never_stop_are_given_up_on_after_five_writes(fake: FakeGitHub) -> None:
    def clobber() -> None:
        fake.comments[7] = []
        fake.meanwhile("GET .*/comments", clobber)

    fake.meanwhile("GET .*/comments", clobber)
    posted = forge(fake).comment(7, section())
    assert "other jobs kept writing" in (posted.reason or "")
    assert sum(verb == "POST" and "comments" in path for verb, path, _ in fake.requests) == board.TRIES


def test_an_older_run_leaves_the_newer_report_and_says_so(fake: FakeGitHub) -> None:
    forge(fake).comment(7, section(verdict="✅ newer", run=900))
    posted = forge(fake).comment(7, section(verdict="❌ older", run=812))
    assert posted.reason == "a newer run has already reported here"
    assert fake.bodies(7)[0].startswith("✅ newer")


def test_an_old_comment_that_may_not_be_removed_does_not_undo_the_new_one(fake: FakeGitHub) -> None:
    forge(fake).comment(7, section(verdict="✅ fine", run=1))
    fake.fail("DELETE .*/comments/", Fault.message(403, "Resource not accessible by integration"), times=99)
    posted = forge(fake).comment(7, section(verdict="❌ worse", run=2), renew=True)
    assert posted.url == fake.comments[7][1]["html_url"]
    assert "an older text of ours could not be removed: the token may not do this (403" in (posted.reason or "")
    assert fake.bodies(7)[1].startswith("❌ worse")
    assert sum(verb == "DELETE" for verb, _, _ in fake.requests) == 1


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("request_line", ["POST .*/comments", "DELETE .*/comments/"])
def test_trouble_while_a_comment_is_renewed_is_waited_for_too(fake: FakeGitHub, fault: Fault, request_line: str) -> None:
    forge(fake).comment(7, section(verdict="✅ fine", run=1))
    fake.fail(request_line, fault)
    posted = forge(fake).comment(7, section(verdict="❌ worse", run=2), renew=True)
    assert posted.reason is None
    assert [body.split(" <!--")[0] for body in fake.bodies(7)] == ["❌ worse"]
    assert fault in fake.given


def test_a_comment_that_is_written_but_cannot_be_looked_at_again_is_there_all_the_same(fake: FakeGitHub) -> None:
    fake.meanwhile("POST .*/comments", lambda: fake.fail("GET .*/comments", Fault(502), times=99))
    posted = forge(fake).comment(7, section())
    assert posted.url == fake.comments[7][0]["html_url"]
    assert "what was posted could not be looked at again: GitHub has trouble (502" in (posted.reason or "")
