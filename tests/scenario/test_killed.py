"""Killed while something runs beside the run itself: nothing is left running, no record is half, and the next run is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scenario.test_own_metric import GATED, METRICS
from tests.scenario.test_record_killed import DYING
from tests.world.repository import CONFIG, EVALUATE, Repository, make
from tests.world.waiting import running, wait_for

KILLS = [(signal.SIGTERM, 143), (signal.SIGKILL, -9)]


def killed(repository: Repository, words: Sequence[str], begun: Path, how: signal.Signals, *, nth: int = 1, **env: str) -> int:
    """Start it, wait for the nth line in `begun`, kill it; its exit. What it had started ends with it."""
    begun.unlink(missing_ok=True)
    whole = {**repository.env, "BEGUN": str(begun), **env}
    process = subprocess.Popen([sys.executable, "-m", "mlops_toolkit", *words], cwd=repository.root, env=whole, stderr=subprocess.DEVNULL)
    wait_for(lambda: begun.exists() and len(begun.read_text().splitlines()) >= nth, 60)
    pid = int(begun.read_text().splitlines()[-1])
    os.kill(process.pid, how)
    ended = process.wait(timeout=60)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    return ended


def nothing_left(repository: Repository) -> bool:
    """No room with another commit's files or answers."""
    cache = repository.root / ".mlops" / "cache"
    rooms = [room for room in ("baseline", "own-metric", "measure") if (cache / room).exists()]
    return not rooms and not list(repository.root.glob(".mlops/runs/*/own"))


SLOW_EVALUATE = (
    EVALUATE
    + """
if "cache/baseline" in os.environ["MLOPS_RUN_DIR"] and "BEGUN" in os.environ:
    import time
    with open(os.environ["BEGUN"], "a") as begun:
        begun.write(f"{os.getpid()}\\n")
    if len(open(os.environ["BEGUN"]).read().splitlines()) == int(os.environ["HANG"]):
        time.sleep(60)
"""
)


def test_killed_while_the_release_s_model_is_evaluated_again(tmp_path: Path) -> None:
    """Of three evaluations (this run's, the baseline's model's, the release's model's) the third hangs; then the second."""
    repository = make(tmp_path, config=CONFIG + "against: [main, release]\n")
    repository.mlops("review")
    repository.mlops("history", "release", repository.record["id"], "--as", "v1")
    repository.wrong(101)
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.write(evaluate_py=SLOW_EVALUATE, params_json='{"wrong": 102}')
    repository.commit("another evaluation")
    repository.mlops("train")
    for hang, (how, code) in zip((2, 1), KILLS, strict=True):
        assert killed(repository, ["evaluate"], tmp_path / "begun", how, nth=hang, HANG=str(hang)) == code
        assert repository.record["status"] == ("interrupted" if code == 143 else "running")
        assert not running(str(repository.root / ".mlops" / "cache"))
    repository.mlops("evaluate")
    assert nothing_left(repository)
    repository.mlops("compare")
    assert {c["against"]: c["baseline"] for c in repository.report["checks"] if c["metric"] == "accuracy" and c["slice"] is None} == {
        None: 0.9495,
        "release": 0.95,
    }


SLOW_METRIC = """import os, time
if "BEGUN" in os.environ:
    with open(os.environ["BEGUN"], "a") as begun:
        begun.write(f"{os.getpid()}\\n")
    if len(open(os.environ["BEGUN"]).read().splitlines()) == int(os.environ["HANG"]):
        time.sleep(60)
"""


def test_killed_while_a_metric_of_one_s_own_is_computed(tmp_path: Path) -> None:
    """Of this run's answers, and then, in the baseline's own commit, of the baseline's."""
    repository = make(tmp_path, config=GATED.replace("inputs: [evaluate.py, metrics.py]", "inputs: [evaluate.py]"))
    repository.write(metrics_py=SLOW_METRIC + METRICS)
    repository.commit("a metric of our own")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.write(metrics_py=SLOW_METRIC + METRICS.replace("4.0", "5.0"))
    repository.wrong(90)
    repository.mlops("train")
    for hang, (how, code) in zip((1, 3), KILLS, strict=True):
        assert killed(repository, ["evaluate"], tmp_path / "begun", how, nth=hang, HANG=str(hang)) == code
        assert repository.record["status"] == ("interrupted" if code == 143 else "running")
    repository.mlops("evaluate")
    assert nothing_left(repository)
    repository.mlops("compare")
    check = next(one for one in repository.report["checks"] if one["metric"] == "expected_cost" and one["slice"] is None)
    assert (check["verdict"], check["reason"]) == ("pass", None)


@pytest.mark.parametrize("verb", ["measure", "compare"])
def test_killed_before_any_step_the_record_is_the_old_one_or_the_new(tmp_path: Path, verb: str) -> None:
    repository = make(tmp_path)
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(101)
    repository.mlops("train")
    repository.mlops("evaluate")
    words = ["compare"] if verb == "compare" else ["measure", "latency", "--rounds", "2", "--warm-up", "0", "--", "true"]
    for step in range(40):
        command = [sys.executable, "-c", DYING, str(step), *words]
        done = subprocess.run(command, cwd=repository.root, env=repository.env, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 137), done.stderr
        assert repository.record["status"] == "succeeded"
        if done.returncode == 0:
            break
    assert step > 0
    assert ("beside" in str(repository.record["measures"]["latency-ms"])) is True
    repository.mlops("compare")
    assert repository.report["error"] is None
    for path in (left := list(repository.root.rglob("*.tmp"))):
        os.utime(path, (1, 1))
    assert left, "a file that was to take another's place"
    repository.mlops("evaluate")
    assert nothing_left(repository)
    assert not list(repository.root.rglob("*.tmp"))


def test_two_jobs_at_once_on_one_store_and_one_history_both_end_right(tmp_path: Path) -> None:
    """Two checkouts of one repository on one machine, as two runners have them, with the same store and the same remote."""
    first = make(tmp_path / "one", config=CONFIG + f"models: {{store: 'file://{tmp_path / 'shared'}'}}\n")
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    first.git("remote", "add", "origin", str(remote))
    first.git("push", "-q", "origin", "main")
    first.mlops("review")
    first.mlops("history", "push")
    jobs = []
    for number in (1, 2):
        root = tmp_path / f"job-{number}"
        subprocess.run(["git", "clone", "-q", str(remote), str(root)], check=True)
        job = Repository(root, first.env)
        job.git("switch", "-q", "-c", f"change-{number}")
        job.wrong(40)  # the very same training: the same model, under the same digest
        jobs.append(job)
    script = f"{sys.executable} -m mlops_toolkit review && {sys.executable} -m mlops_toolkit history push"
    at_once = [
        subprocess.Popen(["sh", "-c", script], cwd=job.root, env=job.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for job in jobs
    ]
    for process in at_once:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    for job in jobs:
        assert job.report["verdict"] == "pass"
        assert nothing_left(job)
    lines = subprocess.run(
        ["git", "-C", str(remote), "show", "mlops-history:index.jsonl"], capture_output=True, text=True, check=True
    ).stdout
    assert len(lines.splitlines()) == 3, "neither has written over the other's"
    assert not list((tmp_path / "shared").rglob("*.tmp"))
