"""A model of the user's own code, saved: the one format that needs nothing but numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mlops_toolkit as mlops

PREDICT = """
import json

class Model:
    def load(self, folder):
        self.weights = json.loads((folder / "weights.json").read_text())

    def predict(self, inputs):
        scores = inputs["x"] @ self.weights
        return {"label": ["yes" if score > 0 else "no" for score in scores], "score": scores}
"""
EXAMPLE = {"x": np.arange(40, dtype=np.float32).reshape(10, 4) - 20}


def write(folder: Path, code: str = PREDICT, weights: str = "[1, 2, -1, 0.5]") -> Path:
    """The sources of a handler; its predict.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_text(weights)
    (folder / "predict.py").write_text(code)
    return folder / "predict.py"


def save(folder: Path, **more: object) -> Path:
    """A saved handler in `folder`/model."""
    code = write(folder / "code")
    given = {"example": EXAMPLE, "files": [code.parent / "weights.json"], "units": {"x": "mm"}, **more}
    return mlops.save(code, folder / "model", **given)  # type: ignore[arg-type]
