"""A predictions file of any size and format, read in blocks of rows: Parquet as it is, CSV and JSON lines by way of a Parquet file."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError
from mlops_toolkit.predictions import formats
from mlops_toolkit.predictions.place import Source
from mlops_toolkit.predictions.stream import scratch, text
from mlops_toolkit.predictions.stream.spool import BLOCK
from mlops_toolkit.system import files

State = tuple[int, ...]  # see `files.state`

# From these sizes on a file is read in blocks. In memory 5 million rows of two runs take some 3 GB.
ROWS, BYTES = 5_000_000, 256 << 20


def is_large(path: Path) -> bool:
    """Whether a file is to be read in blocks; of one that cannot be read at all, or only once, the ordinary way says why."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
        if start.startswith(b"PAR1"):
            return rows(path) >= ROWS
        # A JSON array is one document: it is never read in parts.
        return path.stat().st_size >= BYTES and not start.removeprefix(formats.BOM).lstrip().startswith(b"[")
    except formats.BROKEN:
        return False


def rows(path: Path) -> int:
    """Of a Parquet file, from its footer."""
    return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


@dataclass(frozen=True)
class FileSource(Source):
    """Where rows of a large file stand. Of JSON lines a row's number is its line's already.

    path    the file; quoted: it is CSV with quotes, so that a row may take several lines
    """

    path: Path = field(default_factory=Path)
    quoted: bool = False

    def line(self, row: int) -> int:
        if self.kind == "jsonl":
            return row
        if self.kind != "csv" or not self.quoted:
            return super().line(row)
        csv.field_size_limit(sys.maxsize)
        start = 0
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            reader = csv.reader(lines, delimiter=self.separator)
            for index, _ in enumerate(reader):
                if index == row + 1:
                    return start + 1
                start = reader.line_num
        return row + 2


@dataclass(frozen=True)
class Opened:
    """A file that can be read in blocks.

    parquet  the files that hold its rows, in their order
    schema   its columns and their types as the ordinary way reads them: text of CSV and JSON
    numbered the rows carry their number in the column `text.ROW`: some of the file's were no examples
    state    of the user's own file, which is read again and again, when it was first looked at; None where the rows lie in our folder
    """

    parquet: tuple[Path, ...]
    source: FileSource
    schema: pl.Schema
    rows: int
    numbered: bool = False
    state: State | None = None

    @property
    def columns(self) -> list[str]:
        return [name for name in self.schema.names() if name != text.ROW]

    def lazy(self) -> pl.LazyFrame:
        return pl.scan_parquet(list(self.parquet), glob=False, schema=self.schema, missing_columns="insert")

    def blocks(self, columns: Sequence[str], size: int = BLOCK) -> Iterator[pl.DataFrame]:
        """The rows of these columns in the file's order, `size` in each frame but the last."""
        with self._readable():
            yield from _even(self.lazy().select(columns), size)

    def numbers(self, start: int, frame: pl.DataFrame) -> pl.Series:
        """Of each row of a block that starts at row `start` its number in the file."""
        return frame[text.ROW] if self.numbered else pl.int_range(start, start + frame.height, eager=True)

    def number_at(self, place: int) -> int:
        """The number of the row at this place."""
        return int(self.collect(self.lazy().select(text.ROW).slice(place, 1)).item()) if self.numbered else place

    def head(self) -> pl.DataFrame:
        """The first rows, all columns."""
        return self.collect(self.lazy().select(self.columns).head(1000))

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """What a query over `lazy` finds."""
        with self._readable():
            return query.collect(engine="streaming")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """A pass over the file: one that changed meanwhile is refused, before what went wrong in reading it is told as damage."""
        try:
            yield
            unchanged(self.source.path, self.state, self.source.name)
        except formats.BROKEN as error:
            unchanged(self.source.path, self.state, self.source.name)
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidFile(
                "not-predictions", f"the Parquet file is damaged: {first[:200]}", where=self.source.name, hint=formats.CUT_OFF
            ) from error


def _even(query: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
    """A query's rows in frames of equal height: what is read ahead comes as it lies in the file."""
    waiting: list[pl.DataFrame] = []
    have = 0
    for batch in query.collect_batches(chunk_size=size, lazy=True):
        waiting.append(batch)
        have += batch.height
        if have < size:
            continue
        whole, at = (pl.concat(waiting) if len(waiting) > 1 else batch), 0
        while have - at >= size:
            yield whole[at : at + size].rechunk()
            at += size
        waiting, have = ([whole[at:]], have - at) if have > at else ([], 0)
    if have:
        yield pl.concat(waiting, rechunk=True)


def unchanged(path: Path, before: State | None, name: str) -> None:
    """EnvironmentFailure `file-changed` where a file is not as it was: what was read of it belongs to no one state of it."""
    try:
        same = before is None or files.state(path) == before
    except OSError:
        same = False
    if not same:
        raise EnvironmentFailure(
            "file-changed",
            "the file was written to, replaced or removed while it was read: nothing is said of a mixture",
            where=name,
            hint="run it again when nothing writes to the file any more",
        )


def open_file(path: Path, name: str, *, since: State | None = None) -> Opened:
    """A file that `is_large` found. InvalidFile where it holds no table, as `formats.load` says it.

    since  the state that the file must still be in (None: as it is now). EnvironmentFailure `file-changed` where it is not.
    """
    try:
        state = since or files.state(path)
    except OSError as error:
        raise EnvironmentFailure("unreadable-file", f"cannot be read: {error.strerror or error}", where=name) from error
    try:
        found = _opened(path, name, state)
    except (MlopsError, *formats.BROKEN):
        unchanged(path, state, name)
        raise
    unchanged(path, state, name)
    return found


def _opened(path: Path, name: str, state: State) -> Opened:
    with path.open("rb") as file:
        start = file.read(1 << 16)
    for magic, what in formats.FOREIGN.items():
        if start.startswith(magic):
            raise InvalidFile("not-predictions", f"this is {what}, not a table of predictions", where=name, hint=formats.WANTED)
    if start.startswith(b"PAR1"):
        try:
            schema = pl.read_parquet_schema(path)
        except formats.BROKEN as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidFile("not-predictions", f"the Parquet file is damaged: {first[:200]}", where=name, hint=formats.CUT_OFF) from error
        return Opened((path,), FileSource(name, "parquet", path=path), pl.Schema(schema), rows(path), state=state)
    if start.removeprefix(formats.BOM).lstrip()[:1] == b"{":
        parts, columns, count = text.json_lines(path, name)
        source = FileSource(name, "jsonl", path=path)
    else:
        parts, columns, count, separator, quoted = text.csv_table(path, name)
        source = FileSource(name, "csv", separator=separator, path=path, quoted=quoted)
    return Opened(parts, source, pl.Schema({text.ROW: pl.Int64, **dict.fromkeys(columns, pl.String)}), count, numbered=True)


def of_frame(frame: pl.DataFrame, name: str) -> Opened:
    """Rows that are in memory already, as a file of their own: what is compared with a large one is read as it is."""
    path = scratch.place("frame") / "0"
    with scratch.writing():
        frame.write_parquet(path, compression="uncompressed", statistics=False, row_group_size=BLOCK)
    return Opened((path,), FileSource(name, "parquet", path=path), frame.schema, frame.height)
