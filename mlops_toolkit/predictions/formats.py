"""CSV, Parquet and JSON to a frame, recognised by what a file holds, not by what it is called. Nothing is guessed about types here.

CSV and JSON give text columns exactly as written (an empty CSV cell and a JSON null are null); Parquet keeps its types.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile
from mlops_toolkit.predictions.place import Source, shown
from mlops_toolkit.predictions.table import PROB, RESERVED
from mlops_toolkit.system import proc

BOM = b"\xef\xbb\xbf"
WANTED = "write CSV, Parquet or JSON lines with the columns id, target, prediction"
CUT_OFF = "was the command stopped while it wrote it?"
# What people hand over instead, by first bytes.
FOREIGN = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive (an .xlsx or .npz, perhaps)",
    b"\x93NUMPY": "a NumPy array",
    b"ARROW1": "an Arrow (Feather) file",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"(\xb5/\xfd": "a zstd file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
}
# Parquet is read by native code, which on a damaged file may panic rather than raise: a panic is no Exception.
BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError, MemoryError)


def load(path: Path, name: str | None = None, *, careful: bool = False) -> tuple[pl.DataFrame, Source]:
    """A file's rows as they stand and where they stand. InvalidFile where it holds no table; see `read` for the names and `careful`."""
    name = name or str(path)
    if not careful and (frame := _whole_parquet(path)) is not None:
        return frame, Source(name, "parquet")
    raw = _bytes(path, name)
    body = raw[len(BOM) :] if raw.startswith(BOM) else raw
    if not (body[:4096].strip() or body.strip()):
        raise InvalidFile("empty-file", f"the file is empty ({len(raw)} bytes)", where=name, hint=WANTED)
    for magic, what in FOREIGN.items():
        if raw.startswith(magic):
            raise InvalidFile("not-predictions", f"this is {what}, not a table of predictions", where=name, hint=WANTED)
    if raw.startswith(b"PAR1"):
        if careful:
            _survive(raw, name)
        return _parquet(raw, name)
    if body.lstrip()[:1] in (b"{", b"["):
        return _json(body, name)
    return _csv(body, name)


