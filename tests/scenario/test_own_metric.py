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
    assert len(kept["left-out"]) == 89  # twice the root of 2,000
    assert kept["standard_error" if "standard_error" in kept else "standard-error"] > 0
    repository.wrong(101)
    repository.mlops("review", code=None)
    assert check(repository)["verdict"] != "fail"
    repository.wrong(160)
    said = repository.mlops("review", code=1)
    assert (check(repository)["verdict"], check(repository)["method"]) == ("fail", "jackknife")
    assert "expected\\_cost" in said.stdout or "expected_cost" in said.stdout


KINDER = METRICS.replace("4.0", "0.1")
NOTHING = "def expected_cost(rows): return 1.0\n"


@pytest.fixture
def apart(tmp_path: Path) -> Repository:
    """The metric's file is no input of the evaluation: answers stay what they were."""
    made = make(tmp_path, config=GATED.replace("inputs: [evaluate.py, metrics.py]", "inputs: [evaluate.py]"))
    made.write(metrics_py=METRICS)
    made.commit("a metric of our own")
    made.mlops("review")
    made.git("switch", "-q", "-c", "change")
    return made


def test_a_kinder_program_does_not_let_a_worse_model_pass(apart: Repository) -> None:
    for program in (KINDER, NOTHING):
        apart.write(metrics_py=program)
        apart.wrong(160, "a worse model and a kinder metric")
        said = apart.mlops("review", code=1).stdout
        one = check(apart)
        assert (one["verdict"], one["baseline"], one["head"]) == ("fail", pytest.approx(0.149), pytest.approx(0.239)), "by main's program"
        assert "measured by the baseline's program" in str(one["message"])
        assert "By its own program" in said
        assert "by the baseline's 0.149 → 0.239 eur" in said
    assert not list(apart.root.rglob("__pycache__")), "nothing is left behind"


def test_a_refactored_program_is_compared_as_if_it_were_the_old_one(apart: Repository) -> None:
    apart.write(metrics_py=METRICS.replace("4.0", "8.0 / 2.0"))
    apart.wrong(40, "a refactored metric and a better model")
    said = apart.mlops("review").stdout
    assert (check(apart)["verdict"], check(apart)["baseline"]) == ("pass", pytest.approx(0.149))
    assert "this change has another program for it. By its own program 0.149 → 0.059 eur; by the baseline's 0.149 → 0.059 eur" in said
    apart.git("switch", "-q", "main")
    apart.git("merge", "-q", "--squash", "change")
    apart.commit("merged")
    apart.mlops("review")
    assert check(apart)["verdict"] == "pass"


def test_where_the_old_program_cannot_be_run_somebody_has_to_say_yes(apart: Repository) -> None:
    """Main's own run is of a program that no commit has."""
    apart.git("switch", "-q", "main")
    apart.write(metrics_py=METRICS + "# not committed\n")
    apart.git("update-index", "--assume-unchanged", "metrics.py")
    apart.commit("main")
    apart.mlops("review", code=None)
    apart.git("switch", "-q", "-c", "next")
    apart.write(metrics_py=NOTHING)
    apart.wrong(160)
    apart.mlops("review", code=None)
    one = check(apart)
    assert (one["verdict"], one["leaning"], one["reason"]) == ("inconclusive", "beyond", "metric-redefined")
    assert "what its commit has is not the program that it was measured with" in str(one["message"])
    assert "say yes if it is right" in str(one["message"])


def test_labels_that_were_put_right_are_right_for_the_baseline_s_answers_too(apart: Repository) -> None:
    text = (apart.root / "evaluate.py").read_text()
    apart.write(evaluate_py=text.replace('"spam" if i % 3 == 0 else "ham"', '"spam" if i % 3 == 0 or i == 7 else "ham"'))
    apart.commit("one label put right")
    apart.mlops("review", code=None)
    one = check(apart)
    assert (one["change"], one["reason"]) == (0.0, None) or one["verdict"] == "pass"


def test_data_that_a_metric_reads_is_part_of_it(apart: Repository) -> None:
    reads = METRICS.replace("COSTS = {", "import json, pathlib\nOLD = {").replace(
        "def expected", 'COSTS = json.loads(pathlib.Path("costs.json").read_text())\n\ndef expected'
    )
    (apart.root / "costs.json").write_text('{"spam": 1.0, "ham": 4.0}')
    apart.write(metrics_py=reads)
    apart.commit("costs in a file")
    apart.mlops("review")
    assert check(apart)["verdict"] == "pass", "by main's program it is what it was"
    apart.git("switch", "-q", "main")
    apart.git("merge", "-q", "--ff-only", "change")
    assert '"run"' in apart.mlops("plan", "--json").stdout, "what its program says of main's run is not kept with the one that answers"
    apart.mlops("review")
    apart.git("switch", "-q", "change")
    apart.commit("nothing")
    assert '"recorded"' in apart.mlops("plan", "--json").stdout
    (apart.root / "costs.json").write_text('{"spam": 0.01, "ham": 0.01}')
    assert "costs.json, which a metric is made of, changed" in apart.mlops("plan", "--json").stdout
    apart.wrong(160)
    apart.mlops("review", code=1)
    assert (check(apart)["verdict"], check(apart)["head"]) == ("fail", pytest.approx(0.239))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("def expected_cost(rows): return float('nan')", "metrics.py:expected_cost gives nan"),
        ("def expected_cost(rows): return 1 / (len(rows['target']) - 1977)", "without group 1 of 89: ZeroDivisionError"),
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
