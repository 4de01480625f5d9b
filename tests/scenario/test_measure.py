"""`mlops measure`: both models in turn on one machine, recorded whole or not at all, and judged by compare."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make
from tests.world.waiting import running, wait_for

RISE = CONFIG + "  latency-ms: {max-rise: 10%}\n"
# A machine whose every run is slower than the one before, by a lot of noise: the state is in a file, as a real one's is in its heat.
SERVE = """\
import json, math, os, pathlib, random
weights = json.loads(pathlib.Path(os.environ["MLOPS_MODEL"], "weights.json").read_text())
ticks = pathlib.Path(os.environ["TICKS"])
k = int(ticks.read_text()) + 1 if ticks.exists() else 1
ticks.write_text(str(k))
assert "MLOPS_INPUTS" not in os.environ and "SECRET" not in json.dumps(dict(os.environ))
noise = random.Random(k * 7919).gauss(0, 0.1)
print("ready")
print(10 * (1 + k / 60) * math.exp(noise) * weights.get("slow", 1))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path, config=RISE)
    made.write(serve_py=SERVE)
    made.commit("a server")
    made.env["TICKS"] = str(tmp_path / "ticks")
    made.mlops("review")
    made.git("switch", "-q", "-c", "change")
    return made


def model(repository: Repository, **params: float) -> None:
    repository.write(params_json=json.dumps({"wrong": 100, **params}))
    repository.commit("another model")
    repository.mlops("train")
    repository.mlops("evaluate")


def measured(repository: Repository, *more: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
    return repository.mlops("measure", "latency", "--from-output", *more, "--", "python3 serve.py", code=code, **env)


def latency(repository: Repository) -> dict[str, object]:
    return next(one for one in repository.report["checks"] if one["metric"] == "latency-ms")


def test_the_same_speed_passes_and_a_fourth_slower_is_stopped_on_a_machine_that_gets_slower(repository: Repository) -> None:
    model(repository, other=1)
    said = measured(repository, MLOPS_INPUTS='{"token": "SECRET"}')
    assert "30 rounds in turn" in said.stdout
    record = repository.record["measures"]["latency-ms"]
    assert (len(record["values"]), len(record["beside"]), record["better"]) == (30, 30, "lower")
    repository.mlops("compare", code=0)
    assert latency(repository)["verdict"] != "fail"
    model(repository, slow=1.25)
    measured(repository)
    repository.mlops("compare", code=1)
    found = latency(repository)
    assert (found["verdict"], found["method"]) == ("fail", "in-turn")


def test_wall_time_and_memory_need_nothing_of_the_command(repository: Repository) -> None:
    repository.wrong(40)
    repository.mlops("train")
    repository.mlops("evaluate")
    command = ["sleep 0.0$(tr -dc 0-9 < $MLOPS_MODEL/weights.json)"]  # wrong: 100 -> 0.0100 s, 40 -> 0.040 s
    repository.mlops("measure", "latency", "--rounds", "20", "--warm-up", "1", "--", *command)
    repository.mlops("measure", "memory", "--rounds", "4", "--", sys.executable, "-c", "x = bytearray(60_000_000)")
    repository.mlops("compare", code=1)
    found = latency(repository)
    assert 10 <= float(str(found["baseline"])) <= 35 <= float(str(found["head"]))
    assert repository.record["measures"]["peak-memory-mb"]["values"][0] > 60
    assert repository.report["measures"]["peak-memory-mb"]["unit"] == "MB"


def test_a_command_that_fails_is_exit_5_with_what_it_said_and_records_nothing(repository: Repository) -> None:
    model(repository, other=1)
    before = repository.record["measures"]
    done = repository.mlops("measure", "latency", "--", "echo out of reach; exit 3", code=5)
    assert "out of reach" in done.stderr
    assert "the measured command ended with exit status 3" in done.stderr
    none = repository.mlops("measure", "latency", "--from-output", "--", "echo hello", code=5)
    assert "printed no number" in none.stderr
    assert repository.record["measures"] == before


def test_a_measurement_that_is_killed_leaves_the_record_as_it_was_and_nothing_running(repository: Repository, tmp_path: Path) -> None:
    model(repository, other=1)
    before = (repository.root / ".mlops/run.json").read_bytes()
    mark = tmp_path / "begun"
    program = [sys.executable, "-m", "mlops_toolkit", "measure", "latency", "--", f"echo x >> {mark}; sleep 0.2"]
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen(program, cwd=repository.root, env=repository.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before_it = mark.stat().st_size if mark.exists() else 0
        wait_for(lambda least=before_it + 6: mark.exists() and mark.stat().st_size >= least, 60)
        os.kill(process.pid, signum)
        assert process.wait(timeout=60) == code
        wait_for(lambda: not running(str(mark)))
        assert (repository.root / ".mlops/run.json").read_bytes() == before


def test_without_the_baselines_model_this_runs_is_measured_alone_and_said_to_be(repository: Repository, tmp_path: Path) -> None:
    model(repository, slow=2)
    shutil.rmtree(tmp_path / "home" / "data")
    said = measured(repository)
    assert "the baseline's model cannot be had" in said.stderr
    assert "nothing beside it" in said.stdout
    record = repository.record["measures"]["latency-ms"]
    assert (len(record["values"]), record.get("beside", [])) == (30, [])
    repository.mlops("compare", code=None)
    assert latency(repository)["verdict"] != "pass"


def test_a_run_that_answers_for_it_and_a_time_budget_are_said(repository: Repository) -> None:
    model(repository, other=1)
    done = measured(repository, "--budget", "0.01s", "--rounds", "40")
    assert "was reached after 2 rounds" in done.stderr
    assert repository.mlops("measure", "latency", "--rounds", "0", "--", "true", code=2).stderr.count("at least 2 rounds")