def _whole_parquet(path: Path) -> pl.DataFrame | None:
    """A Parquet file without its bytes being read first; None where it is none, or not whole: its bytes tell why."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                return None
        return pl.read_parquet(path, glob=False, memory_map=False)
    except BROKEN:
        return None


def _bytes(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise InvalidFile("not-a-file", "this is a folder, not a file of predictions", where=name, hint=WANTED)
    if not path.exists():
        raise InvalidFile("no-file", "there is no such file", where=name)
    if not path.is_file():
        raise InvalidFile("not-a-file", "this is not an ordinary file", where=name, hint=WANTED)
    try:
        return path.read_bytes()
    except OSError as error:
        raise EnvironmentFailure("unreadable-file", f"cannot be read: {error.strerror or error}", where=name) from error


# A damaged Parquet file can make the native reader ask for exabytes, which ends the process: nothing could be caught.
TRIAL = "import io, sys, polars; polars.read_parquet(io.BytesIO(sys.stdin.buffer.read()))"


def _survive(raw: bytes, name: str) -> None:
    """Read it in a process of its own first."""
    done = proc.run([sys.executable, "-I", "-c", TRIAL], data=raw)
    if done.status != 0:
        why = done.trouble.partition("Error: ")[2][:200] if done.status > 0 else ""
        raise InvalidFile(
            "not-predictions", f"the Parquet file is damaged: {why or 'reading it crashes the reader'}", where=name, hint=CUT_OFF
        )


def _parquet(raw: bytes, name: str) -> tuple[pl.DataFrame, Source]:
    try:
        frame = pl.read_parquet(io.BytesIO(raw))
    except BROKEN as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidFile("not-predictions", f"the Parquet file is damaged: {first[:200]}", where=name, hint=CUT_OFF) from error
    return frame, Source(name, "parquet")


# --- CSV


def _csv(body: bytes, name: str) -> tuple[pl.DataFrame, Source]:
    if b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    if (at := body.find(b"\0")) >= 0:
        raise InvalidFile(
            "not-predictions",
            f"a NUL byte stands at byte {at + 1}: this is not text",
            where=f"{name} row {_line_at(body, at)}",
            hint=WANTED,
        )
    source = Source(name, "csv", body, separator(body))
    try:
        frame = pl.read_csv(body, infer_schema=False, separator=source.separator, quote_char='"')
    except BROKEN as error:
        raise _why_csv(source, str(error)) from error
    names = header(body, source.separator)
    if any("\ufffd" in column for column in names):
        raise _why_csv(source, "the header is no text")
    if duplicate := next((column for i, column in enumerate(names) if column in names[:i]), None):
        raise InvalidFile("duplicate-column", f"the column {shown(duplicate)} stands twice in the header", where=f"{name} row 1")
    return frame, source


def header(body: bytes, separator: str) -> list[str]:
    """The names in the first row."""
    csv.field_size_limit(sys.maxsize)
    text = body[: 1 << 16].decode("utf-8", "replace")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])


def separator(body: bytes) -> str:
    """Comma, unless only another separator makes the header name columns we know."""

    def known(separator: str) -> int:
        return sum(column in RESERVED or column.startswith(PROB) for column in header(body, separator))

    return max((",", ";", "\t"), key=known)


def _line_at(body: bytes, at: int) -> int:
    return body.count(b"\n", 0, at) + 1


def _why_csv(source: Source, trouble: str) -> InvalidFile:
    """The first thing wrong in a CSV that polars refused, with its line."""
    body, name = source.raw, source.name
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return InvalidFile(
            "not-predictions",
            f"byte {error.start + 1} (0x{body[error.start]:02x}) is not UTF-8",
            where=f"{name} row {_line_at(body, error.start)}",
            hint="write the file with encoding UTF-8",
        )
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.separator, strict=True)
    wanted, start = 0, 0
    try:
        for index, row in enumerate(reader):
            if index == 0:
                wanted = len(row)
            elif len(row) > wanted:
                return ragged(len(row), wanted, f"{name} row {start + 1}")
            start = reader.line_num
    except csv.Error as error:
        return InvalidFile("bad-quotes", f"the quotes are not balanced: {error}", where=f"{name} row {start + 1}")
    first = trouble.splitlines()[0] if trouble else "no table"
    return InvalidFile("not-predictions", f"not readable as CSV: {first[:200]}", where=name, hint=WANTED)


def ragged(cells: int, wanted: int, where: str) -> InvalidFile:
    """That a row has more cells than the header."""
    hint = 'put a cell that holds the separator or a newline in quotes: "a,b"'
    return InvalidFile("ragged-row", f"{cells} cells where the header has {wanted}", where=where, hint=hint)


# --- JSON


class Written(float):
    """A JSON number that remembers its spelling, so that the label 1.0 stays `1.0`."""

    text: str

    def __new__(cls, text: str) -> Written:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that can be compared")


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(items)
    if len(made) != len(items):
        raise ValueError("a key stands twice in one row")
    return made


DECODER = json.JSONDecoder(parse_float=Written, parse_constant=_constant, object_pairs_hook=_object)


def _json(body: bytes, name: str) -> tuple[pl.DataFrame, Source]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFile(
            "not-predictions", f"byte {error.start + 1} is not UTF-8", where=f"{name} row {_line_at(body, error.start)}", hint=WANTED
        ) from error
    if text.lstrip().startswith("["):
        rows, source = _array(text, name), Source(name, "json")
    else:
        rows, numbers = lines(text, name)
        source = Source(name, "jsonl", lines=tuple(numbers))
    return frame(rows, source), source


def _kind(value: object) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _array(text: str, name: str) -> list[Any]:
    try:
        rows = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile("not-predictions", f"not readable as JSON: {_trouble(error)}", where=name, hint=WANTED) from error
    return list(rows)


def lines(text: str, name: str, *, first: int = 1) -> tuple[list[Any], list[int]]:
    """The rows of JSON lines and the numbers of their lines; the first line's is `first`."""
    rows, numbers = [], []
    for number, line in enumerate(text.split("\n"), first):
        if not line or line.isspace():
            continue
        try:
            rows.append(DECODER.decode(line))
        except (ValueError, RecursionError) as error:
            hint = WANTED
            if not rows and _is_json(text):
                hint = "this is one JSON document, not one object a line; numbers by name belong into a metrics file (`metrics-file:`)"
            raise InvalidFile(
                "not-predictions", f"not readable as JSON: {_trouble(error)}", where=f"{name} row {number}", hint=hint
            ) from error
        numbers.append(number)
    return rows, numbers


def _trouble(error: Exception) -> str:
    """What a JSON parser says, without its own notion of lines."""
    return f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)


def _is_json(text: str) -> bool:
    try:
        DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return value.text
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def frame(rows: Sequence[Any], source: Source) -> pl.DataFrame:
    """Decoded rows as columns of text; InvalidFile where one is no object."""
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise source.refuse("not-predictions", f"each row must be an object, this is {_kind(row)}", row=index, hint=WANTED)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    try:
        return pl.DataFrame({c: pl.Series(c, [_text(row.get(c)) for row in rows], dtype=pl.String) for c in columns}, strict=True)
    except (UnicodeEncodeError, *BROKEN, RecursionError) as error:
        raise source.refuse(
            "not-predictions", "it holds half a surrogate pair (\\ud800 and the like), which is no text", hint=WANTED
        ) from error
