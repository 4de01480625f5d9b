"""Verbs that need all predictions in memory refuse those that do not fit there, by name, before they are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlops_toolkit.bisect import load
from mlops_toolkit.config import requests
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.power import run as power
from mlops_toolkit.predictions.stream import source, whole
from mlops_toolkit.records.run import Evaluation, Run
from mlops_toolkit.system import memory

ROWS = 400


def by_power(path: Path) -> None:
    power._of_files(argparse.Namespace(task="classification", positive=None), "accuracy", [path, path], 0.95)


def by_bisect(path: Path) -> None:
    reading = load._Reading(load.Asked(requests.metric("accuracy")), ("a", "b"), None)
    reading._read(Run(id="1", model="m", status="succeeded", evaluations={"": Evaluation()}), path)


@pytest.mark.parametrize(("verb", "needs"), [(by_power, "mlops power"), (by_bisect, "mlops bisect")])
def test_what_does_not_fit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Path], None], needs: str
) -> None:
    path = tmp_path / "preds.parquet"
    labels = ["a", "b"] * (ROWS // 2)
    pl.DataFrame({"id": [f"e{i:04}" for i in range(ROWS)], "target": labels, "prediction": ["a"] * ROWS}).write_parquet(path)
    monkeypatch.setattr(memory, "available", lambda: 2 * whole.needed(path) - 1)
    verb(path)  # a small file is nobody's trouble
    monkeypatch.setattr(source, "ROWS", ROWS)
    with pytest.raises(EnvironmentFailure, match=f"{needs} needs all predictions in memory") as refused:
        verb(path)
    assert refused.value.name == "no-memory"
    monkeypatch.setattr(memory, "available", lambda: 2 * whole.needed(path))
    verb(path)
