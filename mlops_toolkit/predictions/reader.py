"""A program: the answers in a Parquet file that nobody has read yet, from standard input to JSON on standard output, under limits.

It is started in a process of its own (`quarantine`) and needs only polars: a file that crashes or fills it ends this process alone.
It says what is wrong as one line on standard error, with exit status 3.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import polars as pl

REFUSED = 3
MEMORY, SECONDS = 6 << 30, 120  # address space (most of it is never touched) and processor time
LONGEST_CELL, MOST_TEXT = 1 << 16, 256 << 20  # bytes
MOST_COLUMNS = 10_000


def main(most_rows: int, wanted: list[str]) -> None:
    """Print {column: [cells]} of the wanted columns that are there. Floats that are none are written NaN, Infinity."""
    for what, limit in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a stricter one stands already, or the system (macOS) knows none
            resource.setrlimit(what, (limit, limit))
    import polars as pl

    raw = sys.stdin.buffer.read()
    if not raw.startswith(b"PAR1"):
        refuse("it is no Parquet file")
    schema = pl.read_parquet_schema(io.BytesIO(raw))
    if len(schema) > MOST_COLUMNS:
        refuse(f"it has more than {MOST_COLUMNS:,} columns")
    names = [name for name in wanted if name in schema]
    for name in names:
        if not (schema[name] in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) or schema[name].is_numeric()):
            refuse(f"its column {name} holds neither text nor numbers")
    rows = pl.scan_parquet(io.BytesIO(raw)).select(pl.len()).collect().item()
    if rows > most_rows:
        refuse(f"it claims {rows:,} rows, more than the {most_rows:,} that were asked for")
    frame = pl.read_parquet(io.BytesIO(raw), columns=names, n_rows=most_rows + 1)
    refuse_long(frame)
    # Written as they are: an escaped letter is up to six times as long.
    sys.stdout.buffer.write(json.dumps({name: frame[name].to_list() for name in names}, ensure_ascii=False).encode())


def refuse_long(frame: pl.DataFrame) -> None:
    """End where a cell is longer than a page, or those of all columns together longer than a book."""
    import polars as pl

    total = 0
    for column in frame:
        if not column.dtype.is_numeric() and column.dtype != pl.Boolean:
            size = column.cast(pl.String).str.len_bytes()
            total += int(size.sum())
            if int(size.max() or 0) > LONGEST_CELL or total > MOST_TEXT:
                refuse(f"its column {column.name} holds too much text")


def refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
