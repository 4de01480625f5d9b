"""Tables as the arrays that metrics are computed from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import polars as pl

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import numbers
from mlops_toolkit.predictions.place import Source, shown
from mlops_toolkit.predictions.table import PROB, RESERVED, Table
from mlops_toolkit.stats.sample import Codes, Floats, Sample


def sample(table: Table, columns: tuple[str, ...] = ()) -> Sample:
    """The table's rows, in its order, as a Sample.

    columns: the numeric columns that means and quantiles are taken of. One that is not there is an InvalidFile `missing-column`, one
    with a cell that is no number `not-a-number`.
    """
    return arrays(table, table.frame, table.labels, columns)


def arrays(
    table: Table, frame: pl.DataFrame, labels: tuple[str, ...], columns: tuple[str, ...] = (), positive: str | None = None
) -> Sample:
    """A Sample of the rows `frame` of `table`, coded by `labels`, which hold at least the table's own."""
    positive = positive or table.positive
    sign = labels.index(positive) if positive in labels else None
    prob = _prob(table, frame, labels)
    score = frame["score"].to_numpy() if "score" in frame.columns else None
    if score is None and prob is not None and sign is not None and len(labels) == 2:
        score = prob[:, sign]
    return Sample(
        n=frame.height,
        target=_values(table, frame["target"], labels) if table.task_has_target else None,
        prediction=_values(table, frame["prediction"], labels) if table.task_has_target else None,
        labels=labels,
        score=score,
        prob=prob,
        weight=frame["weight"].to_numpy() if "weight" in frame.columns else None,
        cluster=_clusters(frame),
        columns={name: column(table, name, frame).to_numpy() for name in columns},
        positive=sign,
    )


class Named(Protocol):
    """Whatever has a name for messages."""

    @property
    def source(self) -> str: ...


def column(table: Named, name: str, frame: pl.DataFrame) -> pl.Series:
    """A column of the user's as Float64, by name; the ids in `frame` say where one is no number."""
    if name not in frame.columns or name in ("id", "cluster", "repeat"):
        known = [c for c in frame.columns if c not in RESERVED] or list(frame.columns)
        raise InvalidFile(
            "missing-column", f"there is no column {shown(name)} of numbers", where=table.source, hint=did_you_mean(name, known)
        )
    values = frame[name]
    if numbers.parse(values).null_count() == 0:
        return numbers.parse(values)
    ids = frame["id"].filter(numbers.parse(values).is_null())
    first = int(numbers.parse(values).is_null().arg_max() or 0)
    error = numbers.refusal(values, first, Source(table.source, "parquet"), first)
    error.where = f"{table.source}, id {shown(ids[0])}, column {name}"
    raise error


def _values(table: Table, column: pl.Series, labels: tuple[str, ...]) -> Codes | Floats:
    if table.task == "regression":
        return column.to_numpy()
    codes: Codes = column.cast(pl.Enum(list(labels))).to_physical().to_numpy().astype(np.int32)
    return codes


def _clusters(frame: pl.DataFrame) -> Codes | None:
    """Codes of the cluster column; without one, the repeats of an id are a cluster."""
    if "cluster" in frame.columns:
        codes: Codes = (frame["cluster"].rank("dense") - 1).to_numpy().astype(np.int32)
        return codes
    if "repeat" in frame.columns and frame.height:
        runs: Codes = frame["id"].rle_id().to_numpy().astype(np.int32)
        return runs
    return None


def _copied(column: pl.Series, to: Floats) -> None:
    """The column's numbers, written there chunk by chunk: as one array they would be copied twice."""
    start = 0
    for chunk in column.get_chunks():
        to[start : start + len(chunk)] = chunk.to_numpy()
        start += len(chunk)


def _prob(table: Table, frame: pl.DataFrame, labels: tuple[str, ...]) -> Floats | None:
    """(n, len(labels)): a label without a column has what the others leave, of two labels; 0, of more (see the check of sums)."""
    given = [label for label in table.labels if PROB + label in frame.columns]
    if not given:
        return None
    prob: Floats = np.empty((frame.height, len(labels)), order="F")
    for at, label in enumerate(labels):
        if label in given:
            _copied(frame[PROB + label], prob[:, at])
        else:
            prob[:, at] = 0.0
    if len(given) == 1 and len(table.labels) == 2:
        other = next(label for label in table.labels if label not in given)
        prob[:, labels.index(other)] = 1.0 - prob[:, labels.index(given[0])]
    return prob
