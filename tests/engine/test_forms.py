"""Other ways to use the actions: two jobs, no configuration file at all, and an input that is misspelt."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.engine.act import TEMPLATES, workflow
from tests.engine.conftest import Make
from tests.world.project import CONFIG, EVALUATE, GOOD, TRAIN, WORSE

pytestmark = pytest.mark.act
NO_CONFIGURATION = """\
on: {pull_request: }
permissions: {}
jobs:
  model:
    runs-on: self-hosted
    permissions: {contents: write, pull-requests: write, statuses: write}
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
      - uses: org/mlops-actions/compare-to-main@v1
        with: {metrics: metrics.json}
"""


def test_every_shipped_workflow_is_run_here_as_it_is_shipped() -> None:
    run = {
        name for path in Path(__file__).parent.glob("test_*.py") for name in re.findall(r'workflow\("([\w-]+\.yml)"\)', path.read_text())
    }
    assert run == {path.name for path in TEMPLATES.glob("*.yml")}


def test_the_table_of_workflows_has_each_of_them() -> None:
    assert set(re.findall(r"\(([\w-]+\.yml)\)", (TEMPLATES / "README.md").read_text())) == {path.name for path in TEMPLATES.glob("*.yml")}


def test_with_two_jobs_the_run_travels_from_the_one_that_trains_to_the_one_that_may_write(make_engine: Make) -> None:
    engine = make_engine()
    engine.project.commit("Two jobs", {".github/workflows/model.yml": workflow("pull-request.yml")})
    main = engine.run(engine.push())
    assert main.passed, main.log
    engine.project.branch("change")
    head = engine.project.commit("A change that hurts", {"src/wrong.txt": f"{WORSE}\n"})
    ran = engine.run(engine.pull_request(7, head, "change"))
    assert not ran.passed
    assert ran.log.count("training with") == 1
    assert ran.outputs["compare-to-main"]["exit"] == "1"
    assert engine.github.bodies(7)[0].startswith("❌ spam-filter: accuracy −6.0 pp")
    assert (engine.artifact(ran, "mlops-report") / "report.json").exists()
    again = engine.run(engine.pull_request(7, head, "change"), number=ran.number, GITHUB_RUN_ATTEMPT="2")
    assert again.jobs == {"train": ["success"], "model": ["failure"]}, again.log  # its artifacts take the first ones' places
    assert again.trainings == 0
    assert len(engine.github.bodies(7)) == 1


def test_the_root_action_does_all_three_in_one_step(make_engine: Make) -> None:
    flow = NO_CONFIGURATION.replace("pull_request: ", "pull_request: , push: ").replace("/compare-to-main@v1", "@v1")
    engine = make_engine()
    engine.project.commit("One step", {".github/workflows/model.yml": flow.replace("\n        with: {metrics: metrics.json}", "")})
    assert engine.run(engine.push()).passed
    engine.project.branch("change")
    head = engine.project.commit("A change that hurts", {"src/wrong.txt": f"{WORSE}\n"})
    ran = engine.run(engine.pull_request(7, head, "change"))
    outputs = ran.outputs["mlops-actions"]
    assert (ran.passed, outputs["verdict"], outputs["gate"], outputs["exit"]) == (False, "fail", "failed", "1")
    assert engine.github.bodies(7)[0].startswith("❌ spam-filter: accuracy −6.0 pp")


def test_two_models_of_one_repository_share_a_comment_and_each_output_has_both(make_engine: Make) -> None:
    files = {".gitignore": "model/\n", ".github/workflows/model.yml": NO_CONFIGURATION.replace("pull_request: ", "pull_request: , push: ")}
    for name in ("cats", "dogs"):
        own = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n"}
        files |= {f"{name}/{path}": text for path, text in own.items()}
        files[f"{name}/mlops.yaml"] = CONFIG.replace("spam-filter", name)
    flow = files[".github/workflows/model.yml"].replace("/compare-to-main@v1", "@v1")
    files[".github/workflows/model.yml"] = flow.replace("metrics: metrics.json", 'config: "*/mlops.yaml"')
    engine = make_engine(files)
    assert engine.run(engine.push()).passed
    engine.project.branch("change")
    head = engine.project.commit("A change that hurts dogs", {"dogs/src/wrong.txt": f"{WORSE}\n"})
    ran = engine.run(engine.pull_request(7, head, "change"))
    (body,) = engine.github.bodies(7)
    assert body.startswith("❌ dogs: accuracy −6.0 pp")
    assert "✅ cats: " in body
    outputs = ran.outputs["mlops-actions"]
    assert (ran.passed, outputs["verdict"], outputs["exit"]) == (False, "fail", "1")
    assert {name: values["accuracy"] for name, values in json.loads(outputs["metrics"]).items()} == {"cats": 0.97, "dogs": 0.91}
    assert len(outputs["run-id"].split()) == 2
    assert {s["context"]: s["state"] for s in engine.github.statuses[head]} == {"mlops/cats": "success", "mlops/dogs": "failure"}


def test_on_a_machine_of_one_s_own_the_code_of_a_fork_is_not_run(make_engine: Make) -> None:
    engine = make_engine()
    engine.project.commit("One job", {".github/workflows/model.yml": workflow("pull-request-one-job.yml")})
    engine.project.branch("change")
    head = engine.project.commit("From a fork", {"src/wrong.txt": f"{WORSE}\n"})
    ran = engine.run(engine.pull_request(7, head, "change", fork=True))
    assert not ran.passed
    assert "training with" not in ran.log
    assert ran.outputs["train"]["exit"] == "4"
    assert "allow-forks" in ran.log


def test_a_metrics_file_is_enough_and_is_held_against_the_base_branch_s_own(make_engine: Make) -> None:
    engine = make_engine(
        {"metrics.json": json.dumps({"accuracy": 0.93, "latency-ms": 12.5}), ".github/workflows/model.yml": NO_CONFIGURATION}
    )
    engine.project.branch("change")
    head = engine.project.commit("Other numbers", {"metrics.json": json.dumps({"accuracy": 0.91, "latency-ms": 12.0})})
    ran = engine.run(engine.pull_request(7, head, "change"))
    assert ran.passed, ran.log
    assert ran.outputs["compare-to-main"]["verdict"] == "ungated"
    (body,) = engine.github.bodies(7)
    assert "0.93" in body
    assert "0.91" in body


def test_a_misspelt_input_fails_and_is_named(make_engine: Make) -> None:
    """GitHub only warns of an input that no action has, and hands it over; act drops it, so the step is run as GitHub would."""
    engine = make_engine({"metrics.json": '{"accuracy": 0.9}'})
    inputs = {"config": "mlops.yaml", "token": "ghs_x", "python": "python3", "metrcs": "metrics.json"}
    outputs = engine.folder / "outputs"
    summary = engine.folder / "summary.md"
    env = {"GITHUB_ACTIONS": "true", "MLOPS_INPUTS": json.dumps(inputs), "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary)}
    step = engine.step("compare", env)
    _, err = step.communicate(timeout=300)
    assert step.returncode == 2, err
    assert 'did you mean "metrics"?' in err
    assert "Traceback" not in err
    assert "::error" in err
    assert "\n2\n" in outputs.read_text()
    assert 'there is no input "metrcs"' in summary.read_text()
    assert json.loads((engine.project.root / ".mlops" / "report.json").read_text())["error"]["name"] == "unknown-input"


SLOW = """\
import pathlib, signal, sys, time
def saved(*_):
    pathlib.Path("checkpoint").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, saved)
pathlib.Path("started").touch()
time.sleep(300)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_runner_s_cancel_reaches_the_training_which_saves_and_is_recorded_as_interrupted(
    make_engine: Make, number: signal.Signals, code: int
) -> None:
    """A runner signals the one process it started, and no other."""
    engine = make_engine()
    engine.project.write({"train.py": SLOW})
    step = engine.step("train", {})
    root = engine.project.root
    try:
        until = time.monotonic() + 240  # our environment may have to be made first
        while not (root / "started").exists():
            assert step.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(step.pid, number)
        step.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(step.pid, signal.SIGKILL)
    assert step.returncode == code
    assert (root / "checkpoint").read_text() == "saved"
    assert json.loads((root / ".mlops" / "run.json").read_text())["status"] == "interrupted"
