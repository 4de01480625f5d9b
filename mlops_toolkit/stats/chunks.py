"""Large arrays worked through piece by piece: pieces that stay in the processor's cache, several at a time, answers in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

T = TypeVar("T")

ROWS = 1 << 15
_WORKERS = 4  # numpy lets go of the interpreter while it computes; more would only wait for memory
_WORTHWHILE = 4 * ROWS


def by_chunk(n: int, work: Callable[[slice], T]) -> list[T]:
    """The answers for rows 0 to n, `ROWS` at a time, in the order of the rows whatever was computed first. At least one chunk.

    What overflows or is no number is left to the caller to find in the answer: no warnings.
    """

    def quietly(part: slice) -> T:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return work(part)

    parts = [slice(start, min(start + ROWS, n)) for start in range(0, max(n, 1), ROWS)]
    if n < _WORTHWHILE:
        return [quietly(part) for part in parts]
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(quietly, parts))
