"""Where in a file something stands, and how a value is shown: every refusal of a row is made here, so all read alike."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.errors import InvalidFile

SHOWN = 60


def shown(value: object) -> str:
    """A value in quotes on one line: at most 60 characters, everything unprintable escaped."""
    if value is None:
        return "empty"
    if not isinstance(value, str):
        return str(value)
    cut = value[:SHOWN]
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f'"{safe}{"…" if len(value) > SHOWN else ""}"'


@dataclass(frozen=True)
class Source:
    """A predictions file: its name, its kind, and what is needed to say where its rows stand.

    raw     CSV: the bytes that were parsed; a quoted cell may span lines, so a row's line is only found by reading them again
    lines   JSON lines: the line number of each row
    """

    name: str
    kind: Literal["csv", "parquet", "jsonl", "json"]
    raw: bytes = b""
    separator: str = ","
    lines: tuple[int, ...] = field(default=(), repr=False)

    def line(self, row: int) -> int:
        """The number a person finds row `row` (0-based) by: the line in a text file, else the row counted from 1."""
        if self.kind == "jsonl":
            return self.lines[row]
        if self.kind != "csv":
            return row + 1
        if b'"' not in self.raw:
            return row + 2
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(io.StringIO(self.raw.decode("utf-8", "replace"), newline=""), delimiter=self.separator)
        start = 0
        for index, _ in enumerate(reader):
            if index == row + 1:
                return start + 1
            start = reader.line_num
        return row + 2

    def where(self, row: int | None = None, column: str | None = None) -> str:
        """`preds.csv row 7, column target`."""
        place = self.name if row is None else f"{self.name} row {self.line(row)}"
        return place if column is None else f"{place}, column {shown(column)[1:-1]}"

    def refuse(self, name: str, message: str, *, row: int | None = None, column: str | None = None, hint: str | None = None) -> InvalidFile:
        """The error to raise."""
        return InvalidFile(name, message, where=self.where(row, column), hint=hint)
