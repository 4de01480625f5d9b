"""Large arrays worked through piece by piece: pieces that stay in the processor's cache, several at a time, answers in order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

ROWS = 1 << 16  # half a megabyte a column: with fewer, asking for the interpreter would take as long as computing
_WORKERS = 2  # more would wait for the interpreter, which each asks for after every operation: four took a sixth longer than two
_WORTHWHILE = 2 * ROWS
STRETCH = 4 * ROWS
_ROOMS = 2  # threads that work in rooms: a third would wait for the interpreter, which each asks for every ten microseconds


_mine = threading.local()  # `stopped`, of a thread that works beside others: set once nobody waits for its answer any more


def by_chunk(n: int, work: Callable[[slice], T]) -> list[T]:
    """The answers for rows 0 to n, `ROWS` at a time, in the order of the rows whatever was computed first. At least one chunk."""
    return list(in_order([slice(start, min(start + ROWS, n)) for start in range(0, max(n, 1), ROWS)], work, rows=n))


def blocks(rows: slice) -> Iterator[slice]:
    """Rows from start to stop, `ROWS` at a time."""
    for start in range(rows.start, rows.stop, ROWS):
        yield slice(start, min(start + ROWS, rows.stop))


def aligned(rows: int, many: int) -> Floats:
    """Several arrays to compute in, (many, rows), which start where a line of the cache does, and each a few lines further into its page.

    Else every store would touch two lines, and take twice as long; and what several arrays hold of one row would fight for the same lines.
    """
    line = 64 // 8
    apart = -(-rows // line) * line + 9 * line
    held = np.empty(many * apart + line)
    start = -held.ctypes.data // 8 % line
    return held[start : start + many * apart].reshape(many, apart)[:, :rows]


def by_stretch(n: int, room: Callable[[], R], work: Callable[[slice, R], T]) -> Iterator[T]:
    """The answers for rows 0 to n, several blocks at a time, in their order. Each is worked on in a room that no other has meanwhile.

    What is computed in arrays that are used again stays in the cache, where new ones would have to be fetched, and cleared, first.
    """
    free: SimpleQueue[R] = SimpleQueue()

    def one(rows: slice) -> T:
        try:
            mine = free.get_nowait()
        except Empty:
            mine = room()
        try:
            return work(rows, mine)
        finally:
            free.put(mine)

    stretches = (slice(start, min(start + STRETCH, n)) for start in range(0, n, STRETCH))
    yield from in_order(stretches, one, rows=n, workers=_ROOMS)


def in_order(items: Iterable[S], work: Callable[[S], T], *, rows: int, workers: int | None = None) -> Iterator[T]:
    """The answers in the order of the items, of which a few are worked at at once where there are many `rows` in all.

    Within what is worked at so already, one after the other. What overflows or is no number is left to the caller to find in the
    answer: no warnings.
    """
    stopped: threading.Event | None = getattr(_mine, "stopped", None)
    if rows < _WORTHWHILE or stopped is not None:
        for item in items:
            if stopped is not None and stopped.is_set():
                raise CancelledError
            yield _quietly(work, item)
        return
    waiting, rest, many = [], iter(items), workers or _WORKERS
    with _pool(many) as pool:
        for item in rest:
            waiting.append(pool.submit(_quietly, work, item))
            if len(waiting) > 2 * many:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()


class Start(Protocol):
    """Has something worked at beside what follows, or at once; gives what waits for its answer."""

    def __call__(self, work: Callable[[S], T], item: S) -> Callable[[], T]: ...


@contextlib.contextmanager
def beside(rows: int) -> Iterator[Start]:
    """For pieces of work that have nothing to do with each other, begun as they come where there are many `rows` in all."""
    if rows < _WORTHWHILE or hasattr(_mine, "stopped"):
        yield _at_once
        return
    with _pool(_WORKERS) as pool:
        yield lambda work, item: pool.submit(_quietly, work, item).result


def _at_once(work: Callable[[S], T], item: S) -> Callable[[], T]:
    answer = _quietly(work, item)
    return lambda: answer


def _quietly(work: Callable[[S], T], item: S) -> T:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        return work(item)


@contextlib.contextmanager
def _pool(many: int) -> Iterator[ThreadPoolExecutor]:
    """Threads; an error, or a signal, ends them at the next piece of what they work at, and what has not begun never will."""
    stopped = threading.Event()
    with ThreadPoolExecutor(many, initializer=lambda: setattr(_mine, "stopped", stopped)) as pool:
        try:
            yield pool
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
