"""`mlops inspect` says what a stored model is without loading it; asked for its golden examples, it loads it and asks them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check import ROOT
from tests.unit.formats.saved import save
from tests.unit.models.test_parameters import safetensors


def inspect(folder: Path, *words: str, expected: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", "inspect", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_all_of_it_is_shown_and_no_code_runs(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (folder.parent / "ran").unlink(missing_ok=True)
    out, _ = inspect(tmp_path, "model")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["format"] == "handler (code of this repository, run when it is loaded)"
    assert lines["input"] == "x FP32 [any, 4] in mm"
    assert "golden" in lines
    assert "6 files" in lines["size"]


def test_the_document_says_the_same(tmp_path: Path) -> None:
    save(tmp_path)
    data = json.loads(inspect(tmp_path, "model", "--json", "--golden")[0])
    assert data["native"] == {"format": "handler", "file": "code"}
    assert data["inputs"] == [
        {"name": "x", "dtype": "FP32", "shape": [-1, 4], "unit": "mm", "labels": None, "missing": False, "files": False}
    ]
    assert [one["name"] for one in data["outputs"]] == ["label", "score"]
    assert data["golden"] == {"rows": 8, "largest-difference": 0.0}


def test_a_model_that_answers_otherwise_is_found_out(tmp_path: Path) -> None:
    """Its code depends on what is outside of it: the digest cannot see that, the golden examples do."""
    import mlops_toolkit as mlops
    from tests.unit.formats.saved import EXAMPLE, PREDICT, write

    scale = tmp_path / "scale"
    outside = f'inputs["x"] @ self.weights * float(__import__("pathlib").Path({str(scale)!r}).read_text())'
    code = write(tmp_path / "code", PREDICT.replace('inputs["x"] @ self.weights', outside))
    scale.write_text("1")
    mlops.save(code, tmp_path / "model", example=EXAMPLE, files=[code.parent / "weights.json"])
    scale.write_text("1.5")
    inspect(tmp_path, "model")
    _, err = inspect(tmp_path, "model", "--golden", expected=5)
    assert "does not answer its golden examples" in err


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [("w.safetensors", safetensors({"a": [3, 4]}), "weights alone"), ("notes.txt", b"x", "no format that is known")],
)
def test_a_bare_file_is_named_with_the_way_to_serve_it(name: str, raw: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    out, err = inspect(tmp_path, name)
    assert said in out
    assert "mlops.save(model" in err


def test_neither_a_path_nor_a_run(tmp_path: Path) -> None:
    _, err = inspect(tmp_path, "nothing", expected=2)
    assert "neither a file or folder here nor the id of a run" in err
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04K\x01.")
    _, err = inspect(tmp_path, "model.pkl", expected=2)
    assert "runs whatever code" in err
