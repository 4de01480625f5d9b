"""Columns of numbers on disk, written and read a block of rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.predictions.stream import scratch

BLOCK = 1 << 18  # rows: the arrays of a block stay in the processor's cache

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass
class Spool:
    """Columns of equally many rows. Whole numbers ≥ 0 take as few bytes as the largest of a block needs.

    blocks  of each block the rows, and of each column where it starts in its file (bytes) and its type
    """

    folder: Path
    blocks: list[tuple[int, dict[str, tuple[int, np.dtype[Any]]]]] = field(default_factory=list)
    _open: dict[str, IO[bytes]] = field(default_factory=dict)

    @classmethod
    def made(cls, name: str) -> Spool:
        """An empty one in this process's temporary folder."""
        return cls(scratch.place(name))

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.blocks)

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.blocks[0][1]) if self.blocks else frozenset()

    def append(self, arrays: Arrays) -> None:
        """One block more: (n,) each, the same columns every time."""
        rows = 0
        places: dict[str, tuple[int, np.dtype[Any]]] = {}
        for name, values in arrays.items():
            rows = len(values)
            kept = np.ascontiguousarray(_narrow(values))
            with scratch.writing():
                file = self._file(name)
                places[name] = file.tell(), kept.dtype
                file.write(kept.data if len(kept) else b"")
        self.blocks.append((rows, places))

    def _file(self, name: str) -> IO[bytes]:
        if name not in self._open:
            path = self.folder / str(len(self._open))  # a column may be called anything
            self._open[name] = path.open("w+b", buffering=0)
        return self._open[name]

    def block(self, index: int, names: frozenset[str] | None = None) -> dict[str, Array]:
        """The columns of one block (None: all of them), as they were given but for their width."""
        rows, places = self.blocks[index]
        return {name: self._read(name, *places[name], rows) for name in (places if names is None else names & set(places))}

    def _read(self, name: str, start: int, dtype: np.dtype[Any], rows: int) -> Array:
        values = np.empty(rows, dtype)
        view, done = memoryview(values.view(np.uint8)), 0  # type: ignore[arg-type]  # numpy's arrays are buffers
        file = self._open[name]
        while done < len(view):
            got = os.preadv(file.fileno(), [view[done:]], start + done)
            if not got:
                raise EOFError(f"block of {name} is cut off")  # nobody but this process writes there
            done += got
        return values

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (self.block(i) for i in range(len(self.blocks)))

    def close(self) -> None:
        """Give its room back."""
        for file in self._open.values():
            Path(file.name).unlink(missing_ok=True)
            file.close()
        self._open.clear()


def _narrow(values: Array) -> Array:
    if values.dtype == bool or values.dtype.kind == "f" or not len(values):
        return values
    top = int(values.max())
    if values.min() < 0:
        return values
    return values.astype(np.min_scalar_type(top), copy=False)
