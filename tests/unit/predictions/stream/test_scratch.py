"""The temporary folder is gone at the end, however that comes; what a killed process left is removed by the next one; a full disk is said."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.predictions.stream import scratch
from mlops_toolkit.predictions.stream.spool import Spool

CHILD = """
import sys, time
from mlops_toolkit.predictions.stream import scratch
print(scratch.folder(), flush=True)
if sys.argv[1] == "wait": time.sleep(60)
"""


def child(folder: Path, how: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", CHILD, how], env=env, stdout=subprocess.PIPE, text=True)


def started(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def test_a_process_leaves_nothing_and_removes_what_a_killed_one_left_but_not_what_is_in_use(tmp_path: Path) -> None:
    with child(tmp_path, "wait") as killed, child(tmp_path, "wait") as living:
        left, used = started(killed), started(living)
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        assert left.is_dir()
        with child(tmp_path, "end") as next_one:
            own = started(next_one)
            next_one.wait(10)
        assert not own.exists()
        assert not left.exists()
        assert used.is_dir()
        living.kill()


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(EnvironmentFailure, match="the disk is full") as caught:
        spool.append({"score": np.zeros(3)})
    assert (caught.value.name, caught.value.code) == ("no-room", 4)
    assert "TMPDIR" in str(caught.value)


def test_a_spool_gives_back_what_it_was_given_in_as_few_bytes_as_hold_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    blocks = [{"a": np.arange(5), "b": np.linspace(0, 1, 5)}, {"a": np.array([70_000, 1]), "b": np.array([np.inf, -0.0])}]
    for block in blocks:
        spool.append(block)
    assert spool.rows == 7
    for found, block in zip(spool, blocks, strict=True):
        assert all(np.array_equal(found[name], block[name]) for name in block)
    assert spool.block(0)["a"].dtype == np.uint8
    assert spool.block(0, frozenset({"b"})).keys() == {"b"}
    spool.close()
    assert not tmp_path.exists()
    scratch.clear()


MANY = """
from mlops_toolkit.predictions.stream import scratch
for _ in range(150):
    (scratch.folder() / "held").write_text("x")
    scratch.clear()
"""


def test_one_that_is_being_made_is_not_swept_by_others(tmp_path: Path) -> None:
    """Between the making of a folder and its lock another process may take it for one that was left: a new one is made then."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    several = [subprocess.Popen([sys.executable, "-c", MANY], env=env) for _ in range(5)]
    assert [one.wait(120) for one in several] == [0] * 5
    assert not list(tmp_path.iterdir())
