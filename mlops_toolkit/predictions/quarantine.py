"""A stranger's answers, and nothing else of theirs: who answers what is the baseline's, what was answered is the stranger's.

The file is read in a process of its own, under limits (`reader`). Of it count the ids, the predictions and the scores; targets, weights,
clusters, repeats and the columns that slices read come from the baseline's stored predictions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile
from mlops_toolkit.predictions import check, reader
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.place import Source
from mlops_toolkit.predictions.table import PROB, Table
from mlops_toolkit.system import proc

ANOTHER = "(another label)"  # what stands for a label that the baseline does not know: always a wrong answer
WAY_OUT = "a maintainer's comment `/evaluate` on the pull request judges its model with its own test set"


def answers(raw: bytes, base: Table, *, salt: str | None, name: str) -> Table:
    """The baseline's examples as a stranger answered them, ids as the baseline has them.

    raw   the bytes of a Parquet file
    salt  the baseline's ids are hashes made with it; None: they are plain
    name  what messages call the file

    InvalidFile `fork-data-changed` where not every example of the baseline is answered exactly once and nothing else is; `not-predictions`
    and those of `check` where the file, or an answer, cannot be read.
    """
    keys = ["id", "repeat"] if "repeat" in base.frame.columns else ["id"]
    judged = ["prediction"] if base.task_has_target else []
    scored = [c for c in base.frame.columns if c == "score" or c.startswith(PROB)]
    given = _frame(raw, [*keys, *judged, *scored], name, most=2 * base.n + 1000)
    if missing := next((c for c in [*keys, *judged] if c not in given.columns), None):
        raise InvalidFile("missing-column", f'there is no column "{missing}"', where=name)
    given = given.with_columns([_text(given[key], name) for key in keys])
    if salt is not None:
        given = given.with_columns(hash_ids(given["id"], salt))
    _same_examples(given.select(keys), base.frame.select(keys), name)
    if base.task == "classification":
        given = given.with_columns(_known_labels(_text(given["prediction"], name), base.labels))
    theirs = given.select([*keys, *(c for c in [*judged, *scored] if c in given.columns)])
    ours = base.frame.select([c for c in base.frame.columns if c not in (*judged, *scored)])
    made = ours.join(theirs, on=keys, how="left", validate="1:1", maintain_order="left")
    return check.check(made, Source(name, "parquet"), task=base.task, positive=base.positive)


def _frame(raw: bytes, columns: list[str], name: str, *, most: int) -> pl.DataFrame:
    """The columns of a file that are there; InvalidFile `not-predictions`."""
    command = [sys.executable, "-I", str(Path(reader.__file__)), str(most), *columns]
    try:
        done = proc.run(command, env={"POLARS_MAX_THREADS": "1", "LC_ALL": "C.UTF-8"}, data=raw, timeout_seconds=4 * reader.SECONDS)
    except EnvironmentFailure as error:
        if error.name != "program-hangs":
            raise
        raise InvalidFile("not-predictions", "it takes too long to read", where=name) from error
    if done.status != 0:
        told = done.status == reader.REFUSED
        raise InvalidFile("not-predictions", done.trouble if told else "it is no whole Parquet file, or one too large to read", where=name)
    found = json.loads(done.stdout)
    try:
        return pl.DataFrame([pl.Series(column, cells, strict=True) for column, cells in found.items()])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InvalidFile("not-predictions", "its cells are neither all text nor all numbers", where=name) from error


def _text(column: pl.Series, name: str) -> pl.Series:
    """A column as text; every row has one."""
    text: pl.Series = column.cast(pl.String)
    if text.null_count() or (text == "").any():
        raise InvalidFile("missing-value", f"a row has no {column.name}", where=name)
    return text


def _known_labels(predicted: pl.Series, labels: tuple[str, ...]) -> pl.Series:
    """The predictions, those that are no label of the baseline's as ANOTHER."""
    known = set(labels)
    return pl.Series(predicted.name, [label if label in known else ANOTHER for label in predicted.to_list()], dtype=pl.String)


def _same_examples(given: pl.DataFrame, wanted: pl.DataFrame, name: str) -> None:
    keys = wanted.columns
    twice = given.height - given.unique().height
    missing = wanted.join(given, on=keys, how="anti").height
    extra = given.unique().join(wanted, on=keys, how="anti").height
    if not (twice or missing or extra):
        return
    counted = (
        (missing, "of the baseline's {} not answered"),
        (extra, "answered that the baseline does not have"),
        (twice, "answered twice"),
    )
    told = ", ".join(f"{many:,} {what.format(f'{wanted.height:,}')}" for many, what in counted if many)
    raise InvalidFile("fork-data-changed", f"these are not the baseline's examples: {told}", where=name, hint=WAY_OUT)
