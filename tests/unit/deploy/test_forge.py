"""Which pull requests hear of a release: those that came with it, in real git, as the forge or the history knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.deploy import forge
from mlops_toolkit.deploy.recorded import Change
from mlops_toolkit.forge.board import Refused
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.history.base import Entry
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import bare_remote, clone, draw, git, history

GRAPH = "A:\nB: A\nC: B\nD: C\nX: A\n"  # X: a line of its own, as a hotfix
NOW = "2026-11-24T10:00:00Z"


@dataclass
class Line:
    """A repository with releases on its commits, and who is told."""

    git: Git
    commits: Mapping[str, str]
    memory: Memory
    entries: Sequence[Entry] = field(default_factory=list)

    @property
    def world(self) -> Any:
        context = Context(provider="github", event="tag", run="7", server_url="https://github.com", repository="acme/spam")
        return SimpleNamespace(git=self.git, forge=self.memory, context=context)

    @property
    def history(self) -> Any:
        here = history(self.git, context=Context())
        return SimpleNamespace(ancestry=here.ancestry, entries=lambda: self.entries)

    def release(self, name: str, pull_request: int | None = None) -> Release:
        return Release(name * 12, f"host/spam@sha256:{name * 64}", f"v-{name}", commit=self.commits[name], pull_request=pull_request)

    def contained(self, name: str, before: str | None, **more: Any) -> tuple[int, ...]:
        return forge.contained(self.release(name, **more), self.release(before) if before else None, self.history, self.world)


@pytest.fixture(params=[(), ("--depth=1",)], ids=["whole", "shallow"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Line:
    """A clone as a CI has it: all of it, or its newest commit alone."""
    remote = bare_remote(tmp_path / "origin.git")
    made = draw(remote, GRAPH)
    git(remote, "update-ref", "refs/heads/main", made["D"])
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    memory = Memory(merges={made[name]: numbers for name, numbers in {"A": (1,), "B": (2,), "C": (3, 30), "D": (4,), "X": (9,)}.items()})
    return Line(clone(remote, tmp_path / "work", *request.param), made, memory)


def test_all_that_came_since_the_release_before_it(line: Line) -> None:
    assert line.contained("D", "A") == (4, 3, 30, 2)
    assert line.contained("D", "C") == (4,)
    assert line.contained("D", "B", pull_request=4) == (4, 3, 30), "its own is told once"


def test_of_a_first_release_or_one_on_another_line_its_own_alone(line: Line) -> None:
    assert line.contained("D", None, pull_request=4) == (4,)
    assert line.contained("D", None) == ()
    assert line.contained("D", "X", pull_request=4) == (4,)


def test_where_the_forge_knows_none_the_history_s_runs_of_the_same_files_do(line: Line, tmp_path: Path) -> None:
    """A squash merge has the pull request's tree; a fork's run speaks for nobody."""
    whole = clone(tmp_path / "origin.git", tmp_path / "whole")
    trees = {name: found.tree for name in "BCD" if (found := whole.commit(line.commits[name]))}
    line.memory.merges = {}
    made = {"key": "k", "commit": "0" * 40, "status": "succeeded", "started": NOW}
    line.entries = [
        Entry(id="1", tree=trees["D"], pull_request=14, **made),
        Entry(id="2", tree=trees["C"], pull_request=13, fork=True, **made),
        Entry(id="3", tree=trees["B"], pull_request=None, **made),
    ]
    assert line.contained("D", "A") == (14,)


def told(line: Line, made: tuple[Change, ...], before: Release | None) -> list[tuple[str, str | None]]:
    where = SimpleNamespace(
        model="spam",
        environment="production",
        name="spam",
        options=SimpleNamespace(url="https://spam.example.com"),
        loaded=SimpleNamespace(where="mlops.yaml"),
    )
    return list(forge.comments(where, made, before, line.history, NOW, line.world))  # type: ignore[arg-type]


def test_each_is_told_once_and_a_rollback_writes_over_it(line: Line) -> None:
    new, old = line.release("D"), line.release("B")
    assert told(line, (Change(new, True), Change(old, False)), old) == []
    assert {number: len(notes) for number, notes in line.memory.comments.items()} == {4: 1, 3: 1, 30: 1}
    assert all("live in production since 24 Nov 2026" in notes[0].body for notes in line.memory.comments.values())
    assert told(line, (Change(old, True), Change(new, False, "4 % failed")), new) == []
    bodies = {number: notes[0].body for number, notes in line.memory.comments.items() if number in (4, 3, 30)}
    assert all("taken back from production on 24 Nov 2026" in body and "4 % failed" in body for body in bodies.values())
    assert all("live in production since" not in body for body in bodies.values())


def test_one_refusal_of_many_is_said_once(line: Line) -> None:
    line.memory.refuse = Refused("the token may not do this")
    made = told(line, (Change(line.release("D"), True),), line.release("A"))
    assert len(made) == 1
    assert "the token may not do this" in made[0][0]
