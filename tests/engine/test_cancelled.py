"""A cancel in each phase, and a machine that is lost: no check stays pending, the run is recorded for what it was, the next one is whole.

act ends a cancelled job at once, where GitHub interrupts the step and goes on with what is `always()`: so the steps are started
here as a runner starts them, one after the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.act import PLAIN, Engine, workflow
from tests.engine.conftest import Make
from tests.engine.events import Event
from tests.world.project import EVALUATE, GOOD, TRAIN

pytestmark = pytest.mark.act
WAITS = """
import os, pathlib, sys, time
place = pathlib.Path(os.environ["MLOPS_TEST_WAIT"]) if os.environ.get("MLOPS_TEST_WAIT") else None
if place is not None and not place.exists():
    place.write_text(f"{os.getppid()} {os.getpid()}")
    time.sleep(300)
"""


@pytest.fixture(scope="module")
def engine(make_engine: Make) -> Engine:
    """A repository whose main is recorded. Its training and evaluation wait where MLOPS_TEST_WAIT names a file that is not there yet."""
    files = {"src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n", "mlops.yaml": PLAIN}
    scripts = {"train.py": f"{TRAIN}{WAITS}", "evaluate.py": f"{EVALUATE}{WAITS}"}
    made = make_engine({**files, **scripts, ".github/workflows/model.yml": workflow("pull-request-one-job.yml")})
    main = made.run(made.push())
    assert main.passed, main.log
    return made


def opened(engine: Engine, number: int, wrong: int) -> tuple[Event, str]:
    """A pull request whose test merge is checked out, in a workspace that holds nothing of an earlier run."""
    engine.project.branch(f"change-{number}")
    head = engine.project.commit(f"Change {number}", {"src/wrong.txt": f"{wrong}\n"})
    event = engine.pull_request(number, head, f"change-{number}")
    engine.project.git("clean", "-qfdx")
    engine.project.git("checkout", "-q", "--detach", event.sha)
    return event, head


def states(engine: Engine, commit: str) -> list[str]:
    return [s["state"] for s in engine.github.statuses.get(commit, [])]


def interrupted(step: subprocess.Popen[str], ready: Callable[[], bool], *, within: float = 120) -> tuple[int, str]:
    """Interrupt a step, as a runner does, once it is as far as `ready` says; its exit code and what it said."""
    until = time.monotonic() + within
    try:
        while not ready():
            assert step.poll() is None, step.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(step.pid, signal.SIGINT)
        _, said = step.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(step.pid, signal.SIGKILL)
    return step.returncode, said


def close(engine: Engine, event: Event, number: int, cwd: Path) -> None:
    """The step that the templates end with: it needs no checkout."""
    step = engine.step("report", engine.runner(event, number, close="true"), cwd)
    _, said = step.communicate(timeout=60)
    assert step.returncode == 0, said


def done(engine: Engine, verb: str, env: dict[str, str]) -> None:
    step = engine.step(verb, env)
    _, said = step.communicate(timeout=120)
    assert step.returncode == 0, said


@pytest.mark.parametrize("phase", ["training", "evaluating"])
def test_a_cancel_while_the_user_s_command_runs(engine: Engine, phase: str, tmp_path: Path) -> None:
    number = {"training": 11, "evaluating": 12}[phase]
    event, head = opened(engine, number, GOOD - number)
    env = engine.runner(event, number)
    waiting = tmp_path / "waiting"
    if phase == "evaluating":
        done(engine, "train", env)
    assert states(engine, head)[-1:] == (["pending"] if phase == "evaluating" else [])
    step = engine.step("train" if phase == "training" else "evaluate", {**env, "MLOPS_TEST_WAIT": str(waiting)})
    code, said = interrupted(step, waiting.exists)
    assert code == 130, said
    assert json.loads((engine.project.root / ".mlops" / "run.json").read_text())["status"] == "interrupted"
    assert states(engine, head) == ["pending", "error"]
    close(engine, event, number, tmp_path)
    assert states(engine, head) == ["pending", "error"]

    ran = engine.run(event)
    assert ran.passed, ran.log
    assert states(engine, head)[-1] == "success"
    assert engine.github.bodies(number)[0].startswith("✅ spam-filter: accuracy ")


def test_a_cancel_while_the_verdict_is_posted(engine: Engine, tmp_path: Path) -> None:
    """It comes in the very moment that GitHub is asked to create the comment."""
    event, head = opened(engine, 13, GOOD - 13)
    env = engine.runner(event, 13)
    done(engine, "train", env)
    done(engine, "evaluate", env)
    reached: list[bool] = []
    engine.github.meanwhile(r"POST .*/issues/13/comments", lambda: reached.append(True) or os.kill(step.pid, signal.SIGINT))  # type: ignore[func-returns-value]
    step = engine.step("compare", env)
    _, said = step.communicate(timeout=120)
    assert reached
    assert step.returncode == 130, said
    close(engine, event, 13, tmp_path)
    assert "pending" not in states(engine, head)[-1:]

    ran = engine.run(event)
    assert ran.passed, ran.log
    assert ran.trainings == 0
    assert states(engine, head)[-1] == "success"
    assert len(engine.github.bodies(13)) == 1


def test_a_machine_that_is_lost_leaves_a_pending_check_that_the_closing_step_ends(engine: Engine, tmp_path: Path) -> None:
    event, head = opened(engine, 14, GOOD - 14)
    waiting = tmp_path / "waiting"
    with engine.running(event, MLOPS_TEST_WAIT=str(waiting)) as process:
        until = time.monotonic() + 120
        while not waiting.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        lost = engine.number
        os.killpg(process.pid, signal.SIGKILL)
        for pid in waiting.read_text().split():  # ours first, so that it sees nothing of what becomes of the training
            os.kill(int(pid), signal.SIGKILL)
    assert states(engine, head) == ["pending"]
    close(engine, event, lost + 1, tmp_path)
    assert states(engine, head) == ["pending"]  # another run's is not ours to end
    close(engine, event, lost, tmp_path)
    assert states(engine, head) == ["pending", "error"]

    ran = engine.run(event)
    assert ran.passed, ran.log
    assert states(engine, head)[-1] == "success"
