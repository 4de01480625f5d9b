"""Whether answers given again are the old model's, and not by some path the new one's. Pure.

Where only the examples changed, the old model must answer the known ones as it did. Where what measures it changed, its answers may
be others: then a column that both old and new runs have and that the two models fill differently tells whose they are, or what the
command was seen to read. Where nothing tells, the answers are not used.
"""

from __future__ import annotations

import polars as pl

from mlops_toolkit.evaluate.witness import Seen
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.table import GIVEN, Table

COVERED = 0.95  # of this run's examples: below it the two are not compared anyway
AGREE = 0.99  # of the examples the old model answered before: a GPU's rounding may turn a few
SIDES = 0.9  # of the examples on which the two models are known to differ
TELLING = 10  # of them at least, where the prediction itself may have changed
UNSEEN = Seen()


def doubt(
    again: Table, head: Table, old: Table | None, salt: str, *, seen: Seen = UNSEEN, changed: bool = False, one_model: bool = False
) -> str | None:
    """Why `again` cannot stand for the old model on the head's examples, as a sentence; None where it can.

    head       the new model's predictions; old: what the old model answered before (its ids plain or hashed by `salt`), None if not kept
    seen       what the command was seen to read
    changed    what measures it changed, or what is in the examples: other answers than before are no wonder
    one_model  both runs are of one model, byte for byte: there is no other that could have answered
    """
    keys = ["id", "repeat"] if "repeat" in again.frame.columns else ["id"]
    if not set(keys) <= set(head.frame.columns):
        return "its rows have repeats and this run's have none"
    beside = _beside(again, head, keys)
    if beside.height < COVERED * head.n:
        return f"it answered {beside.height / head.n:.0%} of this run's examples"
    known = _known(again, old, keys, salt)
    why, told = (None, _by_columns(known, beside)) if changed else _by_answers(known, beside) if again.task_has_target else (None, False)
    if why is not None:
        return why
    if seen.ours:
        return f"it read {seen.ours[0]}{f' and {len(seen.ours) - 1} more' if len(seen.ours) > 1 else ''} of this checkout"
    if told or one_model or seen.proves or not (again.task_has_target or changed):
        return None
    if changed or seen.ours is not None:
        return f"nothing shows that the old model answered: {_unseen(seen)}"
    return "its answers cannot be told from the new model's" if _same(beside) else None


def _unseen(seen: Seen) -> str:
    return "what was read could not be watched" if seen.ours is None else "its file was not opened"


def _by_answers(known: pl.DataFrame | None, beside: pl.DataFrame) -> tuple[str | None, bool]:
    """The same examples must have the same answers; (why not, whether that tells the two models apart)."""
    if known is None:
        return None, False
    if (agree := _share(known, "prediction", "prediction:old")) < AGREE:
        return (
            f"it answers {1 - agree:.0%} of {known.height:,} known examples otherwise than before: this is another model, or chance",
            False,
        )
    old_ones, many = _sides("prediction", known, beside)
    if many and old_ones < SIDES:
        return f"it sides with the new model on {1 - old_ones:.0%} of the examples that tell them apart", False
    return None, many > 0


def _by_columns(known: pl.DataFrame | None, beside: pl.DataFrame) -> bool:
    """Whether some column that the two models fill differently is the old one's. That it is not says nothing: a stricter judge fails both."""
    if known is None:
        return False
    columns = (name for name in known.columns if f"{name}:old" in known.columns and f"{name}:head" in beside.columns)
    return any(many >= TELLING and old_ones >= SIDES for old_ones, many in (_sides(column, known, beside) for column in columns))


def _sides(column: str, known: pl.DataFrame, beside: pl.DataFrame) -> tuple[float, int]:
    """The share that agrees with the old model of the rows on which the two differ, and how many these are."""
    keys = [name for name in ("id", "repeat") if name in known.columns and name in beside.columns]
    if known.schema[column] != beside.schema[f"{column}:head"] or known.schema[f"{column}:old"] != known.schema[column]:
        return 0.0, 0
    telling = known.join(beside.select(*keys, f"{column}:head"), on=keys)
    telling = telling.filter(~_equal(f"{column}:old", f"{column}:head", known.schema[column]))
    return (_share(telling, column, f"{column}:old") if telling.height else 0.0), telling.height


def _beside(again: Table, head: Table, keys: list[str]) -> pl.DataFrame:
    return again.frame.join(_suffixed(head.frame, keys, "head"), on=keys)


def _known(again: Table, old: Table | None, keys: list[str], salt: str) -> pl.DataFrame | None:
    """The answers beside those given before; None where no example is known."""
    if old is None or not set(keys) <= set(old.frame.columns):
        return None
    before = _suffixed(old.frame, keys, "old")
    known = again.frame.join(before, on=keys)
    if not known.height:
        hashed = again.frame.with_columns(hash_ids(again.frame["id"], salt).alias("hash"))
        known = hashed.join(before.rename({"id": "hash"}), on=["hash", *keys[1:]])
    return known if known.height and ("prediction:old" in known.columns or not again.task_has_target) else None


def _suffixed(frame: pl.DataFrame, keys: list[str], side: str) -> pl.DataFrame:
    return frame.select(*keys, *(pl.col(name).alias(f"{name}:{side}") for name in frame.columns if name not in GIVEN))


def _same(beside: pl.DataFrame) -> bool:
    return "prediction:head" in beside.columns and _share(beside, "prediction", "prediction:head") == 1.0


def _equal(one: str, other: str, kind: pl.DataType) -> pl.Expr:
    if kind.is_float():
        return ((pl.col(one) - pl.col(other)).abs() <= 1e-6 + 1e-3 * pl.col(other).abs()).fill_null(False) | (
            pl.col(one).is_null() & pl.col(other).is_null()
        )
    return pl.col(one).eq_missing(pl.col(other))


def _share(frame: pl.DataFrame, one: str, other: str) -> float:
    """The share of rows on which two columns agree."""
    return float(frame.select(_equal(one, other, frame.schema[one]).mean()).item())
