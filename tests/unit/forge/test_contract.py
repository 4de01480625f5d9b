"""What every forge promises, over the whole table."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import UsageError
from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import FORGES, Annotation, Forge, Posted, connect
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


def test_a_pull_request_that_is_not_there_is_none(forge: Forge) -> None:
    assert forge.pull_request(404) is None


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
