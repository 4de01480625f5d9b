"""Which files a command opens is what the kernel says; where it does not say, nothing is known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlops_toolkit.system import opened as module
from mlops_toolkit.system.opened import watching


def test_files_that_are_opened_are_seen_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("read", "left", "inner/linked", "inner/mapped"):
        (tmp_path / name).write_text("x" * 5000)
    (tmp_path / "link").symlink_to("inner/linked")
    with watching([tmp_path, tmp_path / "inner", tmp_path / "absent"]) as opened:
        assert opened.look() == frozenset()
        subprocess.run(["cat", tmp_path / "read", tmp_path / "link"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ls", "-l", tmp_path, tmp_path / "inner"], check=True, stdout=subprocess.DEVNULL)
        os.stat(tmp_path / "left")  # noqa: PTH116
        assert opened.look() == {tmp_path / "read", tmp_path / "inner/linked"}
        assert opened.look() == {tmp_path / "read", tmp_path / "inner/linked"}


def test_more_than_the_kernel_can_tell_is_not_known(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"this kernel queues {limit:,} events")
    for name in ("a", "b"):
        (tmp_path / name).touch()
    with watching([tmp_path]) as opened:
        for i in range(limit + 10):
            os.close(os.open(tmp_path / "ab"[i % 2], os.O_RDONLY))
        assert opened.look() is None


def test_without_a_kernel_that_tells_and_with_too_many_folders_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(module, "MOST_FOLDERS", 1)
    with watching([tmp_path, tmp_path / "a"]) as opened:
        assert opened.look() is None
    monkeypatch.setattr(module, "_libc", lambda: None)
    with watching([tmp_path]) as opened:
        assert opened.look() is None
