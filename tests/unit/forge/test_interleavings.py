"""Whatever the order in which jobs read and write, and wherever one is killed, one text with every section is what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted
from mlops_toolkit.forge.board import post
from tests.unit.forge.conftest import section
from tests.unit.forge.simulate import Actor, OnStage, Stage, Wall

JOBS = st.integers(2, 5)
LENGTHS = st.lists(st.floats(0.01, 1), min_size=3, max_size=12)
STARTS = st.floats(0, 0.6)


def verdicts(bodies: Sequence[str]) -> dict[str, str]:
    return {part.digest: part.verdict for body in bodies for part in sticky.parse(body)}


def standing(*sections: Any) -> str:
    body = ""
    for each in sections:
        body = sticky.merge([body] if body else [], each)
    return body


def played(
    wall: Wall, jobs: Sequence[tuple[Any, dict[str, bool]]], data: st.DataObject, *, kill: bool
) -> tuple[dict[int, Posted], list[int]]:
    """Every job's answer, of those that lived, and who was killed."""
    answers: dict[int, Posted] = {}

    def job(number: int, what: tuple[Any, dict[str, bool]], lengths: list[float]) -> Callable[[Actor], None]:
        def act(actor: Actor) -> None:
            actor.lengths = lengths
            answers[number] = post(OnStage(wall, actor), what[0], where=None, clock=actor, **what[1])

        return act

    dies = [data.draw(st.none() | st.integers(1, 16)) if kill else None for _ in jobs]
    acts = [job(number, what, data.draw(LENGTHS)) for number, what in enumerate(jobs)]
    Stage().run(acts, [data.draw(STARTS) for _ in jobs], dies)
    return answers, [number for number in range(len(jobs)) if number not in answers]


def settled(wall: Wall) -> None:
    """One more writer, when all is quiet: the next run."""
    Stage().run([lambda actor: _post_quietly(wall, actor)], [0.0], [None])


def _post_quietly(wall: Wall, actor: Actor) -> None:
    post(OnStage(wall, actor), section("quiet", "✅ quiet"), where=None, clock=actor)


@settings(deadline=None, max_examples=150)
@given(JOBS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_jobs_that_write_at_once_leave_one_comment_with_every_section(
    jobs: int, there: bool, renew: bool, kill: bool, data: st.DataObject
) -> None:
    others = [section("other", "➖ other")]
    before = [section(f"m{n}", f"✅ m{n}", run=1) for n in range(jobs)] if there else []
    wall = Wall(notes={5: standing(*others, *before), 6: standing(section("second", "✅ second"))} if there else {})
    answers, killed = played(wall, [(section(f"m{n}", f"❌ m{n}"), {"renew": renew}) for n in range(jobs)], data, kill=kill)
    assert [a.reason for a in answers.values()] == [None] * len(answers)
    if not killed:
        assert len(wall.ours()) == 1
    settled(wall)
    (body,) = wall.ours()
    found = verdicts([body])
    for n in range(jobs):
        mine = found.get(sticky.digest(f"m{n}"))
        assert mine == f"❌ m{n}" if n in answers else mine in ((f"✅ m{n}", f"❌ m{n}") if there else (None, f"❌ m{n}"))
    if there:
        assert {found[sticky.digest("other")], found[sticky.digest("second")]} == {"➖ other", "✅ second"}


@settings(deadline=None, max_examples=150)
@given(JOBS, st.booleans(), st.booleans(), st.data())
def test_models_that_fail_and_pass_at_once_leave_one_open_issue_with_what_fails(
    jobs: int, there: bool, kill: bool, data: st.DataObject
) -> None:
    passes = [data.draw(st.booleans()) for _ in range(jobs)]
    before = [section(f"m{n}", f"❌ m{n}: yesterday", run=1) for n in range(jobs)]
    wall = Wall(ends=True, notes={5: standing(*before)} if there else {})
    told = [(section(f"m{n}", f"{'✅' if good else '❌'} m{n}: today"), {"passed": good}) for n, good in enumerate(passes)]
    answers, killed = played(wall, told, data, kill=kill)
    assert [a.reason for a in answers.values()] == [None] * len(answers)
    found = verdicts(wall.ours())
    for n in answers:
        assert found.get(sticky.digest(f"m{n}")) == (None if passes[n] else f"❌ m{n}: today")
    if not killed:
        assert len(wall.ours()) == (0 if all(passes) else 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 12), LENGTHS)
def test_a_renewing_writer_killed_anywhere_leaves_the_old_verdict_or_the_new_one_and_the_next_run_makes_it_one(
    step: int, lengths: list[float]
) -> None:
    wall = Wall(notes={5: standing(section("m", "✅ m", run=1), section("other", "✅ other", run=1))})

    def job(actor: Actor) -> None:
        actor.lengths = lengths
        post(OnStage(wall, actor), section("m", "❌ m", run=2), where=None, clock=actor, renew=True)

    Stage().run([job], [0.0], [step])
    assert verdicts(wall.ours())[sticky.digest("other")] == "✅ other"
    new = any("❌ m" in body for body in wall.ours())
    settled(wall)
    (body,) = wall.ours()
    assert verdicts([body])[sticky.digest("m")] == ("❌ m" if new else "✅ m")
    assert sorted(wall.notes)[0] == (1001 if new else 5), "the comment that sent the mail is the one that stays"
