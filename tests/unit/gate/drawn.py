"""Predictions drawn as text, so that a test shows its case."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from mlops_toolkit.config import read
from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.predictions.read import read as read_predictions
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.result import Side
from mlops_toolkit.records.run import Environment, Measure, Model, Run

TODAY = date(2026, 11, 24)


def table(columns: Mapping[str, Sequence[Any]], **how: Any) -> Table:
    """A checked table of these columns; ids are e0, e1, … where not given."""
    n = len(next(iter(columns.values())))
    frame = pl.DataFrame({"id": [f"e{i}" for i in range(n)], **columns} if "id" not in columns else dict(columns), strict=False)
    raw = io.BytesIO()
    frame.write_parquet(raw)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        path.write_bytes(raw.getvalue())
        return read_predictions(path, name="preds.parquet", **how)


def answers(right: int, wrong: int, *, start: int = 0) -> dict[str, list[str]]:
    """`right` rows answered right and then `wrong` ones answered wrong, half of either class."""
    n = right + wrong
    target = ["cat" if i % 2 else "dog" for i in range(start, start + n)]
    other = {"cat": "dog", "dog": "cat"}
    return {"target": target, "prediction": [t if i < right else other[t] for i, t in enumerate(target)]}


def config(text: str) -> Config:
    """mlops.yaml, from its text without the name."""
    return read.parse(f"name: pets\n{text}", where="mlops.yaml", path=Path("/repository/mlops.yaml")).config


def side(
    columns: Mapping[str, Sequence[Any]] | None = None,
    *,
    label: str = "main",
    run: Run | None = None,
    measures: Mapping[str, Measure] | None = None,
    **how: Any,
) -> Loaded:
    tables = {} if columns is None else {"": table(columns, **how)}
    return Loaded(label=label, run=run, tables=tables, measures=measures or {})


def run(digest: str | None = None, *, gpu: str | None = None, **more: Any) -> Run:
    trained = Model(digest=f"sha256:{digest}", size=1000, path="model") if digest else None
    return Run(id="20261124-000000-aaaaaa", model="pets", trained=trained, environment=Environment(gpu=gpu), **more)


def request(text: str = "", *, base: str | None = None, state: str = "ok", **more: Any) -> Request:
    return Request(
        config=config(text),
        baseline=Side(label="main", commit="a" * 40, state=state),
        head=Side(label="this PR"),
        today=TODAY,
        base_config=config(base) if base is not None else None,
        **more,
    )
