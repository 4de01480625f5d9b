"""Columns of numbers on disk, written and read a block of rows at a time."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    _open: dict[str, int] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gone = weakref.finalize(self, _remove, self.folder, self._open)

    @classmethod
    def made(cls, name: str) -> Spool:
        """An empty one in this process's temporary folder; it gives its room back when nobody holds it any more."""
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
                places[name] = self._write(name, kept), kept.dtype
        self.blocks.append((rows, places))

    def _write(self, name: str, values: Array) -> int:
        """Where in its file the column goes on."""
        if name not in self._open:
            path = self.folder / str(len(self._open))  # a column may be called anything
            self._open[name] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        start = self._ends.get(name, 0)
        view, done = memoryview(values.view(np.uint8)), 0  # type: ignore[arg-type]  # numpy's arrays are buffers
        while done < len(view):
            done += os.pwrite(self._open[name], view[done:], start + done)
        self._ends[name] = start + done
        return start

    def block(self, index: int, names: frozenset[str] | None = None) -> dict[str, Array]:
        """The columns of one block (None: all of them), as they were given but for their width."""
        rows, places = self.blocks[index]
        return {name: self._read(name, *places[name], rows) for name in (places if names is None else names & set(places))}

    def _read(self, name: str, start: int, dtype: np.dtype[Any], rows: int) -> Array:
        values = np.empty(rows, dtype)
        view, done = memoryview(values.view(np.uint8)), 0  # type: ignore[arg-type]  # numpy's arrays are buffers
        file = self._open[name]
        while done < len(view):
            got = os.preadv(file, [view[done:]], start + done)
            if not got:
                raise EOFError(f"block of {name} is cut off")  # nobody but this process writes there
            done += got
        return values

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (self.block(i) for i in range(len(self.blocks)))

    def close(self) -> None:
        """Give its room back."""
        self._gone()


def _remove(folder: Path, files: dict[str, int]) -> None:
    for file in files.values():
        os.close(file)
    files.clear()
    shutil.rmtree(folder, ignore_errors=True)


def _narrow(values: Array) -> Array:
    if values.dtype == bool or values.dtype.kind == "f" or not len(values):
        return values
    top = int(values.max())
    if values.min() < 0:
        return values
    return values.astype(np.min_scalar_type(top), copy=False)
