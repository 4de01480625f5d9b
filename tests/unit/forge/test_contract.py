"""What every forge promises, over the whole table."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import UsageError
from mlops_toolkit.forge.base import FORGES, Annotation, Forge, Posted, connect
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.system.clock import FixedClock
from tests.unit.forge.conftest import NOW, context, section
from tests.world.github import FakeGitHub

Open = Callable[[], Forge]
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


@pytest.mark.parametrize("name", ["github", "memory"])
def test_on_a_real_board_sections_of_several_models_share_one_comment(name: str, fake: FakeGitHub) -> None:
    forge = connect(context=context(fake), env={}, token="ghs_job", clock=FixedClock(NOW), err=io.StringIO(), name=name)
    for model in ("a", "b", "a"):
        assert forge.comment(7, section(model, f"✅ {model}")).reason is None
    bodies = fake.bodies(7) if name == "github" else [note.body for note in forge.comments[7]]  # type: ignore[attr-defined]
    assert len(bodies) == 1
    assert bodies[0].count("<!-- mlops-actions:1 section") == 2


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
