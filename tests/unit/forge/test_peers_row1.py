"""Other tools look at the first 30 comments, edit a stranger's, or post twice: the sticky comment is found and is ours."""

from __future__ import annotations

import threading

import pytest

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.board import post
from mlops_toolkit.forge.github import Thread
from mlops_toolkit.system.clock import SystemClock
from tests.unit.forge.conftest import forge, section
from tests.world.github import BOT, FakeGitHub, Token


@pytest.mark.parametrize("place", [1, 31, 101, 250])
def test_the_comment_is_found_and_edited_wherever_it_stands(fake: FakeGitHub, place: int) -> None:
    for i in range(place - 1):
        fake.add_comment(7, f"remark {i}", "octocat" if i % 2 else BOT)
    forge(fake).comment(7, section(verdict="❌ first"))
    for i in range(3):
        fake.add_comment(7, f"later {i}")
    posted = forge(fake).comment(7, section(verdict="✅ second"))
    assert posted.reason is None
    assert fake.comments[7][place - 1]["body"].startswith("✅ second")
    assert len(fake.comments[7]) == place + 3


def test_a_comment_with_our_marker_planted_by_somebody_else_is_left_alone(fake: FakeGitHub) -> None:
    planted = sticky.merge([], section(verdict="✅ trust me"))
    fake.add_comment(7, planted, "mallory")
    fake.add_comment(7, planted, "other-app[bot]")
    forge(fake).comment(7, section(verdict="❌ spam"))
    assert [c["body"] for c in fake.comments[7][:2]] == [planted, planted]
    assert fake.bodies(7)[0].startswith("❌ spam")


def test_a_comment_of_the_same_bot_for_another_tool_is_left_alone(fake: FakeGitHub) -> None:
    fake.add_comment(7, f"coverage: 97 %\n\n{sticky.COMMENT} was quoted here", BOT)
    forge(fake).comment(7, section())
    assert fake.bodies(7)[0].startswith("coverage: 97 %")
    assert len(fake.bodies(7)) == 2


def test_of_two_comments_of_ours_the_oldest_stays_with_every_section(fake: FakeGitHub) -> None:
    fake.add_comment(7, sticky.merge([], section("a", "✅ a")), BOT)
    fake.add_comment(7, sticky.merge([], section("b", "✅ b")), BOT)
    forge(fake).comment(7, section("c", "❌ c"))
    (body,) = fake.bodies(7)
    assert {p.verdict for p in sticky.parse(body)} == {"✅ a", "✅ b", "❌ c"}
    assert fake.comments[7][0]["body"] == body


@pytest.mark.parametrize(
    ("token", "author"),
    [(Token("octocat"), "octocat"), (Token(None), BOT), (Token(None, bot="our-app[bot]"), "our-app[bot]")],
    ids=["a person's token", "the job's token", "an app's token"],
)
def test_our_own_author_is_whoever_the_token_acts_as(fake: FakeGitHub, token: Token, author: str) -> None:
    fake.tokens["ghs_job"] = token
    for name in ("octocat", BOT, "our-app[bot]"):
        fake.add_comment(7, sticky.merge([], section(verdict="❌ old")), name)
    forge(fake).comment(7, section(verdict="✅ new"))
    assert {c["user"]["login"]: c["body"][0] for c in fake.comments[7]} == {
        name: "✅" if name == author else "❌" for name in ("octocat", BOT, "our-app[bot]")
    }


def test_an_enterprise_server_is_spoken_to_under_its_own_paths(fake: FakeGitHub) -> None:
    posted = forge(fake, api_url=f"{fake.url}/api/v3").comment(7, section())
    assert posted.reason is None
    assert ("POST", "/graphql", 200) in fake.requests
    assert len(fake.bodies(7)) == 1


class Hurried(SystemClock):
    """A clock whose waits are short, so that eight writers really meet."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 8)


@pytest.mark.parametrize("jobs", [2, 8])
def test_jobs_that_report_at_once_end_in_one_comment_with_every_section(fake: FakeGitHub, jobs: int) -> None:
    fake.latency_seconds = 0.005
    start = threading.Barrier(jobs)
    answers = {}

    def job(number: int) -> None:
        own = forge(fake)
        assert own.rest
        own.login(own.rest)
        start.wait()
        answers[number] = post(Thread(own, own.rest, 7), section(f"m{number}", f"✅ m{number}"), where=None, clock=Hurried())

    threads = [threading.Thread(target=job, args=(n,)) for n in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (body,) = fake.bodies(7)
    assert {p.verdict for p in sticky.parse(body)} == {f"✅ m{n}" for n in range(jobs)}
    assert [a.reason for a in answers.values()] == [None] * jobs
