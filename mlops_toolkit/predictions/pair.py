"""Two tables of predictions aligned by id, so that row i of both is the same example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl

from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.check import looks
from mlops_toolkit.predictions.samples import arrays
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.stats.chunks import in_order
from mlops_toolkit.stats.sample import Sample

NAMED = 20
COMMON = 0.95  # below this share of common rows of either side, two test sets are not the same


@dataclass(frozen=True)
class Pair:
    """The common examples of a baseline and a head.

    baseline, head  Samples with the same labels and row order; targets, weights and clusters of both are the head's
    frame, before   the head's rows in that order, all columns, plain ids; and the baseline's, as they were kept
    n               common rows
    only_baseline, only_head    ids that only one side has (the first 20; a hashed baseline's are hashes), and how many there are
    labels_changed  common rows whose target differs: the baseline is judged by the head's
    renamed         a label of each side by which the sides are seen to name the same labels otherwise (`0` and `0.0`): judged by the
                    head's targets the baseline would be wrong throughout, so the two cannot be compared
    data_changed    whether anything that decides about a number differs: rows, targets, weights, clusters
    common          the smaller of the two shares that the common rows are of each side
    notes           what the reader must know, as sentences
    """

    baseline: Sample
    head: Sample
    frame: pl.DataFrame
    before: pl.DataFrame
    n: int
    only_baseline: tuple[str, ...] = ()
    only_baseline_count: int = 0
    only_head: tuple[str, ...] = ()
    only_head_count: int = 0
    labels_changed: int = 0
    renamed: tuple[str, str] | None = None
    data_changed: bool = False
    common: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Differences:
    """What a Pair says of two sides, without their rows."""

    n: int
    only_baseline: tuple[str, ...] = ()
    only_baseline_count: int = 0
    only_head: tuple[str, ...] = ()
    only_head_count: int = 0
    labels_changed: int = 0
    renamed: tuple[str, str] | None = None
    common: float = 1.0
    notes: tuple[str, ...] = ()


def pair(baseline: Table, head: Table, *, salt: str | None = None, columns: tuple[str, ...] = ()) -> Pair:
    """Align two tables by (id, repeat).

    salt     the baseline's ids and clusters are hashes made with it; None: they are plain
    columns  numeric columns for means and quantiles, needed on both sides

    UsageError `task-differs` or `repeats-differ` where the two cannot be compared.
    """
    comparable(baseline, head)
    keys = ["id", "repeat"] if "repeat" in head.frame.columns else ["id"]
    head_keys = head.frame.select(keys)
    if salt is not None:
        head_keys = head_keys.with_columns(hash_ids(head.frame["id"], salt))
    base_keys = baseline.frame.select(keys)
    if base_keys.equals(head_keys):
        base_frame, head_frame = baseline.frame, head.frame
        only_baseline = only_head = base_keys.clear()
    else:
        numbered = base_keys.with_row_index("row baseline"), head_keys.with_row_index("row head")
        rows = numbered[1].join(numbered[0], on=keys, how="inner").sort("row head")
        base_frame, head_frame = baseline.frame[rows["row baseline"]], head.frame[rows["row head"]]
        only_baseline = base_keys.join(head_keys, on=keys, how="anti").sort(keys)
        missing = numbered[1].join(base_keys, on=keys, how="anti").sort("row head")
        only_head = head.frame[missing["row head"]].select(keys)
    labels = tuple(sorted({*baseline.labels, *head.labels}))
    positive = head.positive or baseline.positive
    sides = (head, head_frame), (baseline, base_frame)
    ours, theirs = in_order(sides, lambda side: arrays(*side, labels, columns, positive), rows=head_frame.height)
    labels_changed = 0 if ours.target is None else int(np.count_nonzero(ours.target != theirs.target))
    notes = _notes(base_frame, head_frame, salt)
    return Pair(
        baseline=replace(theirs, target=ours.target, weight=ours.weight, cluster=ours.cluster),
        head=ours,
        frame=head_frame,
        before=base_frame,
        n=head_frame.height,
        only_baseline=tuple(only_baseline["id"].head(NAMED).to_list()),
        only_baseline_count=only_baseline.height,
        only_head=tuple(only_head["id"].head(NAMED).to_list()),
        only_head_count=only_head.height,
        labels_changed=labels_changed,
        renamed=renamed(baseline.labels, head.labels) if labels_changed else None,
        data_changed=bool(only_baseline.height or only_head.height or labels_changed or notes),
        common=min(head_frame.height / max(baseline.n, 1), head_frame.height / max(head.n, 1)),
        notes=notes,
    )


class Answers(Protocol):
    """What of a side decides whether another can be compared with it."""

    @property
    def task(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def columns(self) -> list[str]: ...


def comparable(baseline: Answers, head: Answers) -> None:
    """Refuses two sides of different tasks, or of which only one has repeats."""
    if baseline.task != head.task:
        raise UsageError(
            "task-differs",
            f"{baseline.source} is {baseline.task}, {head.source} is {head.task}",
            hint="say `task:` if the data was misunderstood; else the two cannot be compared",
        )
    if ("repeat" in baseline.columns) != ("repeat" in head.columns):
        has, lacks = (baseline, head) if "repeat" in baseline.columns else (head, baseline)
        raise UsageError(
            "repeats-differ",
            f"{has.source} has a column repeat, {lacks.source} has none",
            hint="write it in both, or aggregate the repeats",
        )


def renamed(baseline: tuple[str, ...], head: tuple[str, ...]) -> tuple[str, str] | None:
    """A label that only the baseline has and one that only the head has, where these look alike or the sides have none in common."""
    gone, new = ([label for label in one if label not in other] for one, other in ((baseline, head), (head, baseline)))
    twins = {looks(label): label for label in new}
    alike = next(((label, twins[looks(label)]) for label in gone if looks(label) in twins), None)
    return alike or ((gone[0], new[0]) if len(gone) == len(baseline) else None)


def _notes(base: pl.DataFrame, head: pl.DataFrame, salt: str | None) -> tuple[str, ...]:
    """Weights and clusters that differ between the sides: the head's count."""
    differ = {}
    for name in ("weight", "cluster"):
        theirs = base[name] if name in base.columns else None
        ours = head[name] if name in head.columns else None
        if name == "weight":
            theirs, ours = (None if c is None or (c == 1).all() else c for c in (theirs, ours))
        elif ours is not None and salt is not None:
            ours = hash_ids(ours, salt)
        differ[name] = (theirs is None) != (ours is None) or (theirs is not None and ours is not None and not theirs.equals(ours))
    return differing(differ)


def differing(differ: Mapping[str, bool]) -> tuple[str, ...]:
    """The notes that columns differ: `weight`, `cluster`."""
    return tuple(f"the {name}s differ between the two runs; both are computed with this run's" for name, is_so in differ.items() if is_so)
