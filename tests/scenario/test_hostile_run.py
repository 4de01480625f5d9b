"""The run that a job with somebody's code hands to the one that may write: data from a stranger, and never more than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world.repository import Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Main is recorded, and a pull request that makes the model worse is trained and evaluated in CI run 7."""
    made = make(tmp_path)
    made.mlops("review")
    made.git("switch", "-q", "-c", "worse")
    head = made.wrong(180)
    event = tmp_path / "event.json"
    repo = {"full_name": "acme/models"}
    sides = {"head": {"sha": head, "ref": "worse", "repo": repo}, "base": {"ref": "main", "repo": repo}}
    event.write_text(json.dumps({"number": 5, "pull_request": {"number": 5, **sides}}))
    made.env |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_RUN_ID": "7",
        "GITHUB_SHA": head,
        "GITHUB_HEAD_REF": "worse",
        "GITHUB_BASE_REF": "main",
    }
    made.mlops("train")
    made.mlops("evaluate")
    return made


def tamper(repository: Repository, *path: str, to: Any) -> None:
    """Write another value into the record, in both places where it lies."""
    record = repository.record
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    for file in (repository.root / ".mlops" / "run.json", repository.root / ".mlops" / "runs" / repository.record["id"] / "run.json"):
        file.write_text(json.dumps(record))


def test_untouched_it_is_blocked(repository: Repository) -> None:
    assert repository.mlops("compare", code=1).stdout.startswith("❌ spam-filter: accuracy −4.0")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("evaluations", "", "predictions", "path"), "../../../outside.csv", "a path below the run's folder"),
        (("evaluations", "", "predictions", "path"), "/etc/passwd", "a path below the run's folder"),
        (("evaluations", "", "baseline_predictions"), {"path": "..", "sha256": "", "size": 1}, "a path below the run's folder"),
        (("evaluations", "", "predictions", "sha256"), "0" * 64, "the sha256 differs"),
        (("evaluations", "", "predictions", "path"), "run.json", "the sha256 differs"),
        (("id",), "../../elsewhere", "a run's id"),
        (("measures", "latency-ms", "values"), [], "one number or more"),
        (("measures", "latency-ms", "values"), [1e308, 1e308], "one number or more"),
    ],
)
def test_what_no_record_of_ours_holds_is_an_invalid_file(repository: Repository, path: tuple[str, ...], value: Any, said: str) -> None:
    tamper(repository, *path, to=value)
    assert said in repository.mlops("compare", code=5).stderr
    assert (repository.report["verdict"], repository.report["error"]["name"] in ("wrong-shape", "changed-file")) == (None, True)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("model",), "another"), (("config",), "other.yaml"), (("commit",), "0" * 40), (("tree",), None), (("ci", "run"), "6")],
)
def test_a_record_that_is_not_of_this_checkout_is_refused(repository: Repository, path: tuple[str, ...], value: Any) -> None:
    tamper(repository, *path, to=value)
    repository.mlops("compare", code=2)
    assert repository.report["error"]["name"] == "stale-run"


def test_a_run_that_is_given_must_be_of_the_model_that_is_judged(repository: Repository) -> None:
    """Else a record with another name would have no baseline, and pass as a first run."""
    tamper(repository, "model", to="another")
    repository.mlops("compare", "--run", ".mlops/run.json", code=2)
    assert repository.report["error"]["name"] == "other-model"


def test_no_file_is_read_through_a_link_that_leads_out_of_the_run_s_folder(repository: Repository, tmp_path: Path) -> None:
    file = repository.root / ".mlops" / "runs" / repository.record["id"] / "predictions" / "main.parquet"
    file.rename(tmp_path / "outside.parquet")
    file.symlink_to(tmp_path / "outside.parquet")
    repository.mlops("compare", code=None)
    assert "not kept: compared by numbers alone" in (repository.root / ".mlops" / "comment.md").read_text()


def test_no_store_is_asked_because_a_record_names_it(repository: Repository) -> None:
    tamper(repository, "evaluations", "", "predictions", "path", to="http://127.0.0.1:9/x#main.parquet")
    repository.mlops("compare", code=1)
    assert "not kept: compared by numbers alone" in (repository.root / ".mlops" / "comment.md").read_text()


def test_what_the_ci_says_of_a_run_counts_and_not_what_its_record_says(repository: Repository) -> None:
    """Else the record of a pull request could call itself main's, and be the baseline of others."""
    for path, value in (("pull_request", None), ("event", "push"), ("branch", "main"), ("released", "v1")):
        tamper(repository, path, to=value)
    repository.mlops("compare", code=1)
    kept = json.loads((repository.root / ".mlops" / "runs" / repository.record["id"] / "run.json").read_text())
    assert (kept["pull_request"], kept["event"], kept["branch"], kept["released"]) == (5, "pull_request", "worse", None)


def test_a_record_of_200_mb_is_refused_before_it_is_read(repository: Repository) -> None:
    tamper(repository, "params", to={"pad": "x" * 200_000_000})
    assert "more than a run record may hold" in repository.mlops("compare", code=5).stderr


def test_why_the_other_job_s_run_failed_is_said_where_it_is_compared(repository: Repository) -> None:
    """In two jobs the comment and the check come from the second, which has only the record to tell."""
    (repository.root / "train.py").write_text("import sys; sys.exit(3)")
    repository.mlops("train", code=5)
    repository.mlops("compare", code=2)
    assert repository.report["sentence"].endswith("failed: train.run ended with exit status 3")
