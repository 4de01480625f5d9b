"""Models of real frameworks: saved by the process that trained them, loaded by one that knows nothing of it, answering the same."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.check import ROOT
from tests.programs.conftest import HERE, environment
from tests.world.once import once

pytestmark = pytest.mark.programs

# model -> (what it is stored as, what is served, the class that load gives back)
TORCH: dict[str, tuple[str, str, str]] = {
    "sklearn-pipeline": ("skops", "onnx", "Pipeline"),
    "sklearn-forest": ("skops", "onnx", "RandomForestClassifier"),
    "sklearn-gradient-boosting": ("skops", "skops", "HistGradientBoostingClassifier"),
    "sklearn-regression": ("skops", "onnx", "GradientBoostingRegressor"),
    "sklearn-columns": ("skops", "onnx", "Pipeline"),
    "sklearn-text": ("skops", "onnx", "Pipeline"),
    "xgboost": ("xgboost", "xgboost", "Booster"),
    "xgboost-two-classes": ("xgboost", "xgboost", "Booster"),
    "lightgbm": ("lightgbm", "lightgbm", "Booster"),
    "torch-module": ("safetensors", "onnx", "InferenceSession"),
    "torch-builder": ("safetensors", "onnx", "Bag"),
    "keras-on-torch": ("keras", "keras", "Sequential"),
}
TENSORFLOW: dict[str, tuple[str, str, str]] = {
    "keras": ("keras", "onnx", "Sequential"),
    "keras-itself": ("keras", "keras", "Sequential"),
    "tensorflow-module": ("saved-model", "saved-model", "_UserObject"),
}


def python(program: str, script: str, *arguments: str, cwd: Path, expected: int = 0, **more: str) -> str:
    """What a script prints under the environment of a program, in a process of its own. more: variables for it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"KERAS_HOME": str(cwd / ".keras"), **more}
    words = [str(environment(program) / "python"), str(HERE / "frameworks" / script), *arguments]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == expected, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def train(folder: Path) -> None:
    """All of them, each in a folder below this one."""
    python("frameworks", "train.py", str(folder), *TORCH, cwd=folder, KERAS_BACKEND="torch")
    python("tensorflow", "train.py", str(folder), *TENSORFLOW, cwd=folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which all of them are, trained and saved."""
    return once(tmp_path_factory, "models", train)


@pytest.fixture(scope="module")
def answered(saved: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What each answers in either form; those that are served as ONNX in a process of their own, where no framework may be imported."""
    found = {}
    for program, models in (("frameworks", TORCH), ("tensorflow", TENSORFLOW)):
        onnx = [f"served:{saved / name}" for name, row in models.items() if row[1] == "onnx"]
        others = [f"{form}:{saved / name}" for name in models for form in ("native", "served") if f"{form}:{saved / name}" not in onnx]
        for asked in (onnx, others):
            said = python(program, "answer.py", *asked, cwd=saved)
            for line in said.splitlines():
                if line.startswith("{"):
                    one = json.loads(line)
                    found[one["model"], one["form"]] = one
    return found


@pytest.mark.parametrize("name", [*TORCH, *TENSORFLOW])
def test_a_fresh_process_answers_as_the_training_process_did(
    name: str, saved: Path, answered: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """Rows that were no part of the example; texts and labels exactly, numbers to what single precision carries; served without the framework."""
    native, served, kind = {**TORCH, **TENSORFLOW}[name]
    manifest = json.loads((saved / name / "model/mlops-model.json").read_text())
    assert (manifest["native"]["format"], manifest["served"]["format"]) == (native, served), manifest["converted"]
    for form in ("native", "served"):
        found = answered[name, form]
        assert found["rows"] >= 15
        for output, apart in found["differing"].items():
            assert apart <= (0 if output == "label" else 1e-3), (form, output, apart)
        assert found["golden"] <= 1e-4
    assert answered[name, "native"]["kind"] == kind
    if served == "onnx":
        assert not {"sklearn", "torch", "tensorflow", "keras", "pandas", "skops"} & set(answered[name, "served"]["imported"])


def test_what_would_run_code_is_not_saved(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of each framework what carries code: an estimator of one's own, a Lambda layer, a module in a layer, a graph that writes files."""
    rows = {"frameworks": ("torch", "sklearn", "torch", "keras_of_torch"), "tensorflow": ("tensorflow", "keras", "tensorflow")}
    keras = {"KERAS_HOME": str(tmp_path_factory.mktemp("keras"))}
    for program, (backend, *kinds) in rows.items():
        for line in python(program, "hostile.py", *kinds, cwd=tmp_path, **keras, KERAS_BACKEND=backend).splitlines():
            said = json.loads(line)
            assert said["error"] in ("executing-format", "no-way-back"), said
    assert not list(tmp_path.iterdir())  # nothing was saved, and nothing ran


def test_a_tree_that_points_outside_of_itself_is_not_asked(saved: Path, tmp_path: Path) -> None:
    """A crafted forest whose nodes lead out of its arrays reads foreign memory if it is asked: it is refused when it is loaded."""
    said = json.loads(python("frameworks", "crooked.py", str(saved / "sklearn-forest/model"), cwd=tmp_path))
    assert said == {"error": "bad-model", "message": "a decision tree points outside of itself"}
