"""No baseline, the same commit, a baseline from a fork or an earlier pull request: each a named state, never a silent pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path)


def baseline(repository: Repository) -> dict[str, object]:
    made: dict[str, object] = repository.report["baseline"]
    return made


def test_without_a_baseline_it_is_a_first_run_and_ungated(repository: Repository) -> None:
    repository.mlops("review")
    assert baseline(repository)["state"] == "first-run"
    assert repository.report["verdict"] == "ungated"


def test_a_run_is_never_its_own_baseline(repository: Repository) -> None:
    repository.mlops("review")
    repository.mlops("review")
    assert baseline(repository)["state"] == "first-run"
    assert baseline(repository)["run"] is None


def test_the_same_model_is_named_and_changes_exactly_nothing(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "words")
    (repository.root / "README.md").write_text("words\n")
    repository.commit("words")
    repository.mlops("review")
    assert baseline(repository)["state"] == "same-model"
    check = repository.report["checks"][0]
    assert (check["change"], check["verdict"]) == (0.0, "pass")


def rewrite(repository: Repository, **changes: object) -> None:
    """Change the record of the last run."""
    path = repository.root / ".mlops" / "runs" / str(repository.record["id"]) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fork": True}, "fork"),
        ({"withdrawn": "rolled back"}, "withdrawn"),
        ({"status": "interrupted"}, "interrupted"),
        ({"gate": {"gate": "failed", "verdict": "fail", "accepted": False, "sentence": ""}}, "gate failed"),
        ({"dirty": True}, "uncommitted"),
    ],
)
def test_a_run_that_may_not_be_a_baseline_is_passed_over_with_the_reason(
    repository: Repository, changes: dict[str, object], why: str
) -> None:
    repository.mlops("review")
    rewrite(repository, **changes)
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(101)
    repository.mlops("review")
    assert baseline(repository)["state"] == "first-run"
    assert why in str(baseline(repository)["note"])


def test_an_earlier_run_of_the_branch_itself_is_no_baseline(repository: Repository) -> None:
    repository.mlops("review")
    main = repository.record["id"]
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(103)
    repository.mlops("review")
    repository.wrong(106)
    repository.mlops("review")
    assert baseline(repository)["run"] == main


def test_commits_of_main_without_a_run_are_counted_and_named(repository: Repository) -> None:
    repository.mlops("review")
    repository.wrong(101, "never recorded")
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(102)
    repository.mlops("review")
    assert baseline(repository)["state"] == "behind"
    assert [line.split(" ", 1)[1] for line in baseline(repository)["behind"]] == ["never recorded"]  # type: ignore[attr-defined]


def test_a_changed_evaluation_is_named(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.write(evaluate_py=(repository.root / "evaluate.py").read_text() + "# stricter\n")
    repository.commit("evaluate otherwise")
    repository.mlops("review")
    assert baseline(repository)["state"] == "evaluation-changed"
    assert any("evaluate.py" in note for note in repository.report["notes"])


def test_a_gate_that_names_what_is_gone_is_an_error(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.write(mlops_yaml=CONFIG + "  parameters: {max: 2000}\n  throughput: {min: 1}\n")
    repository.commit("gate")
    done = repository.mlops("review", code=5)
    assert "throughput" in done.stderr
    assert repository.report["error"]["name"] == "metric-gone"
    assert repository.report["verdict"] is None
