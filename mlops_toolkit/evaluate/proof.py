"""Whether answers given again are the old model's, and not by some path the new one's. Pure."""

from __future__ import annotations

import polars as pl

from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.table import Table

COVERED = 0.95  # of this run's examples: below it the two are not compared anyway
AGREE = 0.99  # of the examples the old model answered before: a GPU's rounding may turn a few
SIDES = 0.9  # of the examples on which the two models are known to differ


def doubt(again: Table, head: Table, old: Table | None, salt: str) -> str | None:
    """Why `again` cannot stand for the old model on the head's examples, as a sentence; None where it can.

    head  the new model's predictions; old: what the old model answered before (its ids plain or hashed by `salt`), None if not kept
    """
    keys = ["id", "repeat"] if "repeat" in again.frame.columns else ["id"]
    if not set(keys) <= set(head.frame.columns) or not again.task_has_target:
        return None if set(keys) <= set(head.frame.columns) else "its rows have repeats and this run's have none"
    answers = again.frame.select(*keys, "prediction")
    beside_head = answers.join(head.frame.select(*keys, pl.col("prediction").alias("head")), on=keys)
    if beside_head.height < COVERED * head.n:
        return f"it answered {beside_head.height / head.n:.0%} of this run's examples"
    known = _known(answers, old, keys, salt)
    if known is not None and (agree := _share(known, "prediction", "old")) < AGREE:
        return f"it answers {1 - agree:.0%} of {known.height:,} known examples otherwise than before: this is another model, or chance"
    if known is not None:
        telling = known.join(beside_head.select(*keys, "head"), on=keys).filter(~_equal("old", "head", known.schema["old"]))
        if telling.height:
            old_ones = _share(telling, "prediction", "old")
            return None if old_ones >= SIDES else f"it sides with the new model on {1 - old_ones:.0%} of the examples that tell them apart"
    if _share(beside_head, "prediction", "head") == 1.0:
        return "its answers cannot be told from the new model's"
    return None


def _known(answers: pl.DataFrame, old: Table | None, keys: list[str], salt: str) -> pl.DataFrame | None:
    """The answers beside those given before; None where no example is known."""
    if old is None or "prediction" not in old.frame.columns or not set(keys) <= set(old.frame.columns):
        return None
    before = old.frame.select(*keys, pl.col("prediction").alias("old"))
    known = answers.join(before, on=keys)
    if not known.height:
        hashed = answers.with_columns(hash_ids(answers["id"], salt).alias("hash"))
        known = hashed.join(before.rename({"id": "hash"}), on=["hash", *keys[1:]])
    return known if known.height else None


def _equal(one: str, other: str, kind: pl.DataType) -> pl.Expr:
    if kind.is_float():
        return (pl.col(one) - pl.col(other)).abs() <= 1e-6 + 1e-3 * pl.col(other).abs()
    return pl.col(one) == pl.col(other)


def _share(frame: pl.DataFrame, one: str, other: str) -> float:
    """The share of rows on which two columns agree."""
    return float(frame.select(_equal(one, other, frame.schema[one]).mean()).item())
