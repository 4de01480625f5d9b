"""Many writers on one history, and writers killed at every step: no record is lost, none is there twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import ENV, bare_remote, bundle, clone, draw, git, history, record

ROOT = Path(__file__).parents[2]

# A process of its own that records runs FIRST … FIRST+COUNT-1 from a clone, as a CI job does.
WRITER = """
import random, sys
from pathlib import Path
from mlops_toolkit.ci import Context
from mlops_toolkit.history.branch import open_history
from mlops_toolkit.system.clock import SystemClock
from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import ENV, bundle
import os
work, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
env = {**ENV, **{k: v for k, v in os.environ.items() if k in ("PATH", "KILL_AT", "KILL_COUNT", "REAL_GIT")}}
history = open_history(work / ".mlops", "mlops-history", git=Git(work, env), context=Context("github", "push"), token=None, clock=SystemClock(), rng=random.Random(first))
for number in range(first, first + count):
    history.salt()
    done = history.record(bundle(number, {"measures.json": b"%d" % number}), remote=True)
    print(done.pushed, done.reason or "")
"""

# A git that kills whoever called it, instead of doing what was asked, when it is called for the KILL_AT-th time.
KILLER = """#!/bin/sh
n=$(($(cat "$KILL_COUNT" 2>/dev/null || echo 0) + 1))
echo $n > "$KILL_COUNT"
if [ "$n" = "$KILL_AT" ]; then kill -9 $PPID; exit 1; fi
exec "$REAL_GIT" "$@"
"""


def writer(work: Path, first: int, count: int, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a writer."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(work), str(first), str(count)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recorded(remote: Path) -> list[str]:
    """Run ids in the branch's index, in its order."""
    return [json.loads(line)["i"] for line in git(remote, "show", "mlops-history:index.jsonl").splitlines()]


def assert_whole(remote: Path, numbers: range | list[int]) -> None:
    """Each of these runs is there once, with its line and its files, and git finds nothing wrong."""
    wanted = [record(number).id for number in numbers]
    assert recorded(remote) == sorted(wanted)
    paths = set(git(remote, "ls-tree", "-r", "--name-only", "mlops-history").splitlines())
    for run in wanted:
        assert f"runs/{run[:4]}-{run[4:6]}/{run}/run.json" in paths
        assert f"runs/{run[:4]}-{run[4:6]}/{run}/measures.json" in paths
    git(remote, "fsck", "--strict", "--no-dangling")


def test_twenty_writers_at_once_lose_and_double_nothing_from_the_very_first_commit_on(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    for number in range(20):
        clone(remote, tmp_path / f"work-{number}")
    writers = [writer(tmp_path / f"work-{number}", number, 1) for number in range(20)]
    for process in writers:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out.split()) == (0, ["True"]), err
    assert_whole(remote, range(20))
    salt = git(remote, "show", "mlops-history:salt")
    assert len(set(git(remote, "log", "--format=%H", "mlops-history", "--", "salt").splitlines())) == 1
    assert {
        (tmp_path / f"work-{n}" / ".mlops" / "outbox").is_dir() and not list((tmp_path / f"work-{n}" / ".mlops" / "outbox").glob("2*"))
        for n in range(20)
    } == {True}
    assert len(salt) == 32


def test_two_jobs_in_one_folder_take_turns(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    clone(remote, tmp_path / "work")
    writers = [writer(tmp_path / "work", first, 2) for first in (0, 10, 20)]
    for process in writers:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out.split()) == (0, ["True", "True"]), err
    assert_whole(remote, [0, 1, 10, 11, 20, 21])


def test_a_writer_killed_at_any_git_call_leaves_a_whole_history_and_the_next_one_completes_it(tmp_path: Path) -> None:
    """For every n, a writer is killed at its n-th git call: what it had put into its folder is recorded by the next writer there, once."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(KILLER)
    (tmp_path / "bin" / "git").chmod(0o755)
    real = shutil.which("git")
    assert real is not None
    template = tmp_path / "template"
    draw(bare_remote(template / "origin.git"), "main:")
    clone(template / "origin.git", template / "work")
    history(clone(template / "origin.git", template / "other")).record(bundle(1, {"measures.json": b"1"}), remote=True)
    git(template / "work", "remote", "set-url", "origin", "../origin.git")
    lost = 0
    for n in range(1, 100):
        folder = tmp_path / str(n)
        shutil.copytree(template, folder)
        env = {"PATH": f"{tmp_path / 'bin'}:{ENV['PATH']}", "KILL_AT": str(n), "KILL_COUNT": str(folder / "count"), "REAL_GIT": real}
        process = writer(folder / "work", 2, 1, env)
        process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kept = (folder / "work" / ".mlops" / "runs" / record(2).id / "run.json").is_file()
        lost += not kept
        assert history(Git(folder / "work", ENV)).record(bundle(3, {"measures.json": b"3"}), remote=True).pushed
        assert_whole(folder / "origin.git", [1, 2, 3] if kept else [1, 3])
        assert [p.name for p in (folder / "work" / ".mlops" / "outbox").iterdir()] == [".lock"]
        shutil.rmtree(folder)
    assert n - 1 - lost > 8  # it was killed that often while it recorded, and not only while it read the salt
