"""Other tools look at the first 30 comments, edit a stranger's, or post twice: the sticky comment is found and is ours."""

from __future__ import annotations

import threading

import pytest

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted
from mlops_toolkit.forge.board import post
from mlops_toolkit.forge.thread import Thread
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
    """A clock that runs fast, so that eight writers really meet and nobody waits for long."""

    def monotonic(self) -> float:
        return super().monotonic() * 10

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 10)


def at_once(fake: FakeGitHub, jobs: int, run: int, mark: str, **how: bool) -> list[Posted]:
    """The answers of so many jobs that report at the same time, each for a model of its own."""
    start, answers = threading.Barrier(jobs), {}
    forges = [forge(fake) for _ in range(jobs)]

    def job(number: int) -> None:
        own = forges[number]
        assert own.rest
        own.login(own.rest)
        start.wait()
        told = section(f"m{number}", f"{mark} m{number}: run {run}", run=run)
        answers[number] = post(Thread(own, own.rest, 7), told, where=None, clock=Hurried(), **how)

    threads = [threading.Thread(target=job, args=(n,)) for n in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(answers.values())


def slow(fake: FakeGitHub) -> FakeGitHub:
    fake.latency_seconds, fake.jitter_seconds = 0.001, 0.004
    return fake


@pytest.mark.parametrize("jobs", [2, 3, 5, 8])
def test_jobs_that_report_at_once_end_in_one_comment_with_every_section(fake: FakeGitHub, jobs: int) -> None:
    answers = at_once(slow(fake), jobs, 812, "✅")
    (body,) = fake.bodies(7)
    assert {p.verdict for p in sticky.parse(body)} == {f"✅ m{n}: run 812" for n in range(jobs)}
    assert [a.reason for a in answers] == [None] * jobs
    assert {a.url for a in answers} == {fake.comments[7][0]["html_url"]}


@pytest.mark.parametrize(("how", "rounds"), [("edited", 20), ("renewed", 6), ("two markers", 6)])
def test_eight_jobs_in_twenty_rounds_leave_one_comment_with_all_sections(fake: FakeGitHub, how: str, rounds: int) -> None:
    slow(fake).checked = False  # each kind of request is held against the description elsewhere
    for round_ in range(rounds):
        if how == "two markers":  # as two jobs leave them that were killed when each had made its own
            fake.comments[7] = []
            for key in ("kept", "m3"):
                fake.add_comment(7, sticky.merge([], section(key, f"➖ {key}: long ago", run=1)), BOT)
        # Every other round is worse than the one before it, so that all eight want a new comment.
        answers = at_once(fake, 8, 812 + round_, "✅" if how == "renewed" and round_ % 2 == 0 else "❌", renew=how == "renewed")
        (body,) = fake.bodies(7)
        found = {p.verdict for p in sticky.parse(body)} - {"➖ kept: long ago"}
        assert {verdict[2:] for verdict in found} == {f"m{n}: run {812 + round_}" for n in range(8)}, round_
        assert [a.reason for a in answers] == [None] * 8, round_
        assert ("➖ kept" in body) is (how == "two markers")
