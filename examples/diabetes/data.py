"""The patients, the parameters, and the folds that train.py and evaluate.py agree on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold


def params() -> dict:
    return yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))


def patients() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """442 patients: ten measurements each (rows × 10), the disease's progress a year later (25 to 346), and age in years."""
    cells, progress = load_diabetes(return_X_y=True, scaled=False)
    return cells, progress, cells[:, 0]


def folds(rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ten (train, test) pairs of row numbers: each patient is judged by a model that was trained without them."""
    return list(KFold(n_splits=10, shuffle=True, random_state=0).split(np.zeros(rows)))
