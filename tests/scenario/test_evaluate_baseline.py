"""Where the test set changed, the baseline's stored model answers the new examples, and it is proven that it was that model."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mlops_toolkit.predictions.read import read
from tests.scenario.test_evaluate import Project, project

__all__ = ["project"]

SCRIPT = """
import csv, os
limit = float(open(MODEL).read())
with open("data/test.csv") as data, open(os.environ["MLOPS_PREDICTIONS"], "w") as out:
    print("id,target,prediction", file=out)
    for row in csv.DictReader(data):
        print(f"{row['id']},{row['target']},{'a' if float(row['value']) < limit else 'b'}", file=out)
"""
GIVEN = SCRIPT.replace("MODEL", 'os.environ["MLOPS_MODEL"] + "/weights"')
CONFIG = f"""name: m
train:
  run: mkdir -p model; cp weights model/weights
  output: model/
  inputs: [weights]
evaluate:
  run: {sys.executable} evaluate.py
  data: [data/test.csv]
  inputs: [evaluate.py]
  task: classification
  metrics: [accuracy]
"""


def rows(first: int, last: int, *, flip: bool = False) -> str:
    return "id,target,value\n" + "".join(f"{i},{'ab'[(i >= 50) != flip]},{i}\n" for i in range(first, last))


def record_main(project: Project, script: str) -> None:
    """A main whose model says `a` below 40, evaluated on the examples 0 to 99; then a branch whose model says so below 60."""
    (project.folder / "data").mkdir()
    (project.folder / "data/test.csv").write_text(rows(0, 100))
    project.write(mlops__yaml=CONFIG, evaluate__py=script, weights="40")
    project.commit("main")
    for verb in ("train", "evaluate"):
        code, _, err = project.mlops(verb)
        assert code == 0, err
    project.git("switch", "-q", "-c", "branch")
    project.write(weights="60")


def evaluated(project: Project) -> tuple[str, dict[str, str] | None]:
    """What was said, and the baseline's new predictions by id."""
    project.commit("branch")
    assert project.mlops("train")[0] == 0
    code, _, err = project.mlops("evaluate")
    assert code == 0, err
    assert project.git("status", "--porcelain") == ""
    assert project.git("worktree", "list").count("\n") == 0
    assert not (project.folder / ".mlops/cache/baseline").exists()
    record = project.record()
    evaluation = record.evaluations[""]
    if evaluation.baseline_predictions is None:
        return err, None
    path = project.folder / ".mlops/runs" / record.id / evaluation.baseline_predictions.path
    frame = read(path, task="classification").frame
    assert evaluation.baseline_run != record.id
    return err, dict(zip(frame["id"], frame["prediction"], strict=True))


def as_main_answers(first: int, last: int) -> dict[str, str]:
    return {str(i): "a" if i < 40 else "b" for i in range(first, last)}


def test_the_old_model_answers_the_new_examples(project: Project) -> None:
    record_main(project, GIVEN)
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    said, found = evaluated(project)
    assert found == as_main_answers(20, 130)
    assert "the model of the baseline" in said
    assert "is evaluated on the new ones" in said
    assert project.record().metrics["accuracy"].value == pytest.approx(100 / 110)


def test_data_that_git_does_not_know_is_laid_over_too(project: Project) -> None:
    project.write(__gitignore="model/\ndata/\n__pycache__/\n")
    record_main(project, GIVEN)
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    assert evaluated(project)[1] == as_main_answers(20, 130)


def test_new_labels_of_the_same_examples_need_no_new_answers(project: Project) -> None:
    record_main(project, GIVEN)
    (project.folder / "data/test.csv").write_text(rows(0, 100, flip=True))
    said, found = evaluated(project)
    assert found is None
    assert "changed" not in said


def test_unchanged_examples_need_no_new_answers(project: Project) -> None:
    record_main(project, GIVEN)
    assert evaluated(project)[1] is None


def test_an_evaluation_that_reads_another_model_than_it_is_given_is_found_out(project: Project) -> None:
    record_main(project, SCRIPT.replace("MODEL", repr(str(project.folder / "model/weights"))))
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    said, found = evaluated(project)
    assert found is None, "the new model's answers must never stand for the old one's"
    assert "this is another model, or chance" in said
    assert "only common examples will be compared" in said


def test_where_the_old_code_fails_this_commits_code_asks_the_old_model(project: Project) -> None:
    project.write(needed="", library__py=f"open({str(project.folder / 'needed')!r})\n")
    record_main(project, "import library\n" + GIVEN)
    (project.folder / "needed").unlink()
    project.write(library__py="")
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    said, found = evaluated(project)
    assert found == as_main_answers(20, 130)
    assert "the baseline was evaluated with this commit's code (with its own commit's code: the baseline's evaluate.run ended with" in said
    assert "FileNotFoundError" in said


def test_a_relative_path_reads_the_model_of_the_checkout(project: Project) -> None:
    record_main(project, SCRIPT.replace("MODEL", '"model/weights"'))
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    assert evaluated(project)[1] == as_main_answers(20, 130)


def test_a_model_that_is_nowhere_leaves_the_common_examples(project: Project, tmp_path: Path) -> None:
    record_main(project, GIVEN)
    (project.folder / "data/test.csv").write_text(rows(20, 130))
    shutil.rmtree(tmp_path / "data")
    said, found = evaluated(project)
    assert found is None
    assert "cannot be had" in said
