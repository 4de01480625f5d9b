"""The outbox killed at any change it makes to the disk: always a whole version of each record, the old or the new."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.history.outbox import Outbox
from tests.unit.history.repositories import record

OLD, NEW = {"a.txt": b"old", "run.json": b"1"}, {"b/c.txt": b"new", "run.json": b"2"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it happens, except what the kernel does."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> bool:
    """Run `action`, stopping dead at its step-th renaming or removal; whether it was."""
    count = 0
    real = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "rmdir")}

    def counted(name: str) -> Callable[..., object]:
        def change(*args: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count >= step:  # a dead process does nothing further, also not while it unwinds
                raise Killed
            return real[name](*args, **more)

        return change

    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(os, name, counted(name))
        patch.setattr(Path, "rename", lambda self, target: counted_rename(self, target))
        counted_rename = counted("rename")
        try:
            action()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("had_old", [False, True])
def test_put_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_old: bool) -> None:
    seen = set()
    for step in range(1, 60):
        box = Outbox(tmp_path / str(step))
        if had_old:
            box.put(record(1).id, OLD, "s")
        dead = killed_at(step, monkeypatch, lambda box=box: box.put(record(1).id, NEW, "s"))  # type: ignore[misc]
        found = [dict(w.files) for w in box.load()]
        assert found in ([[OLD], [NEW]] if had_old else [[], [NEW]])
        assert {p.name for p in box.path.iterdir()} <= {".lock", record(1).id}
        seen.add(str(found))
        if not dead:
            assert found == [NEW]
            break
    else:
        pytest.fail("it never came to an end")
    assert len(seen) == 2


def test_done_killed_anywhere_keeps_the_record_or_has_removed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 60):
        box = Outbox(tmp_path / str(step))
        box.put(record(1).id, OLD, "s")
        box.put(record(2).id, NEW, "s")
        sent = [w for w in box.load() if w.id == record(1).id]
        dead = killed_at(step, monkeypatch, lambda box=box, sent=sent: box.done(sent))  # type: ignore[misc]
        left = {w.id: dict(w.files) for w in box.load()}
        assert left in ({record(1).id: OLD, record(2).id: NEW}, {record(2).id: NEW})
        if not dead:
            assert left == {record(2).id: NEW}
            return
    pytest.fail("it never came to an end")


def test_a_version_that_came_meanwhile_is_not_removed_with_the_one_that_was_sent(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(record(1).id, OLD, "s")
    sent = box.load()
    box.put(record(1).id, NEW, "s")
    box.done(sent)
    assert [dict(w.files) for w in box.load()] == [NEW]


def test_an_outbox_that_never_was_is_empty(tmp_path: Path) -> None:
    assert Outbox(tmp_path / "none").load() == []
    assert not (tmp_path / "none").exists()
