"""A configuration that moves to another folder is the same model: it is held against the runs it had, by the gate it had.

Its evaluation has moved too, so a changed model is measured otherwise than the baseline was: undecided, which blocks where it leans worse.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make

FILES = ("mlops.yaml", "train.py", "evaluate.py", "params.json")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path)
    made.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    made.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    made.git("push", "-q", "origin", "main")
    made.mlops("review")
    made.mlops("history", "push")
    made.git("switch", "-q", "-c", "tidy")
    (made.root / "spam").mkdir()
    for name in FILES:
        made.git("mv", name, f"spam/{name}")
    return made


def moved(repository: Repository, wrong: int, config: str = CONFIG) -> None:
    (repository.root / "spam" / "params.json").write_text(json.dumps({"wrong": wrong}))
    (repository.root / "spam" / "mlops.yaml").write_text(config)
    repository.commit("Each model in a folder of its own")


def result(repository: Repository) -> dict[str, object]:
    made: dict[str, object] = json.loads((repository.root / "spam" / ".mlops" / "report.json").read_text())
    return made


def test_a_worse_model_does_not_pass_as_a_first_run_because_its_folder_has_another_name(repository: Repository) -> None:
    moved(repository, 300)
    for _ in range(2):  # also where a run of the new place is recorded already
        repository.mlops("review", "--config", "spam/mlops.yaml", code=3)
        made = result(repository)
        assert str(made["sentence"]).startswith("undecided, leaning worse: accuracy −10.0 pp")
        assert "the configuration moved: on the baseline it is mlops.yaml" in made["notes"]  # type: ignore[operator]


def test_a_gate_that_is_loosened_on_the_way_does_not_count(repository: Repository) -> None:
    moved(repository, 220, CONFIG.replace("1pp", "9pp").replace("3pp", "9pp"))
    repository.mlops("review", "--config", "spam/mlops.yaml", code=3)
    assert "gate loosened: accuracy 1pp → 9pp" in (repository.root / "spam" / ".mlops" / "comment.md").read_text()


def test_a_model_that_only_moved_passes(repository: Repository) -> None:
    moved(repository, 100)
    repository.mlops("review", "--config", "spam/mlops.yaml")
    assert result(repository)["verdict"] == "pass"


def test_another_model_in_its_place_is_a_first_run(repository: Repository) -> None:
    moved(repository, 300, CONFIG.replace("spam-filter", "ham-filter"))
    repository.mlops("review", "--config", "spam/mlops.yaml")
    assert result(repository)["baseline"]["state"] == "first-run"  # type: ignore[index]
