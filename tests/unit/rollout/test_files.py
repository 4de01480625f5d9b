"""Files of a rollout: whole or not at all, and on a disk that is full over what stands there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import files


def full(monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOSPC) -> None:
    """No file gets a new block from now on."""

    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refused)


def test_what_is_put_is_there_and_nothing_else(tmp_path: Path) -> None:
    files.put(tmp_path / "a", "one", 0o600)
    files.put(tmp_path / "a", "two", 0o600)
    assert files.get(tmp_path / "a") == "two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    assert files.get(tmp_path / "b") == ""


def test_over_what_stands_there_it_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("0123456789")
    assert files.over(path, "new")
    assert path.read_text() == "new" + 7 * "\n"
    assert not files.over(path, "x" * 100_000)
    assert path.read_text() == "new" + 7 * "\n"
    assert not files.over(tmp_path / "none", "new")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_a_name_and_leaves_what_was_there(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    full(monkeypatch, code)
    with pytest.raises(EnvironmentFailure) as caught:
        files.put(path, "x" * 100_000)
    assert caught.value.name == "disk-full"
    assert (path.read_text(), [one.name for one in tmp_path.iterdir()]) == ("old", ["a"])


def test_what_the_system_refuses_otherwise_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, errno.EROFS)
    with pytest.raises(EnvironmentFailure, match="Read-only"):
        files.put(tmp_path / "a", "x")
