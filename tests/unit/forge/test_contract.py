"""What every forge promises, over the whole table."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import UsageError
from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import FORGES, Alarmed, Annotation, BranchRules, Check, Forge, Posted, Release, connect
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.system.clock import FixedClock
from tests.unit.forge.conftest import JOB_TOKEN, NOW, context, section
from tests.world.github import FakeGitHub

HOSTILE = "a|b\n::error::x\n<!-- --> @team ```\r\n${{ secrets.X }} \x1b[0m 🦄"


@pytest.fixture(params=sorted(FORGES))
def forge(request: pytest.FixtureRequest, fake: FakeGitHub) -> Forge:
    return connect(context=context(fake), env={}, token="ghs_job", clock=FixedClock(NOW), err=io.StringIO(), name=request.param)


def test_a_comment_is_posted_once_and_then_left_alone(forge: Forge) -> None:
    first, second = forge.comment(7, section()), forge.comment(7, section())
    assert first == second
    assert isinstance(first, Posted)


def test_no_text_makes_it_raise(forge: Forge) -> None:
    assert isinstance(forge.comment(7, section(HOSTILE, HOSTILE, HOSTILE)), Posted)
    assert isinstance(forge.status("a" * 40, HOSTILE, "failure", HOSTILE * 100, None), Posted)
    forge.annotate((Annotation("error", HOSTILE, title=HOSTILE, file=HOSTILE, line=3),))
    assert isinstance(forge.summary(HOSTILE), Posted)
    forge.output({"verdict": HOSTILE})

    assert isinstance(forge.issue(section(HOSTILE, HOSTILE, HOSTILE), failing=True), Posted)
    assert isinstance(forge.alarm(section(HOSTILE, HOSTILE, HOSTILE), firing=True, start="model.yml"), Alarmed)
    assert isinstance(forge.comment(7, section(HOSTILE, HOSTILE, HOSTILE, run=813), renew=True), Posted)
    assert isinstance(forge.release(Release("v1", HOSTILE, HOSTILE)), Posted)
    assert isinstance(forge.rules(HOSTILE), BranchRules)
    assert forge.may_write(HOSTILE) in (None, False)
    assert forge.find_pull_request("a" * 40, branch=HOSTILE, owner=HOSTILE) is None
    assert forge.lacks((HOSTILE,)) in (None, ())


def test_a_pull_request_that_is_not_there_is_none(forge: Forge) -> None:
    assert forge.pull_request(404) is None
    assert forge.find_pull_request("b" * 40, branch="feature", owner="acme") is None


def test_a_good_run_with_no_issue_open_has_nothing_to_say(forge: Forge) -> None:
    assert forge.issue(section(), failing=False).reason is None


def test_what_it_says_of_checks_is_what_was_set(forge: Forge) -> None:
    forge.status("c" * 40, "spam", "pending", "training", None)
    forge.status("c" * 40, "spam", "success", "fine", "https://ci.example/1")
    found = forge.checks("c" * 40)
    assert found in (None, (Check("spam", "success", "fine", "https://ci.example/1"),))
    assert (found is None) == (type(forge).__name__ == "Console")


def test_the_token_is_in_nothing_that_is_shown(forge: Forge) -> None:
    shown = [
        repr(forge),
        repr(vars(forge).get("rest")),
        str(forge.comment(7, section())),
        str(forge.status("a" * 40, "x", "error", "", None)),
    ]
    assert not [text for text in shown if JOB_TOKEN in text]


@dataclass
class Board:
    """A forge that keeps comments, and how to read them back."""

    forge: Forge
    bodies: Callable[[], list[str]]


@pytest.fixture(params=["github", "memory"])
def board(request: pytest.FixtureRequest, fake: FakeGitHub) -> Board:
    forge = connect(context=context(fake), env={}, token=JOB_TOKEN, clock=FixedClock(NOW), err=io.StringIO(), name=request.param)
    if isinstance(forge, Memory):
        return Board(forge, lambda: [note.body for note in forge.comments[7]])
    return Board(forge, lambda: fake.bodies(7))


def test_sections_of_several_models_share_one_comment(board: Board) -> None:
    for model in ("a", "b", "a"):
        assert board.forge.comment(7, section(model, f"✅ {model}")).reason is None
    (body,) = board.bodies()
    assert {part.verdict for part in sticky.parse(body)} == {"✅ a", "✅ b"}


def test_several_sections_at_once_leave_what_others_wrote_and_what_is_newer(board: Board) -> None:
    board.forge.comment(7, section("other", "✅ other"))
    board.forge.comment(7, section("b", "❌ b, newer", run=900))
    assert board.forge.comment(7, *(section(model, f"➖ {model}") for model in ("a", "b", "c"))).reason is None
    (body,) = board.bodies()
    assert {part.verdict for part in sticky.parse(body)} == {"✅ other", "❌ b, newer", "➖ a", "➖ c"}


def test_a_worse_verdict_is_a_new_comment_where_that_is_asked_for_and_one_is_left(board: Board) -> None:
    before = board.forge.comment(7, section(verdict="✅ spam: run 1", run=1), renew=True)
    for run, mark, renewed in ((2, "❌", True), (3, "❌", False), (4, "✅", False), (5, "⚠️", True)):
        posted = board.forge.comment(7, section(verdict=f"{mark} spam: run {run}", run=run), renew=True)
        assert (posted.url != before.url) is renewed, run
        assert posted.reason is None
        (body,) = board.bodies()
        assert body.startswith(f"{mark} spam: run {run}")
        before = posted


def test_a_worse_verdict_is_edited_in_where_a_new_comment_is_not_asked_for(board: Board) -> None:
    first = board.forge.comment(7, section(verdict="✅ spam", run=1))
    assert board.forge.comment(7, section(verdict="❌ spam", run=2)).url == first.url


def test_a_new_comment_takes_the_other_models_along(board: Board) -> None:
    board.forge.comment(7, section("other", "✅ other"))
    board.forge.comment(7, section("mine", "✅ mine", run=1))
    board.forge.comment(7, section("mine", "❌ mine", run=2), renew=True)
    (body,) = board.bodies()
    assert {part.verdict for part in sticky.parse(body)} == {"✅ other", "❌ mine"}


def test_an_older_run_does_not_overwrite_a_newer_one(board: Board) -> None:
    board.forge.comment(7, section(verdict="✅ newer", run=900))
    assert board.forge.comment(7, section(verdict="❌ older", run=812)).reason == "a newer run has already reported here"
    assert board.bodies()[0].startswith("✅ newer")


def test_a_text_that_is_too_long_is_cut_where_a_block_ends(board: Board) -> None:
    blocks = tuple(f"{i} " + "x" * 20_000 for i in range(5))
    assert board.forge.comment(7, section("k", "❌ long", *blocks)).reason is None
    (part,) = sticky.parse(board.bodies()[0])
    assert (part.blocks, part.omitted) == (blocks[:3], 2)


def test_the_forge_is_github_in_its_actions_and_the_console_elsewhere(fake: FakeGitHub) -> None:
    def opened(where: Context) -> str:
        return type(connect(context=where, env={}, token="t", clock=FixedClock(NOW), err=io.StringIO())).__name__

    assert (opened(context(fake)), opened(Context()), opened(replace(context(fake), provider="gitlab"))) == ("GitHub", "Console", "Console")


def test_an_unknown_forge_is_a_usage_error_that_names_the_known_ones(fake: FakeGitHub) -> None:
    with pytest.raises(UsageError, match='there is no forge "githib"') as caught:
        connect(context=context(fake), env={}, token=None, clock=FixedClock(NOW), err=io.StringIO(), name="githib")
    assert caught.value.hint == 'did you mean "github"?'


def test_the_console_writes_annotations_as_one_plain_line_each() -> None:
    err = io.StringIO()
    forge = connect(context=Context(), env={}, token=None, clock=FixedClock(NOW), err=err)
    forge.annotate((Annotation("error", "accuracy fell\nby 3 pp", title="spam", file="mlops.yaml", line=4), Annotation("notice", "fine")))
    assert err.getvalue() == "error: mlops.yaml:4: spam: accuracy fell by 3 pp\nnotice: fine\n"


def test_what_is_refused_in_memory_is_a_reason_not_an_exception() -> None:
    from mlops_toolkit.forge.board import Refused

    forge = Memory(clock=FixedClock(NOW), refuse=Refused("no", hint="ask"))
    assert forge.comment(7, section()) == Posted(reason="no", hint="ask")
    assert forge.status("a" * 40, "x", "success", "", None) == Posted(reason="no", hint="ask")
