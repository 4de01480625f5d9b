"""Who may have a pull request's code run, and which commit of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.ci import Context
from mlops_toolkit.forge.base import PullRequest
from mlops_toolkit.plan.asked import Allowed, NotAsked, Refused, ask, named, wanted

HEAD, OLD = "a1b2c3d4" * 5, "0123456789" * 4
COMMENT = Context(
    provider="github", event="comment", pull_request=7, fork=True, asked_by="ada", request="/evaluate", asked_at="2026-03-01T13:00:00Z"
)
FORK = PullRequest(7, HEAD, "main", "feature", pushed_at="2026-03-01T12:59:59Z", fork=True)
OWN = replace(FORK, fork=False)


def test_a_maintainer_gets_the_head_that_is_there_now() -> None:
    assert ask(COMMENT, True, FORK) == Allowed(HEAD, "ada")


@pytest.mark.parametrize(("may", "said"), [(False, "ada may not write"), (None, "whether ada may write")])
def test_who_may_not_write_or_is_not_known_gets_nothing(may: bool | None, said: str) -> None:
    answer = ask(COMMENT, may, FORK)
    assert isinstance(answer, Refused)
    assert said in answer.reason


@pytest.mark.parametrize("pushed", ["2026-03-01T13:00:01Z", "2026-03-01T13:00:00Z", "2026-03-02T00:00:00+02:00", None, "yesterday"])
def test_a_push_to_the_fork_after_the_comment_is_not_what_was_looked_at(pushed: str | None) -> None:
    """The same second, a time that cannot be read or none: it cannot be told, so no."""
    answer = ask(COMMENT, True, replace(FORK, pushed_at=pushed))
    assert isinstance(answer, Refused)
    assert answer.reason.endswith(f"/evaluate {HEAD}")


def test_a_push_in_another_time_zone_before_the_comment_is_before_it() -> None:
    assert ask(COMMENT, True, replace(FORK, pushed_at="2026-03-01T14:30:00+02:00")) == Allowed(HEAD, "ada")


def test_a_branch_of_our_own_needs_no_such_care() -> None:
    assert ask(COMMENT, True, replace(OWN, pushed_at="2026-03-01T13:30:00Z")) == Allowed(HEAD, "ada")


@pytest.mark.parametrize("sha", [HEAD[:7], HEAD[:12], HEAD[:15].upper()])
def test_a_few_digits_name_the_commit_that_was_looked_at_only_if_nothing_was_pushed_since(sha: str) -> None:
    """Whoever wrote the fork can make another commit whose id begins so, and push it when the comment is there."""
    asked = replace(COMMENT, request=f"/evaluate {sha}")
    assert ask(asked, True, FORK) == Allowed(HEAD, "ada")
    answer = ask(asked, True, replace(FORK, pushed_at="2026-03-01T13:00:05Z"))
    assert isinstance(answer, Refused)
    assert answer.reason.endswith(f"/evaluate {HEAD}")


@pytest.mark.parametrize("sha", [HEAD, HEAD[:16], HEAD.upper()])
def test_a_named_commit_is_pinned_whatever_was_pushed_elsewhere_in_the_fork(sha: str) -> None:
    late = replace(FORK, pushed_at="2026-03-01T13:30:00Z")
    assert ask(replace(COMMENT, request=f"/evaluate {sha}"), True, late) == Allowed(HEAD, "ada")


def test_a_named_commit_that_is_the_head_no_more_is_refused() -> None:
    answer = ask(replace(COMMENT, request=f"/evaluate {OLD[:10]}"), True, FORK)
    assert isinstance(answer, Refused)
    assert HEAD[:12] in answer.reason
    assert OLD[:10] in answer.reason


@pytest.mark.parametrize("words", ["a1b2c3", "main", "HEAD", f"{HEAD} now", f"{HEAD}0", f"{HEAD}{HEAD}", "--help", "$(id)"])
def test_what_is_no_commit_is_refused(words: str) -> None:
    assert isinstance(ask(replace(COMMENT, request=f"/evaluate {words}"), True, FORK), Refused)


@pytest.mark.parametrize("text", ["", "please /evaluate", "/evaluated", "/evaluate-all", "/Evaluate", "looks good", None])
def test_other_comments_ask_for_nothing(text: str | None) -> None:
    assert isinstance(ask(replace(COMMENT, request=text), True, FORK), NotAsked)


def test_a_closed_or_unreadable_pull_request_gets_nothing() -> None:
    assert isinstance(ask(COMMENT, True, replace(FORK, open=False)), Refused)
    assert isinstance(ask(COMMENT, True, None), Refused)
    assert isinstance(ask(replace(COMMENT, asked_by=None), True, FORK), Refused)


LABELLED = replace(COMMENT, event="pull_request", head=HEAD, request="evaluate")


def test_the_label_pins_the_head_that_it_was_set_on() -> None:
    assert ask(LABELLED, True, FORK) == Allowed(HEAD, "ada")
    assert isinstance(ask(LABELLED, True, replace(FORK, head=OLD)), Refused)
    assert isinstance(ask(replace(LABELLED, head=None), True, FORK), Refused)


@pytest.mark.parametrize("label", ["bug", "Evaluate", "/evaluate", None])
def test_other_labels_ask_for_nothing(label: str | None) -> None:
    assert isinstance(ask(replace(LABELLED, request=label), True, FORK), NotAsked)


def test_a_strangers_pull_request_with_a_token_that_may_write_runs_only_when_asked() -> None:
    """`pull_request_target` without a label: nothing would stop the fork's code from running with rights."""
    target = Context(provider="github", event="pull_request", head=HEAD, pull_request=7, fork=True)
    assert wanted(target)
    assert isinstance(ask(target, True, FORK), NotAsked)
    assert wanted(replace(target, fork=False, dependabot=True))
    assert not wanted(replace(target, read_only_token=True))  # the ordinary event of a fork
    assert not wanted(replace(target, fork=False))
    assert not wanted(Context(provider="github", event="push"))


@given(st.text(max_size=60), st.booleans() | st.none(), st.sampled_from([FORK, OWN, None]))
def test_only_a_writer_is_ever_allowed_and_only_the_head(text: str, may: bool | None, pull: PullRequest | None) -> None:
    answer = ask(replace(COMMENT, request=text), may, pull)
    if isinstance(answer, Allowed):
        assert may is True
        assert pull is not None
        assert answer.head == pull.head
        assert (named(replace(COMMENT, request=text)) or "") in pull.head
