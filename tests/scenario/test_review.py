"""The whole loop on a laptop: real git, the real command line, a project of plain Python."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest

from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path)


def test_main_then_a_harmless_branch_then_a_harmful_one(repository: Repository) -> None:
    first = repository.mlops("review")
    assert "first run" in first.stdout.splitlines()[0]
    repository.git("switch", "-q", "-c", "harmless")
    repository.wrong(102)
    repository.mlops("review")
    assert repository.report["verdict"] == "pass"
    assert repository.report["baseline"]["label"] == "main"
    repository.git("switch", "-q", "main")
    repository.git("switch", "-q", "-c", "harmful")
    repository.wrong(180)
    worse = repository.mlops("review", code=1)
    assert worse.stdout.startswith("❌ spam-filter: accuracy −4.0")
    assert repository.report["examples"]["broken_total"] == 80
    assert (repository.root / ".mlops" / "comment.md").read_text().startswith("❌ spam-filter")
    again = repository.mlops("compare", "--json", code=1)
    assert '"verdict": "fail"' in again.stdout


def test_git_sees_nothing_of_our_files(repository: Repository) -> None:
    repository.mlops("review")
    assert repository.git("status", "--porcelain", "--", ".mlops") == ""


def test_a_squash_merge_is_not_trained_again(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "harmless")
    repository.wrong(102)
    repository.mlops("review")
    source = repository.record["id"]
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--squash", "harmless")
    repository.commit("squashed")
    done = repository.mlops("review")
    assert "trained {" not in done.stderr + done.stdout
    assert (repository.record["status"], repository.record["source"]) == ("reused", source)
    assert repository.report["verdict"] == "pass"


def test_two_branches_compare_by_name(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "other")
    repository.wrong(180)
    repository.mlops("review", code=1)
    repository.git("switch", "-q", "main")
    repository.mlops("compare", "main", "other", code=1)
    repository.mlops("compare", "other", "main", code=0)
    run = repository.root / ".mlops" / "runs"
    records = sorted(str(path.relative_to(repository.root)) for path in run.glob("*/run.json"))
    repository.mlops("compare", *records, code=1)


def test_an_outcome_that_cannot_be_kept_does_not_wait_it_is_said(repository: Repository) -> None:
    repository.mlops("review")
    place = repository.root / ".mlops" / "runs" / str(repository.record["id"]) / "report.json"
    place.unlink()
    place.mkdir()
    done = repository.mlops("compare")
    assert "the run's outcome could not be kept in" in done.stderr
    assert "waits on this machine" not in done.stderr


def test_a_run_of_another_checkout_is_refused(repository: Repository) -> None:
    repository.mlops("review")
    repository.wrong(101)
    done = repository.mlops("compare", code=2)
    assert "mlops review" in done.stderr
    assert "not of what is checked out" in done.stderr


def test_a_training_that_fails_is_the_users_and_no_baseline(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "broken")
    repository.write(train_py="raise SystemExit('no data today')")
    repository.commit("broken")
    done = repository.mlops("review", code=5)
    assert "no data today" in done.stderr + done.stdout
    assert repository.record["status"] == "failed"
    assert repository.report["error"]["name"]
    repository.git("switch", "-q", "-c", "after")
    repository.git("revert", "--no-edit", "HEAD")
    repository.mlops("review")
    assert repository.report["baseline"]["commit"] == repository.git("rev-parse", "main")


def test_a_loosened_gate_is_said_and_does_not_help(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "sneaky")
    repository.write(mlops_yaml=CONFIG.replace("max-drop: 1pp", "max-drop: 9pp"))
    repository.wrong(180)
    done = repository.mlops("review", code=1)
    assert "gate loosened: accuracy 1pp → 9pp" in done.stdout


def test_the_result_is_the_same_bytes_again(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "other")
    repository.wrong(150)
    first = repository.mlops("review", code=1).stdout
    assert repository.mlops("compare", code=1).stdout == first


@pytest.mark.parametrize("given", ["20991231-235959-abcdef", "runs", ".mlops/runs/nowhere/run.json"])
def test_a_run_that_is_named_and_not_there_is_an_error_and_no_other_is_judged(repository: Repository, given: str) -> None:
    repository.mlops("review")
    done = repository.mlops("compare", "--run", given, code=2)
    assert given in done.stderr
    assert done.stdout == ""


def test_history_lists_what_was_done(repository: Repository) -> None:
    repository.mlops("review")
    listed = repository.mlops("history", "list").stdout
    assert repository.record["id"] in listed
    assert "accuracy" in listed


def test_zero_configuration_compares_a_metrics_file_with_the_one_on_main(tmp_path: Path) -> None:
    repository = make(tmp_path)
    (repository.root / "mlops.yaml").unlink()
    repository.write(metrics_json='{"accuracy": 0.97, "nested": {"f1": 0.9}}')
    repository.commit("metrics")
    repository.git("switch", "-q", "-c", "other")
    repository.write(metrics_json='{"accuracy": 0.93, "nested": {"f1": 0.91}}')
    repository.commit("worse")
    done = repository.mlops("compare", "--metrics", "metrics.json")
    assert "−4.0" in done.stdout
    assert "noise" in done.stdout
    assert repository.report["baseline"]["commit"] == repository.git("rev-parse", "main")
    repository.mlops("compare", "--metrics", "metrics.json", "--gate", "accuracy:max-drop=1pp", code=1)


GROWING = CONFIG.replace("  run: python3 evaluate.py", "  run: EXAMPLES=$(cat examples.txt) python3 evaluate.py\n  data: [examples.txt]")


def test_where_the_test_set_changed_the_baselines_model_answers_the_new_one(tmp_path: Path) -> None:
    repository = make(tmp_path, config=GROWING)
    (repository.root / "examples.txt").write_text("2000\n")
    repository.commit("a test set")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "larger")
    (repository.root / "examples.txt").write_text("4000\n")
    repository.wrong(102)
    repository.mlops("review")
    result = repository.report
    assert result["baseline"]["state"] == "data-changed"
    assert result["checks"][0]["n"] == 4000
    assert result["verdict"] == "pass"
    assert any("evaluated again" in note for note in result["notes"])


def test_predictions_kept_in_the_models_store_come_back_for_the_comparison(tmp_path: Path) -> None:
    repository = make(tmp_path, config=CONFIG + "history: {predictions: models}\nmodels: {store: 'file:'}\n")
    remote = tmp_path / "remote.git"
    repository.git("init", "-q", "--bare", str(remote))
    repository.git("remote", "add", "origin", str(remote))
    repository.git("push", "-q", "origin", "main")
    ci = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF_NAME": "main",
        "GITHUB_RUN_ID": "1",
        "RUNNER_ENVIRONMENT": "self-hosted",
    }
    repository.mlops("review", GITHUB_SHA=repository.git("rev-parse", "HEAD"), GITHUB_API_URL="http://127.0.0.1:9", **ci)
    listed = repository.git("--git-dir", str(remote), "ls-tree", "-r", "--name-only", "mlops-history")
    assert "run.json" in listed
    assert "predictions" not in listed
    rmtree(repository.root / ".mlops")
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(101)
    repository.mlops("review")
    assert repository.report["verdict"] == "pass"
    assert repository.report["checks"][0]["n"] == 2000
