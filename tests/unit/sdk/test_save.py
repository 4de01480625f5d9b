"""`mlops.save`, with a model of the user's own code: whole or not at all, golden examples, and every mistake named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_toolkit as mlops
from mlops_toolkit.errors import MlopsError
from tests.check import ROOT
from tests.unit.formats.saved import EXAMPLE, PREDICT, save, write


def test_a_fresh_process_answers_the_same(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (tmp_path / "code/predict.py").unlink()  # nothing of what it was saved from is needed
    code = "import json, sys, mlops_toolkit as m, numpy as np; l = m.load(sys.argv[1]); f = l.predict(np.ones((3, 4))); print(json.dumps([list(f['label']), list(f['score']), l.golden()]))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, env=env, cwd=tmp_path, timeout=60
    )
    assert json.loads(done.stdout) == [["yes"] * 3, [2.5] * 3, 0.0]
    assert not list(folder.rglob("__pycache__"))  # loading writes nothing into it, or it would not be what was saved


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = save(tmp_path / "one"), save(tmp_path / "two")
    files = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.is_file()]
    assert len(files) == 6
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_what_was_there_goes_and_nothing_is_left_beside(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (tmp_path / "code/weights.json").write_text("[0, 0, 0, 1]")
    code = tmp_path / "code/predict.py"
    assert mlops.save(code, folder, example=EXAMPLE, files=[tmp_path / "code/weights.json"]) == folder
    assert mlops.load(folder).predict(np.ones((1, 4)))["score"] == [1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "model"]


def test_a_save_that_fails_leaves_the_former_model(tmp_path: Path) -> None:
    folder = save(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code = write(tmp_path / "bad", PREDICT.replace("inputs[", "inputs.wrong["))
    with pytest.raises(Exception, match="wrong"):
        mlops.save(code, folder, example=EXAMPLE, files=[code.parent / "weights.json"])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "code", "model"]


KILLED = """
import os, sys, pathlib
import mlops_toolkit as mlops
from tests.unit.formats.saved import EXAMPLE
calls = [0]
def watch(event, arguments):
    if event in ("open", "os.rename", "os.mkdir", "shutil.rmtree", "os.remove", "os.rmdir") and sys.argv[1] in str(arguments[0]):
        calls[0] += 1
        if calls[0] == int(sys.argv[2]):
            os._exit(9)
