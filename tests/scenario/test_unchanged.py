"""A model that nothing touched is answered for by the run of the same inputs, on a laptop as in a CI; and what comes before that answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, EVALUATE, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Main, reviewed. The training fails where FAIL is set."""
    made = make(tmp_path, config=CONFIG.replace("run: python3 train.py", "run: 'test -z \"$FAIL\" && python3 train.py'"))
    made.mlops("review")
    return made


def words(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "words")
    repository.write(README_md="words\n")
    repository.commit("words")


def test_a_branch_of_words_is_compared_without_a_run(repository: Repository) -> None:
    source = repository.record
    words(repository)
    shutil.rmtree(repository.root / "model")
    done = repository.mlops("compare")
    assert done.stdout.startswith("✅ spam-filter: same model as the baseline")
    record = repository.record
    assert (record["status"], record["source"], record["commit"]) == ("reused", source["id"], repository.git("rev-parse", "HEAD"))
    assert record["metrics"] == source["metrics"]
    assert record["fingerprints"] == source["fingerprints"]
    assert record["trained-model"] == source["trained-model"]
    kept = record["evaluations"][""]["predictions"]
    assert (repository.root / ".mlops/runs" / record["id"] / kept["path"]).is_file()
    assert not (repository.root / "model").exists()  # no model was needed
    # It is a run like any other: asked again, it is found; and the next branch is answered by it.
    again = repository.mlops("compare")
    assert repository.record["id"] == record["id"]
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]


def test_a_run_of_this_checkout_that_failed_speaks_first(repository: Repository) -> None:
    words(repository)
    repository.mlops("train", "--again", code=5, FAIL="1")
    done = repository.mlops("compare", code=2)
    assert "failed" in done.stderr
    assert repository.report["error"]["name"] == "run-not-evaluated"


def test_a_changed_work_tree_is_not_the_run_of_its_commit(repository: Repository) -> None:
    """Uncommitted, the change counts; taken back, it does not."""
    words(repository)
    repository.write(params_json=json.dumps({"wrong": 101}))
    done = repository.mlops("compare", code=2)
    assert "its training reads something new" in done.stderr
    repository.write(params_json=json.dumps({"wrong": 100}))
    repository.mlops("compare")


def test_a_run_with_uncommitted_changes_answers_for_the_commit_of_them(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "other")
    repository.write(params_json=json.dumps({"wrong": 102}))
    repository.mlops("review")
    source = repository.record["id"]
    repository.commit("as it was tried")
    repository.mlops("compare")
    assert (repository.record["source"], repository.record["dirty"]) == (source, False)


def test_predictions_that_were_damaged_answer_for_nothing(repository: Repository) -> None:
    words(repository)
    (kept,) = (repository.root / ".mlops" / "runs").glob("*/predictions/main.parquet")
    kept.write_bytes(b"PAR1" + bytes(100))
    repository.mlops("compare", code=2)
    assert "a readable file" in repository.report["error"]["message"]


def test_a_kept_table_with_one_answer_changed_is_not_believed(repository: Repository) -> None:
    import polars as pl

    words(repository)
    (kept,) = (repository.root / ".mlops" / "runs").glob("*/predictions/main.parquet")
    frame = pl.read_parquet(kept)
    frame.with_columns(prediction=frame["target"]).write_parquet(kept)
    repository.mlops("compare", code=5)
    assert repository.report["error"]["name"] == "changed-file"


@pytest.mark.parametrize("gate", ["max-drop: 0.1pp", "min: 0.96"])
def test_a_gate_that_changed_alone_is_judged_anew_without_a_run(repository: Repository, gate: str) -> None:
    repository.git("switch", "-q", "-c", "stricter")
    repository.write(mlops_yaml=(repository.root / "mlops.yaml").read_text().replace("max-drop: 1pp,", f"{gate},"))
    repository.commit("stricter")
    done = repository.mlops("compare", code=1 if "min" in gate else 0)
    assert repository.report["verdict"] == ("fail" if "min" in gate else "pass"), done.stdout


def test_a_metric_that_is_new_is_computed_from_the_kept_answers(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "more")
    repository.write(mlops_yaml=(repository.root / "mlops.yaml").read_text().replace("[accuracy, f1-macro]", "[accuracy, recall:spam]"))
    repository.commit("another metric")
    repository.mlops("compare")
    assert [check["metric"] for check in repository.report["checks"] if check["slice"] is None and check["kind"] == "metric"] == [
        "accuracy",
        "recall:spam",
    ]


def test_models_that_are_only_evaluated_are_answered_for_too(tmp_path: Path) -> None:
    """No training at all: an API behind a prompt, a rule in code."""
    config = "name: rules\nevaluate: {run: python3 evaluate.py, inputs: [evaluate.py, params.json], metrics: [accuracy]}\n"
    repository = make(tmp_path, config=config)
    repository.write(evaluate_py=EVALUATE.replace("model/weights.json", "params.json"))
    repository.commit("rules")
    repository.mlops("review")
    words(repository)
    assert "rules: unchanged since run" in repository.mlops("plan").stdout
    repository.mlops("compare")
    repository.wrong(101)
    assert "its evaluation reads something new" in repository.mlops("plan").stdout


BOTH = EVALUATE.replace('os.environ["MLOPS_PREDICTIONS"]', '"bad.csv"').replace('os.environ["MLOPS_MEASURES"]', '"slow.json"')
BOTH += """
pathlib.Path("good.csv").write_text(pathlib.Path("bad.csv").read_text().replace("ham,spam", "ham,ham"))
pathlib.Path("fast.json").write_text(json.dumps({"latency-ms": 1}))
"""


@pytest.mark.parametrize(("old", "new"), [("good.csv", "bad.csv"), ("fast.json", "slow.json")])
def test_answers_of_another_file_than_before_are_read_and_not_taken_over(tmp_path: Path, old: str, new: str) -> None:
    """One evaluation writes both files: neither its command nor what it reads changes."""
    config = CONFIG.replace("  task:", "  predictions: good.csv\n  measures: fast.json\n  task:") + "  latency-ms: {max: 5}\n"
    made = make(tmp_path, config=config, wrong=100)
    made.write(evaluate_py=BOTH)
    (made.root / ".gitignore").write_text("model/\n*.csv\nfast.json\nslow.json\n")
    made.commit("both files")
    made.mlops("review")
    made.git("switch", "-q", "-c", "branch")
    made.write(mlops_yaml=config.replace(old, new))
    made.commit("the other file")
    assert "were read from another file" in made.mlops("plan").stdout
    made.mlops("review", code=1)
    assert made.report["verdict"] == "fail"
