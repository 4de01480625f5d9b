"""Large arrays worked through piece by piece: pieces that stay in the processor's cache, several at a time, answers in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

S = TypeVar("S")
T = TypeVar("T")

ROWS = 1 << 15
_WORKERS = 4  # numpy lets go of the interpreter while it computes; more would only wait for memory
_AHEAD = 2 * _WORKERS
_WORTHWHILE = 4 * ROWS


def by_chunk(n: int, work: Callable[[slice], T]) -> list[T]:
    """The answers for rows 0 to n, `ROWS` at a time, in the order of the rows whatever was computed first. At least one chunk."""
    return list(in_order([slice(start, min(start + ROWS, n)) for start in range(0, max(n, 1), ROWS)], work, rows=n))


def in_order(items: Iterable[S], work: Callable[[S], T], *, rows: int) -> Iterator[T]:
    """The answers in the order of the items, of which a few are worked at at once where there are many `rows` in all.

    What overflows or is no number is left to the caller to find in the answer: no warnings.
    """

    def quietly(item: S) -> T:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return work(item)

    if rows < _WORTHWHILE:
        yield from map(quietly, items)
        return
    waiting, rest = [], iter(items)
    with ThreadPoolExecutor(_WORKERS) as pool:
        for item in rest:
            waiting.append(pool.submit(quietly, item))
            if len(waiting) > _AHEAD:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()
