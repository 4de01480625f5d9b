"""Training programs that nobody here wrote, as their packages install them, go through train, evaluate and compare."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from tests.programs.conftest import Project

pytestmark = pytest.mark.programs
Make = Callable[[str], Project]


def reviewed(project: Project) -> dict[str, Any]:
    """The run record after train, evaluate and compare passed."""
    project.mlops("train")
    project.mlops("evaluate")
    project.mlops("compare")
    return record(project)


def record(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / ".mlops/run.json").read_text())
    return found


def blocked(project: Project, metric: str) -> dict[str, Any]:
    """The failed check of `metric` after train, evaluate, and a compare that blocks."""
    project.mlops("train")
    project.mlops("evaluate")
    result = json.loads(project.mlops("compare", "--json", expected=1))
    assert result["verdict"] == "fail"
    found: dict[str, Any] = next(check for check in result["checks"] if check["metric"] == metric and not check["slice"])
    assert found["verdict"] == "fail"
    return found


def reused(project: Project) -> None:
    """A commit that touches nothing the model is made of trains nothing again."""
    (project.folder / "README.md").write_text("# A model\n")
    project.commit("Say what it is")
    project.mlops("train")
    assert record(project)["status"] == "reused"


def test_spacy_train(project: Make) -> None:
    """`spacy train`: our macro F1 is what `spacy evaluate` prints; ten steps instead of two hundred are blocked."""
    spacy = project("spacy")
    spacy.sh("python make_data.py && python -m spacy init config --lang xx --pipeline textcat --optimize efficiency config.cfg")
    spacy.sh("sed -i 's/^max_steps.*/max_steps = 200/; s/^eval_frequency.*/eval_frequency = 100/' config.cfg")
    spacy.commit("Tell eight languages apart by three words")
    run = reviewed(spacy)
    spacy.sh("python -m spacy evaluate model/model-last data/test.spacy --output scores.json")
    own = json.loads((spacy.folder / "scores.json").read_text())
    assert run["metrics"]["f1-macro"]["value"] == pytest.approx(own["cats_macro_f"], abs=1e-9)
    reused(spacy)
    spacy.sh("git switch --quiet --create hasty && sed -i 's/^max_steps.*/max_steps = 10/' config.cfg")
    spacy.commit("Train for ten steps")
    assert blocked(spacy, "accuracy")["high"] < -0.05


def test_vowpal_wabbit(project: Make) -> None:
    """`vw` evaluated by a shell script: our accuracy is what `vw --binary` reports; one timid pass instead of thirty is blocked."""
    vw = project("vowpal_wabbit")
    data = vw.folder / "data"
    data.mkdir()
    patients = list(zip(*load_breast_cancer(return_X_y=True), strict=True))
    for name, part in (("train", 0), ("test", 1)):
        lines = [
            f"{1 if benign else -1} patient-{row}| " + " ".join(f"{column}:{value:.6g}" for column, value in enumerate(cells))
            for row, (cells, benign) in enumerate(patients)
            if row % 2 == part
        ]
        (data / f"{name}.vw").write_text("\n".join(lines) + "\n")
    vw.commit("Tell benign from malignant")
    run = reviewed(vw)
    told = vw.sh("python -m vowpalwabbit --testonly --binary -i model/cancer.vw -d data/test.vw 2>&1")
    wrong = float(re.findall(r"average loss = (\S+)", told)[0])
    assert run["metrics"]["accuracy"]["value"] == pytest.approx(1 - wrong, abs=1e-6)
    reused(vw)
    vw.sh("git switch --quiet --create timid && echo '--loss_function logistic --learning_rate 0.0001 --cache' > flags.txt")
    vw.commit("One timid pass")
    assert blocked(vw, "accuracy")["change"] < -0.3


def test_catboost(project: Make) -> None:
    """CatBoost, a regression: our RMSE is what CatBoost computes itself; ten trees instead of three hundred are blocked."""
    catboost = project("catboost")
    data = catboost.folder / "data"
    data.mkdir()
    patients = list(zip(*load_diabetes(return_X_y=True), strict=True))
    for name, part in (("train", 0), ("test", 1)):
        with (data / f"{name}.tsv").open("w", newline="") as file:
            rows = csv.writer(file, delimiter="\t")
            rows.writerows([progress, *cells] for row, (cells, progress) in enumerate(patients) if row % 2 == part)
    (data / "columns.cd").write_text("0\tLabel\n")
    catboost.commit("Foresee the progress of a disease")
    run = reviewed(catboost)
    own = catboost.sh(
        "python -c \"from catboost import CatBoost, Pool; test = Pool('data/test.tsv', column_description='data/columns.cd'); "
        "print(CatBoost().load_model('model/disease.cbm').eval_metrics(test, ['RMSE'])['RMSE'][-1])\""
    )
    assert run["metrics"]["rmse"]["value"] == pytest.approx(float(own), rel=1e-9)
    reused(catboost)
    catboost.sh("git switch --quiet --create few && sed -i 's/300/10/' params.json")
    catboost.commit("Grow ten trees")
    check = blocked(catboost, "mae")
    assert check["head"] > check["baseline"]
    assert Path(catboost.folder / ".mlops/comment.md").read_text().startswith("❌ disease-progress")
