"""How the metrics of a suite spread over several trainings of one recipe, each with its predictions of the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from mlops_toolkit.config.requests import read_by
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions import check
from mlops_toolkit.predictions.place import Source
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.score import suite_of, wanted_metrics
from mlops_toolkit.predictions.slices import masks
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Spread
from mlops_toolkit.stats import seeds
from mlops_toolkit.stats.metrics import resolve

Spreads = Mapping[str, Spread]


def ordered(table: Table, like: Table, seed: int) -> Table:
    """The same examples in the other table's order. InvalidFile `seeds-differ` where they are not the same."""
    keys = ["id", "repeat"] if "repeat" in like.frame.columns else ["id"]
    fixed = [c for c in ("target", "weight", "cluster") if c in like.frame.columns]
    if not set(keys) <= set(table.frame.columns) or table.n != like.n:
        raise _differ(table, seed, f"{table.n:,} examples, not {like.n:,}")
    frame = table.frame
    if not frame.select(keys).equals(like.frame.select(keys)):
        frame = like.frame.select(keys).join(frame, on=keys, how="left", maintain_order="left").select(frame.columns)
    for column in fixed:
        if column not in frame.columns or not frame[column].equals(like.frame[column], null_equal=True):
            raise _differ(table, seed, f"another {column}")
    return replace(table, frame=frame)


def _differ(table: Table, seed: int, what: str) -> InvalidFile:
    return InvalidFile(
        "seeds-differ",
        f"with seed {seed} the evaluation answered other examples than with the first seed: {what}",
        where=table.source,
        hint="the test set must not depend on MLOPS_SEED: trainings are compared on the same examples",
    )


def answered(answers: pl.DataFrame, first: Table, where: str) -> Table:
    """The first seed's examples as another seed's model answered them: answers (see `anonymous.anonymise`) has a row for each, in order.

    InvalidFile `seeds-differ` where it has not, and as of `check`.
    """
    if answers.height != first.n:
        raise InvalidFile(
            "seeds-differ", f"{answers.height:,} answers to {first.n:,} examples", where=where, hint="run `mlops evaluate` again"
        )
    return check.check(first.frame.with_columns(answers.get_columns()), Source(where, "parquet"), task=first.task, positive=first.positive)


def alike(tables: Sequence[Table]) -> tuple[Table, ...]:
    """The tables with the labels of all of them, so that a code means one label."""
    labels = tuple(sorted({label for table in tables for label in table.labels}))
    positive = next((table.positive for table in tables if table.positive), None)
    return tuple(replace(table, labels=labels, positive=table.positive or positive) for table in tables)


def spreads(tables: Sequence[Table], config: Config, name: str) -> tuple[Spreads, Mapping[str, Spreads]]:
    """metric -> spread, and slice -> metric -> spread, of a suite whose seeds' tables (the first one's first) are `ordered`."""
    suite, wanted = suite_of(config, name), wanted_metrics(config, name, tables[0])
    columns = read_by(wanted)
    rows = [sample(table, columns) for table in alike(tables)]
    metrics = [resolve(request, labels=rows[0].labels, where=f"metrics of {name or 'evaluate'}") for request in wanted]

    def found(mask: object) -> dict[str, Spread]:
        cut = rows if mask is None else [one.take(mask) for one in rows]  # type: ignore[arg-type]
        made = {f"{name}/{metric.name}" if name else metric.name: seeds.spread(metric, cut) for metric in metrics}
        return {full: Spread(one.seeds, one.variance, one.explained) for full, one in made.items() if one is not None}

    slices = masks(tables[0].frame, suite.slices) if suite.slices else []
    return found(None), {label: found(mask) for label, mask in slices}
