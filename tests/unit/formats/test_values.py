"""What a signature says of values beside their type: whether some may be missing, and whether they are the bytes of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mlops_toolkit as mlops
from mlops_toolkit.formats import golden, manifest
from tests.unit.formats.saved import EXAMPLE, save

LENGTHS = """
class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        return {"length": [len(one) for one in inputs["file"]], "same": [bytes(one) for one in inputs["file"]]}
"""


def test_a_models_files_are_its_examples_with_every_byte(tmp_path: Path) -> None:
    """Zeros at the end, bytes that are no text, an empty file: the golden examples, what is loaded and what comes out have them all."""
    (tmp_path / "predict.py").write_text(LENGTHS)
    pictures = [b"\x89PNG\x00\xff\x00\x00", b"", b"text"]
    folder = mlops.save(tmp_path / "predict.py", tmp_path / "model", example=pictures)
    again = mlops.save(tmp_path / "predict.py", tmp_path / "again", example=pictures)
    assert (folder / golden.NAME).read_bytes() == (again / golden.NAME).read_bytes()
    signature = manifest.read(folder).signature
    (file,) = signature.inputs
    assert (file.name, file.dtype, file.files) == ("file", "BYTES", True)
    inputs, outputs = golden.read(folder, signature)
    assert inputs["file"].tolist() == outputs["same"].tolist() == pictures
    answer = mlops.load(folder).predict(pictures)
    assert answer["length"].tolist() == [8, 0, 4]
    assert answer["same"].tolist() == pictures


def test_missing_numbers_of_the_example_are_said_and_others_are_not(tmp_path: Path) -> None:
    holes = EXAMPLE["x"].copy()
    holes[3, 1] = np.nan
    folder = save(tmp_path, example={"x": holes})
    assert manifest.read(folder).signature.inputs[0].missing
    plain = save(tmp_path / "plain")
    assert not manifest.read(plain).signature.inputs[0].missing
    assert b"missing" not in (plain / manifest.NAME).read_bytes()
