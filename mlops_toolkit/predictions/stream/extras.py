"""What a comparison needs of the user's own columns: numbers to take means of, and the slices that rows lie in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions import conditions, groups, samples, slices
from mlops_toolkit.predictions import numbers as parsing
from mlops_toolkit.predictions.pair import Answers
from mlops_toolkit.predictions.stream.coder import Coder
from mlops_toolkit.predictions.stream.spool import Array
from mlops_toolkit.predictions.table import PROB


@dataclass(frozen=True)
class Part:
    """A slice: the rows where the aligned column `column` holds `code`."""

    name: str
    column: str
    code: int


@dataclass(frozen=True)
class Extras:
    """numbers: the columns that both sides are asked for, where they have them; requests: the slices."""

    numbers: tuple[str, ...] = ()
    requests: tuple[SliceRequest, ...] = ()
    _coders: dict[int, Coder] = field(default_factory=dict)

    def wanted(self, head: Answers) -> list[str]:
        """The columns to read of the head, id apart."""
        named = {request.column for request in self.requests}
        texts = [request.where for request in self.requests if request.where]
        own = [c for c in head.columns if c != "id"]
        return [c for c in own if c in self.numbers or c in named or any(c in text for text in texts)]

    def check(self, head: Answers, schema: pl.Schema) -> None:
        """Refuses columns that are not there or cannot be used, before anything is read."""
        empty = pl.DataFrame(schema={name: schema[name] for name in head.columns})
        for name in self.numbers:
            samples.column(head, name, empty)
        for request in self.requests:
            if request.column is not None:
                _sliceable(request.column, head, schema)

    def columns(self, side: Answers, frame: pl.DataFrame, whose: str) -> dict[str, Array]:
        """The numbers of a block of a side, whose columns are in `frame`."""
        return {f"{whose}:column:{name}": samples.column(side, name, frame).to_numpy() for name in self.numbers if name in side.columns}

    def slices(self, frame: pl.DataFrame) -> dict[str, Array]:
        """Which slices the rows of a block of the head lie in."""
        found: dict[str, Array] = {}
        for index, request in enumerate(self.requests):
            if request.column is not None:
                found[f"slice:{index}"] = self._values(index, frame[request.column], request.column)
            else:
                rows = conditions.mask(frame, request.where or "", f"slice {request.name}")
                found[f"slice:{index}"] = rows.astype(np.uint8)
        return found

    def _values(self, index: int, column: pl.Series, name: str) -> Array:
        coder = self._coders.setdefault(index, Coder())
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
                found += self._of_column(index, request.column, held)
                continue
            if len(held) < 2 or not held[1]:
                raise slices.empty(request)
            found.append(Part(request.name, f"slice:{index}", 1))
        slices.refuse_twice([part.name for part in found])
        return found

    def _of_column(self, index: int, name: str, held: Array) -> list[Part]:
        texts = self._coders[index].texts if index in self._coders else []
        there = sorted((text, code) for code, text in enumerate(texts) if code < len(held) and held[code])
        if len(there) > groups.MOST:
            raise slices.too_many(name, f"{len(there):,}")
        return [Part(f"{name}={text or groups.MISSING}", f"slice:{index}", code) for text, code in there]


def _sliceable(name: str, head: Answers, schema: pl.Schema) -> None:
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
