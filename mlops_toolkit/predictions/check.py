"""From the rows of a file to a Table: every check that stands between a file and a number."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import polars as pl

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import numbers
from mlops_toolkit.predictions.place import Source, shown
from mlops_toolkit.predictions.table import COLUMNS_ONLY, PROB, RESERVED, Table

# What other programs call our columns: suggested, never assumed.
ALIASES = {
    "id": (
        "index",
        "idx",
        "example_id",
        "exampleid",
        "uid",
        "uuid",
        "key",
        "example",
        "row_id",
        "row",
        "sample_id",
        "sample",
        "unnamed: 0",
    ),
    "target": (
        *("y_true", "ytrue", "y", "true", "label", "labels", "gold", "gold_label", "actual", "truth", "ground_truth", "groundtruth"),
        *("expected", "class", "reference", "answer", "true_label", "targets", "y_test"),
    ),
    "prediction": (
        *("y_pred", "ypred", "pred", "preds", "predicted", "predictions", "predicted_label", "y_hat", "yhat", "output", "model_output"),
        *("pred_label", "prediction_label", "response"),
    ),
    "score": ("y_score", "yscore", "proba", "prob", "probability", "confidence", "logit"),
}
LONGEST = 1 << 16
FEW_LABELS = 50
MANY_VALUES = 10
SLACK, SUM_SLACK = 1e-6, 1e-3


def check(frame: pl.DataFrame, source: Source, *, task: str | None = None, positive: str | None = None) -> Table:
    """The Table that `frame` is, its row i being row i of `source`; InvalidFile at the first thing that is wrong."""
    order = pl.int_range(frame.height, eager=True)
    if source.kind == "csv" and frame.width and frame[frame.columns[0]].null_count():
        filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        frame, order = frame.filter(filled), order.filter(filled)
    found = task_of_columns(frame, source, task)
    if frame.height == 0:
        raise source.refuse("no-rows", "there is a header but not one row", hint="write one row per example")
    frame = texts(frame, ["id", *(c for c in ("cluster", "repeat") if c in frame.columns)], source, order)
    frame = numeric(frame, ["score", "weight", *(c for c in frame.columns if c.startswith(PROB))], source, order)
    if "weight" in frame.columns:
        refuse_where(frame["weight"] <= 0, frame["weight"], source, order, "bad-weight", "a weight must be more than 0, this is {}")
    labels: tuple[str, ...] = ()
    inferred = found is None
    if found is None:
        for name in ("target", "prediction"):
            refuse_kind(frame[name], source)
        found = infer(frame["target"], frame["prediction"], source, probabilities=has_scores(frame))
    if found == "regression":
        frame = numeric(frame, ["target", "prediction"], source, order)
    elif found == "classification":
        kinds = dict[str, pl.Series]()
        frame = texts(frame, ["target", "prediction"], source, order, kinds)
        targets, predicted = (set(kinds[c].to_list()) for c in ("target", "prediction"))
        labels = all_labels(targets, predicted, given_labels(frame.columns), source)
        _probabilities(frame, labels, source, order)
    frame = _sorted(frame, source, order)
    labels, sign = positive_label(labels, positive, source)
    return Table(frame, found, labels, sign, source.name, inferred)


def has_scores(frame: pl.DataFrame) -> bool:
    """Whether there is anything that ranks the examples."""
    return "score" in frame.columns or any(c.startswith(PROB) for c in frame.columns)


# --- columns


def task_of_columns(frame: pl.DataFrame, source: Source, task: str | None) -> str | None:
    """The task as far as the columns tell; refuses a file without the columns it needs."""
    columns = frame.columns
    if "id" in columns and "target" in columns and "prediction" in columns:
        return task
    near = {wanted: _alias(wanted, columns) for wanted in ("id", "target", "prediction")}
    if not any(c in RESERVED or c.startswith(PROB) for c in columns) and not any(near.values()):
        raise source.refuse(
            "not-predictions",
            f"it has none of the columns id, target, prediction; it has {_list(columns)}",
            hint="write one row per example; numbers by name belong into a metrics file (`metrics-file:`)",
        )
    judged = [c for c in columns if c not in RESERVED and numbers.are_numbers(frame[c].drop_nulls())]
    if "id" in columns and task == COLUMNS_ONLY:
        return COLUMNS_ONLY
    if "id" in columns and "target" not in columns and not near["target"] and judged and task is None:
        return COLUMNS_ONLY
    missing = next(c for c in ("id", "target", "prediction") if c not in columns)
    hint = f"it has {_list(columns)}"
    if alias := near[missing]:
        hint += f"; if {shown(alias)} is the {missing}, write it as {shown(missing)}"
    raise source.refuse("missing-column", f"there is no column {shown(missing)}", hint=hint)


def _alias(wanted: str, columns: Iterable[str]) -> str | None:
    def plain(name: str) -> str:
        return name.strip().casefold().replace("-", "_").replace(" ", "_").lstrip("\ufeff")

    known = {wanted, *(plain(alias) for alias in ALIASES[wanted])}
    return next((c for c in columns if c not in RESERVED and plain(c) in known), None)


def _list(columns: list[str]) -> str:
    return ", ".join(shown(c)[1:-1] for c in columns[:12]) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")


def texts(
    frame: pl.DataFrame, columns: list[str], source: Source, order: pl.Series, kinds: dict[str, pl.Series] | None = None
) -> pl.DataFrame:
    """Ids and labels as text, none empty, none longer than a page. kinds: gets the different values of each column, where these are few."""
    for name in columns:
        column = frame[name]
        if column.dtype != pl.String:
            refuse_kind(column, source)
            text = column.cast(pl.String)
            if column.dtype.is_float():
                text = text.set(column.is_nan().fill_null(value=False), None)
            frame, column = frame.with_columns(text), text
        bytes_ = column.str.len_bytes()
        refuse_where(bytes_.fill_null(0) == 0, column, source, order, "missing-value", f"there is no {name} here")
        longest = bytes_.max()
        if isinstance(longest, int) and longest > LONGEST:
            too_long = f"a cell of {longest:,} bytes cannot be a{'n' if name == 'id' else ''} {name} (at most {LONGEST:,})"
            refuse_where(bytes_ > LONGEST, column, source, order, "cell-too-long", too_long)
        if kinds is not None:
            kinds[name] = column.unique()
        if source.kind != "csv" and _nul(column if kinds is None else kinds[name]).any():
            refuse_where(_nul(column), column, source, order, "not-predictions", "a NUL character stands in {}")
    return frame


def _nul(column: pl.Series) -> pl.Series:
    """Where a NUL character stands; bytes are searched sooner than text."""
    found: pl.Series = column.cast(pl.Binary).bin.contains(b"\0")
    return found


def refuse_kind(column: pl.Series, source: Source) -> None:
    """Refuses a column whose values have no text."""
    if numbers.wordless(column.dtype):
        what = f"a {column.dtype} column cannot hold {column.name}s"
        raise source.refuse("not-text", what, column=column.name, hint="write text or numbers")


def numeric(frame: pl.DataFrame, columns: list[str], source: Source, order: pl.Series) -> pl.DataFrame:
    """The columns that are there as Float64."""
    present = [c for c in columns if c in frame.columns]
    return frame.with_columns([numbers.numbers(frame[c], source, order) for c in present]) if present else frame


def refuse_where(bad: pl.Series, column: pl.Series, source: Source, order: pl.Series, name: str, message: str) -> None:
    """InvalidFile at the first row (n,) of `bad`, showing its value."""
    if not bad.any():
        return
    index = bad.arg_max() or 0
    raise source.refuse(name, message.format(shown(column[index])), row=int(order[index]), column=column.name)


# --- what the task and labels are


def infer(target: pl.Series, prediction: pl.Series, source: Source, *, probabilities: bool = False) -> str:
    """classification or regression, where the values leave no doubt; else InvalidFile `task-unclear`.

    Scores, or anything that is no number, mean classification. Whole numbers of at most 50 kinds are labels. Fractions of at
    least 10 kinds on both sides are quantities. The rest could be either.
    """
    if probabilities:
        return "classification"
    kinds = [column.drop_nulls().unique() for column in (target, prediction)]
    if not all(numbers.are_numbers(k) for k in kinds):
        return "classification"
    values = [numbers.parse(k) for k in kinds]
    if all((v == v.floor()).all() for v in values):
        if pl.concat([v.rename("v") for v in values]).n_unique() <= FEW_LABELS:
            return "classification"
        reason = f"whole numbers of more than {FEW_LABELS} kinds may be labels or quantities"
    else:
        if min(len(v) for v in values) >= MANY_VALUES:
            return "regression"
        reason = "numbers with fractions of few kinds may be labels, quantities or probabilities"
    raise source.refuse(
        "task-unclear",
        f"the task cannot be told from target and prediction: {reason}",
        hint="say `task: classification` or `task: regression`; a probability belongs into the column score, the label into prediction",
    )


def given_labels(columns: Iterable[str]) -> set[str]:
    """The labels that have a column of probabilities."""
    return {c[len(PROB) :] for c in columns if c.startswith(PROB)}


def all_labels(targets: set[str], predicted: set[str], given: set[str], source: Source) -> tuple[str, ...]:
    """Every label of target, prediction and prob: columns, sorted; refuses labels that only look alike."""
    by_value: dict[float | str, str] = {looks(label): label for label in targets}
    for label in sorted(predicted - targets):
        twin = by_value.get(looks(label))
        if twin is not None:
            raise source.refuse(
                "labels-differ",
                f"{shown(label)} in prediction and {shown(twin)} in target look like one label but are two texts",
                column="prediction",
                hint="labels are compared as text, exactly as written: write both columns the same way",
            )
    if not predicted & targets and (fraction := _fraction(predicted)):
        raise source.refuse(
            "labels-differ",
            f"no prediction is a label of target: {shown(fraction)} is a number with a fraction",
            column="prediction",
            hint="a probability belongs into the column score, the label into prediction",
        )
    seen = targets | predicted
    bare = {looks(label): label for label in seen - given}
    for label in sorted(given - seen):
        twin = bare.get(looks(label))
        if not label or twin is not None or not given & seen:
            raise source.refuse(
                "unknown-label-column",
                f"no row has the label {shown(label)}",
                column=PROB + label,
                hint=did_you_mean(label, sorted(seen)[:20]) if seen else None,
            )
    return tuple(sorted(seen | given))


def _fraction(labels: set[str]) -> str | None:
    """One with a fraction, where all of them are numbers."""
    values = {label: looks(label) for label in labels}
    if not all(isinstance(value, float) and math.isfinite(value) for value in values.values()):
        return None
    return min((label for label, value in values.items() if value != math.floor(value)), default=None)  # type: ignore[arg-type]  # floats


def looks(label: str) -> float | str:
    """What a label looks like to a person: two labels that look alike are one, written in two ways."""
    try:
        return float(label)
    except ValueError:
        return label.strip().casefold()


def positive_label(labels: tuple[str, ...], positive: str | None, source: Source) -> tuple[tuple[str, ...], str | None]:
    """The labels (0/1 and false/true completed to the pair) and the positive one."""
    if not labels:
        return labels, None
    if positive is not None:
        if positive not in labels:
            raise UsageError(
                "unknown-positive",
                f"{shown(positive)} is no label of {source.name}",
                where="positive",
                hint=did_you_mean(positive, labels[:20]),
            )
        return labels, positive
    for pair in (("0", "1"), ("0.0", "1.0"), ("false", "true"), ("False", "True"), ("FALSE", "TRUE")):
        if set(labels) <= set(pair):
            return pair, pair[1]
    return labels, None


def _probabilities(frame: pl.DataFrame, labels: tuple[str, ...], source: Source, order: pl.Series) -> None:
    """Between 0 and 1; and where every label has its column, together 1."""
    given = [c for c in frame.columns if c.startswith(PROB)]
    within_bounds(frame, given, source, order)
    if given and (off := first_off(frame, given)) is not None:
        refuse_sum(off[1], int(order[off[0]]), given, labels, source)


def within_bounds(frame: pl.DataFrame, given: list[str], source: Source, order: pl.Series) -> None:
    """Every probability between 0 and 1."""
    for name in given:
        if _between(frame[name], -SLACK, 1 + SLACK):
            continue
        bad = (frame[name] < -SLACK) | (frame[name] > 1 + SLACK)
        refuse_where(bad, frame[name], source, order, "bad-probability", "a probability lies between 0 and 1, this is {}")


def _between(column: pl.Series, least: float, most: float) -> bool:
    """Whether all of a column lies there; its ends are found sooner than each value is compared."""
    ends = column.min(), column.max()
    return all(isinstance(end, float) and least <= end <= most for end in ends)


def first_off(frame: pl.DataFrame, given: list[str]) -> tuple[int, float] | None:
    """The first row whose probabilities do not sum to 1, and what they sum to."""
    total = frame.select(pl.sum_horizontal(given)).to_series()
    if _between(total, 1 - 0.999 * SUM_SLACK, 1 + 0.999 * SUM_SLACK):
        return None
    bad = (total - 1).abs() > SUM_SLACK
    at = bad.arg_max() if bad.any() else None
    return None if at is None else (at, float(total[at]))


def refuse_sum(total: float, row: int, given: list[str], labels: tuple[str, ...], source: Source) -> None:
    """That probabilities do not sum to 1, of labels of which they must."""
    if len(given) == len(labels) and len(given) > 1:
        message = f"the probabilities of all labels sum to {shown(total)}, not to 1"
        raise source.refuse("bad-probability", message, row=row, column=f"{PROB}*")
    if len(labels) > 2 and len(given) != len(labels):
        missing = next(label for label in labels if PROB + label not in given)
        raise source.refuse(
            "missing-column",
            f"there is no column {shown(PROB + missing)}, and the probabilities do not sum to 1 without it",
            hint="write one prob: column for every label, or only a score",
        )


# --- order


def _sorted(frame: pl.DataFrame, source: Source, order: pl.Series) -> pl.DataFrame:
    """Rows by (id, repeat), each pair once, each id in one cluster."""
    keys = ["id", "repeat"] if "repeat" in frame.columns else ["id"]
    if len(keys) == 1 and (frame["id"] > frame["id"].shift(1)).all():
        return frame  # the usual file: in order, and so each id once
    by = _order(frame, keys)
    frame, order = frame[by], order[by]
    same = (frame["id"] == frame["id"].shift(1)).fill_null(value=False)
    twice = same & (frame["repeat"] == frame["repeat"].shift(1)) if len(keys) > 1 else same
    if twice.any():
        raise duplicate(frame.select(keys), source, order)
    if "cluster" in frame.columns and same.any():
        split = same & (frame["cluster"] != frame["cluster"].shift(1))
        refuse_where(split, frame["cluster"], source, order, "bad-cluster", "repeats of one id lie in two clusters; the second is {}")
    return frame


def _order(frame: pl.DataFrame, keys: list[str]) -> pl.Series:
    """The permutation that sorts by the bytes of `keys`."""
    ids = frame["id"]
    longest = ids.str.len_bytes().max()
    if keys == ["id"] and isinstance(longest, int) and longest <= 16 and ids.str.len_bytes().sum() == ids.str.len_chars().sum():
        # Short ASCII ids, the usual ones, compare as two big-endian integers: three times as fast as text. No id holds a NUL.
        packed = np.frombuffer(ids.str.pad_end(16, "\0").str.join("")[0].encode("ascii"), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        frame, keys = pl.DataFrame({"high": packed[:, 0], "low": packed[:, 1]}), ["high", "low"]
    return frame.select(pl.arg_sort_by(keys)).to_series()


def duplicate(keys: pl.DataFrame, source: Source, order: pl.Series) -> InvalidFile:
    """The first row of the file that repeats an earlier one."""
    rows = keys.with_columns(order.alias("row")).sort("row")
    again = rows.filter(~rows.select(keys.columns).is_unique()).filter(pl.struct(keys.columns).is_first_distinct().not_())
    key = again.row(0, named=True)
    first = rows.filter(*(pl.col(name) == key[name] for name in keys.columns))["row"][0]
    message = f"the id {shown(key['id'])} stands at row {source.line(int(first))} already"
    if "repeat" in key:
        return source.refuse("duplicate-id", f"{message}, with the same repeat {shown(key['repeat'])}", row=int(key["row"]), column="id")
    hint = "give each example its own id; several answers to one example are told apart by a column repeat"
    return source.refuse("duplicate-id", message, row=int(key["row"]), column="id", hint=hint)
