"""A metric of the user's own in Python, through evaluate and compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make

METRICS = """\
import os
COSTS = {"spam": 1.0, "ham": 4.0}  # a good mail that is lost costs more

def expected_cost(rows):
    assert "MLOPS_INPUTS" not in os.environ
    wrong = [COSTS[t] for t, p in zip(rows["target"], rows["prediction"]) if t != p]
    return sum(wrong) / len(rows["target"])
"""
OWN = CONFIG.replace(
    "metrics: [accuracy, f1-macro]", "metrics: [accuracy, {python: 'metrics.py:expected_cost', better: lower, unit: eur}]"
).replace("inputs: [evaluate.py]", "inputs: [evaluate.py, metrics.py]")
GATED = OWN + "  expected_cost: {max-rise: 0.02, slices: {max-rise: 0.2}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path, config=GATED)
    made.write(metrics_py=METRICS)
    made.commit("a metric of our own")
    made.mlops("review", MLOPS_INPUTS='{"token": "SECRET"}')
    made.git("switch", "-q", "-c", "change")
    return made


def check(repository: Repository) -> dict[str, object]:
    return next(one for one in repository.report["checks"] if one["metric"] == "expected_cost" and one["slice"] is None)


def test_it_is_computed_shown_and_gated(repository: Repository) -> None:
    kept = repository.record["metrics"]["expected_cost"]
    assert kept["value"] == pytest.approx(sum(4.0 if i % 3 else 1.0 for i in range(100)) / 2000)
    assert len(kept["left-out"]) == 100
    assert kept["standard_error" if "standard_error" in kept else "standard-error"] > 0
    repository.wrong(101)
    repository.mlops("review", code=None)
    assert check(repository)["verdict"] != "fail"
    repository.wrong(160)
    said = repository.mlops("review", code=1)
    assert (check(repository)["verdict"], check(repository)["method"]) == ("fail", "jackknife")
    assert "expected\\_cost" in said.stdout or "expected_cost" in said.stdout


def test_another_program_is_another_metric(repository: Repository) -> None:
    repository.write(metrics_py=METRICS.replace("4.0", "0.1"))
    repository.wrong(160, "a worse model and a kinder metric")
    repository.mlops("review", code=None)
    assert repository.report["exit"] != 0
    assert check(repository)["reason"] in ("metric-redefined", "evaluation-changed")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("def expected_cost(rows): return float('nan')", "metrics.py:expected_cost gives nan"),
        ("def expected_cost(rows): return 1 / (len(rows['target']) - 1980)", "without group 1 of 100: ZeroDivisionError"),
        ("import time\ndef expected_cost(rows): time.sleep(60)", "ran past its time limit"),
        ("import os\ndef expected_cost(rows): os._exit(0)", "left no values"),
    ],
)
def test_a_function_that_fails_is_exit_5_and_named(repository: Repository, program: str, words: str) -> None:
    repository.write(metrics_py=program, mlops_yaml=GATED.replace("  task:", "  timeout: 5s\n  task:"))
    repository.commit("a broken metric")
    done = repository.mlops("review", code=5)
    assert words in done.stderr
    assert repository.record["status"] == "failed"


def test_bare_files_have_no_program_of_their_own(repository: Repository) -> None:
    rows = "id,target,prediction\n" + "\n".join(f"r{i},a,a" for i in range(30))
    (repository.root / "a.csv").write_text(rows)
    done = repository.mlops("compare", "a.csv", "a.csv", "--metric", "python:metrics.py:expected_cost", code=2)
    assert "compare runs nobody's code" in done.stderr
