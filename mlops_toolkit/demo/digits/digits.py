"""The scans as the model sees them, its kernel, and the folds that train.py and evaluate.py agree on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml

FOLDS = 5


def params() -> dict:
    return yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))


def scans() -> tuple[np.ndarray, np.ndarray]:
    """1,797 scans of handwritten digits, 8 × 8 pixels from 0 (paper) to 16 (ink), and which digit each one is.

    scikit-learn's load_digits(), read from its file: importing all of scikit-learn would take longer than training.
    """
    package = Path(find_spec("sklearn").origin).parent
    rows = np.loadtxt(package / "datasets/data/digits.csv.gz", delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)


def seen(images: np.ndarray, params: dict) -> np.ndarray:
    """The pixels that the parameters keep, in as many grey levels."""
    every, levels = params["every"], params["grey-levels"]
    kept = images[:, ::every, ::every]
    if levels == 17:
        return kept
    step = 16 / levels
    return np.minimum(kept // step, levels - 1) * step


def kernel(one: np.ndarray, other: np.ndarray, gamma: float) -> np.ndarray:
    """exp(−γ‖a − b‖²) of every row of one with every row of the other."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.exp(-gamma * squares.clip(min=0))


def fold(rows: int) -> np.ndarray:
    """Which of the five folds a scan belongs to: it is judged by the model that was trained on the other four."""
    return np.arange(rows) % FOLDS
