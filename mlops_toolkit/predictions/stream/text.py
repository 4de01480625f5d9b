"""CSV and JSON lines of any size to Parquet files in the temporary folder, each cell as text exactly as written."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions import formats
from mlops_toolkit.predictions.place import Source, shown
from mlops_toolkit.predictions.stream import scratch

ROW = "\0row"  # no column of a file is called so: NUL is refused in text
_PIECE, _LINES = 1 << 24, 50_000


def csv_table(path: Path, name: str) -> tuple[tuple[Path, ...], list[str], int, str, bool]:
    """(parts, columns, rows, separator, whether there are quotes). InvalidFile as `formats.load` says it, by line."""
    quoted, lines = _text(path, name)
    if not lines:
        raise InvalidFile("not-predictions", "its lines end in CR alone", where=name, hint="write lines that end in LF, or Parquet")
    with path.open("rb") as file:
        start = file.read(1 << 16).removeprefix(formats.BOM)
    separator = formats.separator(start)
    header = formats.header(start, separator)
    if any("\ufffd" in column for column in header):
        raise _why(path, name, separator, "the header is no text")
    if duplicate := next((column for i, column in enumerate(header) if column in header[:i]), None):
        raise InvalidFile("duplicate-column", f"the column {shown(duplicate)} stands twice in the header", where=f"{name} row 1")
    made = scratch.place("csv") / "0"
    query = pl.scan_csv(path, infer_schema=False, separator=separator, quote_char='"', glob=False)
    try:
        columns = query.collect_schema().names()
        rows = query.with_row_index(ROW).filter(pl.any_horizontal(pl.col(c).is_not_null() for c in columns))
        with scratch.writing():
            rows.with_columns(pl.col(ROW).cast(pl.Int64)).sink_parquet(made, compression="lz4", statistics=False)
    except formats.BROKEN as error:
        raise _why(path, name, separator, str(error)) from error
    return (made,), columns, int(pl.scan_parquet(made).select(pl.len()).collect().item()), separator, quoted


def _text(path: Path, name: str) -> tuple[bool, bool]:
    """Whether there are quotes and line feeds in a file; InvalidFile where a NUL is."""
    quoted = lines = False
    at = line = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if (nul := piece.find(b"\0")) >= 0:
                place = f"{name} row {line + piece.count(bytes([10]), 0, nul) + 1}"
                message = f"a NUL byte stands at byte {at + nul + 1}: this is not text"
                raise InvalidFile("not-predictions", message, where=place, hint=formats.WANTED)
            quoted = quoted or b'"' in piece
            count = piece.count(b"\n")
            lines, line, at = lines or bool(count), line + count, at + len(piece)
    return quoted, lines


def _why(path: Path, name: str, separator: str, trouble: str) -> InvalidFile:
    """The first thing wrong in a CSV that polars refused, with its line."""
    if bad := _no_utf8(path, name):
        return bad
    csv.field_size_limit(sys.maxsize)
    wanted = start = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            for index, row in enumerate(reader):
                wanted = len(row) if index == 0 else wanted
                if len(row) > wanted:
                    return formats.ragged(len(row), wanted, f"{name} row {start + 1}")
                start = reader.line_num
        except csv.Error as error:
            return InvalidFile("bad-quotes", f"the quotes are not balanced: {error}", where=f"{name} row {start + 1}")
    first = trouble.splitlines()[0] if trouble else "no table"
    return InvalidFile("not-predictions", f"not readable as CSV: {first[:200]}", where=name, hint=formats.WANTED)


def _no_utf8(path: Path, name: str) -> InvalidFile | None:
    decoder, at, line = codecs.getincrementaldecoder("utf-8")(), 0, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                place = error.start - held  # below 0: it began in the piece before
                byte = at + place + 1
                row = line + piece.count(b"\n", 0, max(place, 0)) + 1
                message = f"byte {byte} (0x{error.object[error.start]:02x}) is not UTF-8"
                return InvalidFile("not-predictions", message, where=f"{name} row {row}", hint="write the file with encoding UTF-8")
            at, line = at + len(piece), line + piece.count(b"\n")
    return None


def json_lines(path: Path, name: str) -> tuple[tuple[Path, ...], list[str], int]:
    """(parts, columns, rows)."""
    folder, columns, parts, count = scratch.place("json"), dict[str, None](), list[Path](), 0
    for first, lines in _batches(path, name):
        rows, numbers = formats.lines("\n".join(lines), name, first=first)
        source = Source(name, "jsonl", lines=tuple(numbers))
        frame = formats.frame(rows, source)
        columns |= dict.fromkeys(frame.columns)
        part = folder / str(len(parts))
        with scratch.writing():
            frame.insert_column(0, pl.Series(ROW, numbers, dtype=pl.Int64)).write_parquet(part, compression="lz4", statistics=False)
        parts.append(part)
        count += frame.height
    return tuple(parts), list(columns), count


def _batches(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """(the first line's number, lines) of a text file."""
    if bad := _no_utf8(path, name):
        raise InvalidFile(bad.name, bad.message.partition(" (")[0] + " is not UTF-8", where=bad.where, hint=formats.WANTED)
    first, held = 1, list[str]()
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            held.append(line.removesuffix("\n"))
            if len(held) == _LINES:
                yield first, held
                first, held = first + len(held), []
    if held:
        yield first, held