root = pathlib.Path(sys.argv[1])
sys.addaudithook(watch)
mlops.save(root / "code/predict.py", root / "model", example=EXAMPLE, files=[root / "code/weights.json"])
"""


def test_killed_at_any_instant_there_is_a_whole_model_or_the_former_one(tmp_path: Path) -> None:
    """Killed before each of its touches of the disk in turn: what stands at the place is loadable, or lies beside it, whole, until the next save."""
    ends, point = [], 1
    while not ends or ends[-1] != 0:
        root = tmp_path / str(point)
        save(root)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        ends.append(
            subprocess.run(
                [sys.executable, "-c", KILLED, str(root), str(point)], env=env, capture_output=True, check=False, timeout=60
            ).returncode
        )
        assert ends[-1] in (0, 9)
        found = [path for path in (root / "model", *root.glob(".model.*/former"), *root.glob(".model.*/model")) if path.exists()]
        assert any(whole(path) for path in found), point
        assert not (root / "model").exists() or whole(root / "model"), point
        point += 3
    assert len(ends) > 10


def whole(folder: Path) -> bool:
    try:
        return bool(mlops.load(folder).golden() == 0.0)
    except MlopsError:
        return False


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        ({"example": {}}, "bad-example", "holds nothing"),
        ({"example": {"x": np.zeros((0, 4))}}, "bad-example", '"x" holds no rows'),
        ({"example": {"x": 3.0}}, "bad-example", "one value"),
        ({"example": {"x": [[1], [1, 2]]}}, "bad-example", "no array"),
        ({"example": {"x": [object()]}}, "bad-example", "of type object"),
        ({"example": {"x": np.zeros((2, 4)), "y": np.zeros(3)}}, "bad-example", "x 2, y 3"),
        ({"files": ["nowhere.txt"]}, "no-such-file", "nowhere.txt"),
        ({"labels": ["a", "b", "c"]}, "bad-labels", "3 labels"),
        ({"labels": {"odds": ["a"]}}, "unknown-name", "odds"),
        ({"units": {"y": "mm"}}, "unknown-name", '"y"'),
        ({"dynamic": {"y": [1]}}, "unknown-name", '"y"'),
        ({"dynamic": {"x": [2]}}, "unknown-axis", "there is no 2"),
        ({"builder": "net:build"}, "no-effect", "builder has no effect"),
        ({"example": {"x": np.zeros((2, 3))}}, "bad-example", "does not answer it: ValueError"),
    ],
)
def test_mistakes(change: dict[str, Any], name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match=said) as raised:
        save(tmp_path, **change)
    assert raised.value.name == name
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        ("class Model: pass", "handler-failed", "load"),
        ("def nothing(): pass", "handler-failed", "Model"),
        ("raise OSError('no such thing')", "handler-failed", "no such thing"),
        ("class Model:\n  def load(self, folder): pass", "bad-model", "no predict"),
        ("class Model:\n  def load(self, folder): pass\n  def predict(self, inputs): return [1]", "bad-output", r"shape \[1\]"),
        (
            "class Model:\n  def load(self, folder): pass\n  def predict(self, inputs): return [{}] * 10",
            "bad-output",
            "neither numbers nor text",
        ),
        ("class Model:\n  def load(self, folder): pass\n  def predict(self, inputs): return 5", "bad-output", "shape"),
    ],
)
def test_what_is_wrong_with_a_handler_is_said_when_it_is_saved(code: str, name: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, code)
    with pytest.raises(MlopsError, match=said) as raised:
        mlops.save(path, tmp_path / "model", example=EXAMPLE, files=[tmp_path / "weights.json"])
    assert raised.value.name == name


def test_a_place_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/thesis.txt").write_text("years of work")
    with pytest.raises(MlopsError, match="something else") as raised:
        save(tmp_path)
    assert raised.value.name == "model-in-the-way"
    assert (tmp_path / "model/thesis.txt").read_text() == "years of work"


def test_a_path_that_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path, name in (
        (tmp_path / "nothing.onnx", "no-such-file"),
        (tmp_path / "nothing", "no-such-file"),
        (tmp_path / "notes.txt", "unknown-model"),
    ):
        with pytest.raises(MlopsError) as raised:
            mlops.save(path, tmp_path / "model", example=EXAMPLE)
        assert raised.value.name == name
    with pytest.raises(MlopsError, match="no such folder"):
        mlops.load(tmp_path / "nowhere")


def test_two_models_that_import_files_of_one_name_each_have_their_own(tmp_path: Path) -> None:
    """Two versions in one process, beside a module of that name that the process has itself."""
    code = "import helper\nclass Model:\n  def load(self, folder): pass\n  def predict(self, inputs): return {'y': inputs['x'].sum(1) * helper.SCALE}\n"
    for name, scale in (("one", 1), ("two", 2)):
        write(tmp_path / name, code)
        (tmp_path / name / "helper.py").write_text(f"SCALE = {scale}")
        mlops.save(tmp_path / name / "predict.py", tmp_path / f"model-{name}", example=EXAMPLE, files=[tmp_path / name / "helper.py"])
    mine = types.ModuleType("helper")
    sys.modules["helper"] = mine
    try:
        one, two = (mlops.load(tmp_path / f"model-{name}") for name in ("one", "two"))
        assert sys.modules["helper"] is mine
        assert [model.predict(np.ones((1, 4)))[0] for model in (one, two)] == [4, 8]
    finally:
        del sys.modules["helper"]


def test_compiled_code_beside_the_saved_one_is_not_run(tmp_path: Path) -> None:
    """Python would take a compiled file for the source that was verified: a folder with one is not what was saved."""
    folder = save(tmp_path)
    cache = folder / "code/__pycache__"
    cache.mkdir()
    (cache / f"json.{sys.implementation.cache_tag}.pyc").write_bytes(b"anything")
    with pytest.raises(MlopsError, match="was not saved with it"):
        mlops.load(folder)


def test_an_object_that_no_format_takes_is_named(tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match=r"a builtins.dict is stored by none") as raised:
        mlops.save({}, tmp_path / "model", example=[[1.0]])
    assert raised.value.name == "unknown-model"


def test_importing_the_package_needs_nothing_installed() -> None:
    """A training script that only imports it pays nothing: no module of ours but the version, and none that is not Python's own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import mlops_toolkit; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    names = set(done.stdout.split())
    assert {name for name in names if name.startswith("mlops_toolkit")} == {"mlops_toolkit", "mlops_toolkit._version"}
    assert {name.partition(".")[0] for name in names} - {"mlops_toolkit", "__main__"} <= {*sys.stdlib_module_names, "_distutils_hack"}
