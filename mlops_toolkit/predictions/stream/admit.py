"""From a file of any size to a Stream: every check that `predictions.check` makes, a block of rows at a time, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions import check, numbers
from mlops_toolkit.predictions.place import Source
from mlops_toolkit.predictions.stream.coder import Coder
from mlops_toolkit.predictions.stream.source import Opened, State, open_file
from mlops_toolkit.predictions.stream.spool import Array, Spool
from mlops_toolkit.predictions.table import COLUMNS_ONLY, PROB, RESERVED

Check = Callable[[pl.DataFrame, pl.Series], pl.DataFrame]
_SOME = 1 << 19  # rows whose scores are kept in memory
_KINDS = 64  # different values by which a task is told


@dataclass(frozen=True)
class Stream:
    """Predictions that passed every check but the one for duplicate ids, on disk; what a Table is, without its frame.

    spool     target, prediction, score, prob:<label>, weight, cluster of every row in the file's order; labels and clusters as codes
    texts     what the codes of target and prediction mean;  clusters  what those of clusters do
    rising    every id is greater than the one before it, so that none stands twice
    even      all weights are 1, or there are none
    some      the scores of a few rows, evenly chosen: at most 524,288
    """

    opened: Opened
    spool: Spool
    task: str
    labels: tuple[str, ...]
    positive: str | None
    inferred: bool
    texts: tuple[str, ...]
    clusters: tuple[str, ...]
    rising: bool
    even: bool
    some: dict[str, Array] = field(repr=False)

    @property
    def source(self) -> str:
        return self.opened.source.name

    @property
    def n(self) -> int:
        return self.opened.rows

    @property
    def columns(self) -> list[str]:
        return self.opened.columns

    @property
    def task_has_target(self) -> bool:
        return self.task != COLUMNS_ONLY

    @property
    def extra(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in RESERVED and not name.startswith(PROB))


def read_stream(
    path: Path, *, task: str | None = None, positive: str | None = None, name: str | None = None, since: State | None = None
) -> Stream:
    """As `predictions.read.read`, of a file that is too large for it; the same errors, but that `duplicate-id` and `bad-cluster` wait for `align`.

    since: see `open_file`.
    """
    return admit(open_file(path, name or str(path), since=since), task=task, positive=positive)


def admit(opened: Opened, *, task: str | None = None, positive: str | None = None) -> Stream:
    """Check and code an opened file."""
    source, head = opened.source, opened.head()
    found = check.task_of_columns(head, source, task)
    if opened.rows == 0:
        raise source.refuse("no-rows", "there is a header but not one row", hint="write one row per example")
    inferred = found is None
    if found is None:
        for name in ("target", "prediction"):
            check.refuse_kind(head[name], source)
        found = _told(opened, probabilities=check.has_scores(head))
    made = _Admission(opened, found)
    made.run()
    labels, sign = check.positive_label(made.labels(), positive, source)
    return Stream(
        opened=opened,
        spool=made.spool,
        task=found,
        labels=labels,
        positive=sign,
        inferred=inferred,
        texts=tuple(made.coder.texts),
        clusters=tuple(made.clusters.texts),
        rising=made.rising,
        even=made.even,
        some={name: np.concatenate(parts) for name, parts in made.some.items()},
    )


# --- the task


def _told(opened: Opened, *, probabilities: bool) -> str:
    """The task as `check.infer` tells it: of few values that stand for all in what it asks of them."""
    kinds = {name: pl.Series(name, [], dtype=opened.schema[name]) for name in ("target", "prediction")}
    for block in opened.blocks(list(kinds)):
        kinds = {name: _telling(held, block[name]) for name, held in kinds.items()}
        if probabilities or not all(numbers.are_numbers(held) for held in kinds.values()):
            break
    return check.infer(kinds["target"], kinds["prediction"], opened.source, probabilities=probabilities)


def _telling(held: pl.Series, column: pl.Series) -> pl.Series:
    """What is held, with 64 values at most, one that is no number and one with a fraction, where there are."""
    column = column.drop_nulls()
    parsed = numbers.parse(column)
    seen = [held, column.filter(parsed.is_null()).head(1), column.filter(parsed != parsed.floor()).head(1)]
    if len(held) < _KINDS:
        seen.append(column.unique(maintain_order=True).head(_KINDS))
    told: pl.Series = pl.concat(seen).unique(maintain_order=True)
    return told


# --- the pass


@dataclass
class _Admission:
    """One pass over a file. What is wrong is raised in the order of the checks, as for a file in memory, not in that of the rows."""

    opened: Opened
    task: str
    spool: Spool = field(default_factory=lambda: Spool.made("side"))
    coder: Coder = field(default_factory=Coder)
    clusters: Coder = field(default_factory=Coder)
    rising: bool = True
    even: bool = True
    some: dict[str, list[Array]] = field(default_factory=dict)
    _last: Any = None
    _failed: tuple[int, InvalidFile] | None = None
    _off: tuple[float, int] | None = None
    _seen: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] = field(default_factory=lambda: (np.zeros(0, bool), np.zeros(0, bool)))

    @property
    def source(self) -> Source:
        return self.opened.source

    @property
    def given(self) -> list[str]:
        """The columns of probabilities."""
        return [c for c in self.opened.columns if c.startswith(PROB)]

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        answers = ("target", "prediction") if self.task != COLUMNS_ONLY else ()
        present = [c for c in ("id", "cluster", "repeat", *answers, "score", "weight") if c in self.opened.columns]
        return [*present, *self.given]

    def run(self) -> None:
        """Read all of it."""
        checks = list(self._checks())
        late = len(checks) - (len(self.given) if self.task == "classification" else 0)
        start, wanted = 0, self.names + ([self.opened.schema.names()[0]] if self.opened.numbered else [])
        for block in self.opened.blocks(wanted):
            order, frame = self.opened.numbers(start, block), block
            frame = self._checked(frame, order, checks[: None if self._failed is None else self._failed[0]])
            if self._failed is None or self._failed[0] >= late:
                self._take(frame, start, order)
            elif self._failed[0] == 0:
                break
            start += block.height
        if self._failed is not None and self._failed[0] < late:
            raise self._failed[1]

    def _checked(self, frame: pl.DataFrame, order: pl.Series, checks: list[Check]) -> pl.DataFrame:
        """The block as all of these checks leave it; the first that refuses it is remembered."""
        place = 0
        try:
            for place, one in enumerate(checks):  # noqa: B007  # it says which one refused
                frame = one(frame, order)
        except InvalidFile as error:
            self._failed = place, error
        return frame

    def labels(self) -> tuple[str, ...]:
        """All labels; here what can be said of probabilities only when they are known is checked."""
        if self.task != "classification":
            return ()
        targets, predicted = ({text for text, there in zip(self.coder.texts, seen, strict=False) if there} for seen in self._seen)
        labels = check.all_labels(targets, predicted, check.given_labels(self.opened.columns), self.source)
        if self._failed is not None:
            raise self._failed[1]
        if self._off is not None:
            check.refuse_sum(*self._off, self.given, labels, self.source)
        return labels

    def _checks(self) -> Iterator[Check]:
        source = self.source

        def text(name: str) -> Check:
            return lambda frame, order: _with_text(frame, name, source, order)

        def number(name: str) -> Check:
            return lambda frame, order: check.numeric(frame, [name], source, order)

        def weighty(frame: pl.DataFrame, order: pl.Series) -> pl.DataFrame:
            check.refuse_where(
                frame["weight"] <= 0, frame["weight"], source, order, "bad-weight", "a weight must be more than 0, this is {}"
            )
            return frame

        def probability(name: str) -> Check:
            def within(frame: pl.DataFrame, order: pl.Series) -> pl.DataFrame:
                check.within_bounds(frame, [name], source, order)
                return frame

            return within

        names = self.names
        yield from (text(name) for name in ("id", "cluster", "repeat") if name in names)
        yield from (number(name) for name in names if name in ("score", "weight") or name.startswith(PROB))
        if "weight" in names:
            yield weighty
        if self.task == "regression":
            yield from (number(name) for name in ("target", "prediction"))
        elif self.task == "classification":
            yield from (text(name) for name in ("target", "prediction"))
            yield from (probability(name) for name in self.given)

    def _take(self, frame: pl.DataFrame, start: int, order: pl.Series) -> None:
        """Write the block down, coded."""
        ids = frame["id"]
        self.rising = self.rising and bool((ids.slice(1) > ids.head(len(ids) - 1)).all()) and (self._last is None or ids[0] > self._last)
        self._last = ids[-1]
        if self.given and self._off is None and (off := check.first_off(frame, self.given)) is not None:
            self._off = off[1], int(order[off[0]])
        arrays = {name: self._coded(frame[name], name) for name in self.names if name not in ("id", "repeat")}
        if "weight" in arrays:
            self.even = self.even and bool((arrays["weight"] == 1).all())
        if self.task == "classification":
            self._seen = (_marked(self._seen[0], arrays["target"]), _marked(self._seen[1], arrays["prediction"]))
        step = max(1, -(-self.opened.rows // _SOME))
        for name in arrays:
            if name == "score" or name.startswith(PROB):
                self.some.setdefault(name, []).append(arrays[name][-start % step :: step].copy())  # a view would keep the block
        self.spool.append(arrays)

    def _coded(self, column: pl.Series, name: str) -> Array:
        if name == "cluster":
            return self.clusters.codes(column)
        if name in ("target", "prediction") and self.task == "classification":
            return self.coder.codes(column)
        values: Array = column.to_numpy()
        return values.astype(np.float32) if self.opened.schema[name] == pl.Float32 else values


def _with_text(frame: pl.DataFrame, name: str, source: Source, order: pl.Series) -> pl.DataFrame:
    """Text, but for whole numbers and truth values, which are coded as they are: their texts are never empty nor too long."""
    column = frame[name]
    if (column.dtype.is_integer() or column.dtype == pl.Boolean) and not column.null_count():
        return frame
    return check.texts(frame, [name], source, order)


def _marked(seen: npt.NDArray[np.bool_], codes: Array) -> npt.NDArray[np.bool_]:
    """Which codes were there, these too."""
    there = np.flatnonzero(np.bincount(codes))
    grown = np.zeros(max(len(seen), int(there[-1]) + 1 if len(there) else 0), bool)
    grown[: len(seen)] = seen
    grown[there] = True
    return grown
