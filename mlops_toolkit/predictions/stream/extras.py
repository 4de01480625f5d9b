"""What a comparison needs of the user's own columns: numbers to take means of, and the slices that rows lie in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions import conditions, groups, samples, slices
from mlops_toolkit.predictions import numbers as parsing
from mlops_toolkit.predictions.groups import Grouped, as_now
from mlops_toolkit.predictions.pair import Answers
from mlops_toolkit.predictions.stream.coder import Coder
from mlops_toolkit.predictions.stream.spool import Array
from mlops_toolkit.predictions.table import PROB

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream


@dataclass(frozen=True)
class Part:
    """A slice: the rows where the aligned column `column` holds `code`."""

    name: str
    column: str
    code: int


@dataclass(frozen=True)
class Extras:
    """What is read of the two sides beside their answers.

    numbers   the columns that both sides are asked for, where they have them
    requests  the slices;  grouped  what gaps are judged by, and which columns are held against the baseline's
    differ    of each of those columns, of how many common examples it is another one than on the baseline, as far as they were seen
    """

    numbers: tuple[str, ...] = ()
    requests: tuple[SliceRequest, ...] = ()
    grouped: Grouped = field(default_factory=Grouped)
    differ: dict[str, int] = field(default_factory=dict)
    _coders: dict[str, Coder] = field(default_factory=dict)
    _as_text: dict[str, bool] = field(default_factory=dict)

    def alone(self) -> Extras:
        """The same of a head that is compared with nothing."""
        return Extras(self.numbers, self.requests, Grouped(self.grouped.by))

    def named(self, head: Answers) -> list[str]:
        """The columns of the head that slices and groups are made of."""
        own = [c for c in head.columns if c != "id"]
        used = {*slices.columns(self.requests, own), *self.grouped.by}
        return [c for c in own if c in used]

    def wanted(self, head: Answers) -> list[str]:
        """The columns to read of the head, id apart."""
        named = self.named(head)
        return [c for c in head.columns if c != "id" and (c in self.numbers or c in named)]

    def wanted_before(self, baseline: Answers) -> list[str]:
        """Those to read of the baseline."""
        return list(dict.fromkeys(c for c in (*self.numbers, *self.grouped.compared) if c in baseline.columns))

    def check(self, head: Stream) -> None:
        """Refuses columns that are not there or cannot be used, before anything is read."""
        schema = head.opened.schema
        empty = pl.DataFrame(schema={name: schema[name] for name in head.columns})
        for name in self.numbers:
            samples.column(head, name, empty)
        for request in self.requests:
            if request.column is not None:
                sliceable(request.column, head, schema)

    def columns(self, side: Answers, frame: pl.DataFrame, whose: str) -> dict[str, Array]:
        """The numbers of a block of a side, whose columns are in `frame`."""
        return {f"{whose}:column:{name}": samples.column(side, name, frame).to_numpy() for name in self.numbers if name in side.columns}

    def begin(self, baseline: Stream | None, head: Stream) -> None:
        """Forget what was counted, and look how columns that are of another type on the baseline can be compared."""
        self.differ.clear()
        if baseline is None:
            return
        for name in self.grouped.compared:
            now = head.opened.schema[name]
            if baseline.opened.schema[name] != now:
                blocks = (block[name] for block in baseline.opened.blocks([name]))
                self._as_text[name] = any(one.cast(now, strict=False).null_count() != one.null_count() for one in blocks)

    def slices(self, frame: pl.DataFrame, before: pl.DataFrame | None = None) -> dict[str, Array]:
        """Which slices and groups the rows of a block of the head lie in. before: the same rows of the baseline, where there is one."""
        found: dict[str, Array] = {}
        frame = frame if before is None else self._as_before(frame, before)
        for name in self.grouped.by:
            if name in frame.columns and not parsing.wordless(frame[name].dtype):
                found[f"slice:by:{name}"] = self._values(f"by:{name}", frame[name], name)
        for index, request in enumerate(self.requests):
            if request.column is not None:
                found[f"slice:{index}"] = self._values(f"{index}", frame[request.column], request.column)
            else:
                rows = conditions.mask(frame, request.where or "", f"slice {request.name}")
                found[f"slice:{index}"] = rows.astype(np.uint8)
        return found

    def _as_before(self, frame: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        """The head's rows with the baseline's groups, where these count; what differs is counted."""
        for name in self.grouped.compared:
            was, many = as_now(frame[name], before[name], text=self._as_text.get(name))
            self.differ[name] = self.differ.get(name, 0) + many
            if self.grouped.held and (many or was.dtype != frame[name].dtype):
                frame = frame.with_columns(was.alias(name))
        return frame

    def _values(self, key: str, column: pl.Series, name: str) -> Array:
        coder = self._coders.setdefault(key, Coder())
        column = column.fill_nan(None) if column.dtype.is_float() else column
        if column.null_count():
            column = column.cast(pl.String).fill_null("")
        codes = coder.codes(column)
        if len(coder.texts) > 100 * groups.MOST:  # to count them all could take as much memory as there is
            raise slices.too_many(name, f"more than {100 * groups.MOST:,}")
        return codes

    def parts(self, counts: dict[str, Array]) -> list[Part]:
        """The slices, in the order of `slices.masks`. counts: of every slice column the rows of each code, of the rows that are compared."""
        found: list[Part] = []
        for index, request in enumerate(self.requests):
            held = counts.get(f"slice:{index}", np.zeros(0, np.int64))
            if request.column is not None:
                found += self._of_column(f"{index}", request.column, held, f"{request.column}=")
                continue
            if len(held) < 2 or not held[1]:
                raise slices.empty(request)
            found.append(Part(request.name, f"slice:{index}", 1))
        slices.refuse_twice([part.name for part in found])
        return found

    def groups(self, name: str, counts: dict[str, Array]) -> list[Part]:
        """The groups of a column that gaps are judged by, in the order of `groups.of`. UsageErrors as of a slice."""
        return self._of_column(f"by:{name}", name, counts.get(f"slice:by:{name}", np.zeros(0, np.int64)), "")

    def _of_column(self, key: str, name: str, held: Array, prefix: str) -> list[Part]:
        texts = self._coders[key].texts if key in self._coders else []
        there = sorted((text, code) for code, text in enumerate(texts) if code < len(held) and held[code])
        if len(there) > groups.MOST:
            raise slices.too_many(name, f"{len(there):,}")
        return [Part(f"{prefix}{text or groups.MISSING}", f"slice:{key}", code) for text, code in there]


def sliceable(name: str, head: Answers, schema: pl.Schema) -> None:
    """UsageError where the head has no such column, or one whose values are no text."""
    if name not in head.columns:
        raise slices.unknown(name, [c for c in head.columns if not c.startswith(PROB)])
    if parsing.wordless(schema[name]):
        raise UsageError("bad-slice", f"a {schema[name]} column cannot be sliced by", where=f"slice {name}")


def head_view(head: Answers, block: pl.DataFrame) -> pl.DataFrame:
    """A block with the columns that are ours as a Table holds them: ids and labels text, scores and weights numbers."""
    answers = ("target", "prediction")
    words = {"id", "cluster", "repeat", *(answers if head.task == "classification" else ())}
    values = {"score", "weight", *(answers if head.task == "regression" else ())}
    return block.with_columns(
        [block[c].cast(pl.String) for c in block.columns if c in words and c != "id"]
        + [parsing.parse(block[c]) for c in block.columns if c in values or c.startswith(PROB)]
    )
