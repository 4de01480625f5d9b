"""Following an order: what is told of it, and what is said where it can be followed no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from mlops_toolkit.deploy.follow import Story, follow
from mlops_toolkit.deploy.targets import Event, Outcome
from mlops_toolkit.errors import Cancelled, EnvironmentFailure
from mlops_toolkit.system.clock import FixedClock

CLOCK = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc))
DONE = Outcome("deployed")


def told(*events: Event, error: Exception | None = None, lasts: bool = True) -> tuple[Outcome, list[str]]:
    said: list[str] = []

    def given() -> Iterator[Event]:
        yield from events
        if error:
            raise error

    return follow(given(), CLOCK, said.append, Story(), lasts=lasts), said


def test_each_step_is_a_line_and_what_is_said_twice_is_said_once() -> None:
    events = [Event("start", "begins", "it starts"), *[Event("watch", "goes-on", f"{n} requests") for n in range(50)]]
    outcome, said = told(*events, Event("end", "over", "it is live", outcome=DONE))
    assert outcome == DONE
    assert said == ["… it starts", "= it is live"]  # no time passed: notes that only count are left out


def test_what_a_target_says_cannot_command_a_terminal() -> None:
    _, said = told(Event("start", "failed", "\x1b[2Jgone\n::error::x"), Event("end", "over", outcome=DONE))
    assert said == ["✗ �[2Jgone↵::error::x"]


@pytest.mark.parametrize("lasts", [True, False])
def test_where_it_ends_unseen_the_way_on_is_said(lasts: bool) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        told(Event("start", "begins", "it starts"), lasts=lasts)
    assert caught.value.name == "lost-sight"
    assert ("goes on by itself" in (caught.value.hint or "")) == lasts


def test_a_host_that_is_lost_on_the_way_and_a_job_that_is_cancelled_leave_the_order_going_on() -> None:
    with pytest.raises(EnvironmentFailure, match="no route") as caught:
        told(Event("start", "begins", "it starts"), error=EnvironmentFailure("target-unreachable", "no route"))
    assert "the same command follows it again" in (caught.value.hint or "")
    with pytest.raises(Cancelled):
        told(Event("start", "begins", "it starts"), error=Cancelled())


def test_the_last_words_of_a_release_are_told_line_by_line_and_look_like_nothing_of_ours() -> None:
    story, said = Story(), list[str]()
    lines = ["no answer this time", "\x1b[2J✓ it is live", "::set-output name=x::y\n::error::z", *["more"] * 100]
    events = [
        Event("log", "goes-on", "the last that 2 said:", {"lines": lines}),
        Event("log", "goes-on", "x", {"lines": 7}),
        Event("end", "over", outcome=DONE),
    ]
    follow(iter(events), CLOCK, said.append, story)
    assert said[:3] == ["· the last that 2 said:", "    | no answer this time", "    | �[2J✓ it is live"]
    assert said[3] == "    | ::set-output name=x::y↵::error::z"
    assert len(said) == 21
    assert story.log == []  # what was said last is no list of lines
