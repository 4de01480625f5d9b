"""Files that are whole or untouched, and never a person's change lost: at every instant at which writing may end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.monitor import written

OLD = {"a.yml": "a: 1\n", "rules/b.yml": "b: 1\n", "gone.yml": "gone\n"}
NEW = {"a.yml": "a: 2\n", "rules/b.yml": "b: 2\n", "c/d.json": "{}\n"}


def there(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {path: text for path, text in found.items() if path != written.KNOWN}


def test_what_is_new_is_written_what_is_gone_is_removed_and_what_stands_is_left(tmp_path: Path) -> None:
    assert written.put(tmp_path / "m", OLD).write == tuple(OLD)
    assert written.put(tmp_path / "m", OLD) == written.Plan((), tuple(OLD), (), (), ())
    inode = (tmp_path / "m/a.yml").stat().st_ino
    done = written.put(tmp_path / "m", {**NEW, "a.yml": OLD["a.yml"]})
    assert (done.write, done.same, done.removed) == (("rules/b.yml", "c/d.json"), ("a.yml",), ("gone.yml",))
    assert (tmp_path / "m/a.yml").stat().st_ino == inode


@pytest.mark.parametrize("path", ["a.yml", "rules/b.yml"])
def test_what_a_person_changed_is_named_and_nothing_is_written(tmp_path: Path, path: str) -> None:
    written.put(tmp_path, OLD)
    (tmp_path / path).write_text("mine\n")
    before = there(tmp_path)
    with pytest.raises(UsageError, match=path) as raised:
        written.put(tmp_path, NEW)
    assert raised.value.name == "changed-by-hand"
    assert there(tmp_path) == before
    written.put(tmp_path, NEW, force=True)
    assert there(tmp_path) == NEW


def test_a_persons_file_that_was_there_first_is_theirs_too(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("mine\n")
    with pytest.raises(UsageError):
        written.put(tmp_path, NEW)
    assert there(tmp_path) == {"a.yml": "mine\n"}


def test_what_a_person_wrote_as_it_would_be_written_is_no_change(tmp_path: Path) -> None:
    written.put(tmp_path, OLD)
    for path, text in NEW.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert written.put(tmp_path, NEW).write == ()


def test_a_changed_file_that_is_not_needed_any_more_stays(tmp_path: Path) -> None:
    written.put(tmp_path, OLD)
    (tmp_path / "gone.yml").write_text("mine\n")
    assert written.put(tmp_path, NEW).left == ("gone.yml",)
    assert there(tmp_path) == {**NEW, "gone.yml": "mine\n"}
    assert written.put(tmp_path, NEW).left == ()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_is_not_written_through(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    folder = tmp_path / "m"
    folder.mkdir()
    if kind == "link":
        (folder / "a.yml").symlink_to(outside)
    else:
        (folder / "a.yml").mkdir()
    with pytest.raises(UsageError, match=r"a\.yml"):
        written.put(folder, NEW)
    assert outside.read_text() == "theirs"


@pytest.mark.parametrize("listed", ["../outside", "/etc/hosts", "a/../../outside", "", written.KNOWN])
def test_a_list_that_names_files_elsewhere_removes_none(tmp_path: Path, listed: str) -> None:
    (tmp_path / "outside").write_text("x")
    folder = tmp_path / "m"
    written.put(folder, OLD)
    (folder / written.KNOWN).write_text(f'{{"files": {{"{listed}": ["{written.digest("x")}"]}}}}')
    assert written.put(folder, OLD).removed == ()
    assert (tmp_path / "outside").read_text() == "x"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}', '{"files": {"a.yml": "x"}}', '{"files": {"a.yml": [1]}}', "\x00"])
def test_a_list_that_cannot_be_read_makes_every_file_a_persons(tmp_path: Path, text: str) -> None:
    written.put(tmp_path, OLD)
    (tmp_path / written.KNOWN).write_text(text)
    with pytest.raises(UsageError):
        written.put(tmp_path, NEW)
    assert there(tmp_path) == OLD


def killed(monkeypatch: pytest.MonkeyPatch, *, at: int) -> Iterator[int]:
    """Every change of the file system is counted; the one numbered `at` and all after it do not come to pass."""
    count = 0

    def counted(real: object) -> object:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count > at:
                raise KeyboardInterrupt
            return real(*args, **kwargs)  # type: ignore[operator]

        return call

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    yield count


def test_killed_at_any_instant_the_next_run_goes_on_without_a_question(tmp_path: Path) -> None:
    ended = 0
    for at in range(40):
        folder = tmp_path / str(at)
        written.put(folder, OLD)
        with pytest.MonkeyPatch.context() as patch:
            next(killed(patch, at=at))
            try:
                written.put(folder, NEW)
                ended += 1
            except KeyboardInterrupt:
                pass
        found = {path: text for path, text in there(folder).items() if not path.endswith(".tmp")}
        assert all(text in (OLD.get(path), NEW.get(path)) for path, text in found.items())
        written.put(folder, NEW)
        assert {path: text for path, text in there(folder).items() if not path.endswith(".tmp")} == NEW
    assert 0 < ended < 40


def test_where_there_is_no_room_all_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.put(tmp_path, OLD)
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFailure, match="No space left") as raised:
        written.put(tmp_path, NEW)
    assert raised.value.name == "not-written"
    assert there(tmp_path) == OLD
