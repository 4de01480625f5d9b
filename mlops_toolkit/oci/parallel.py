"""Several blobs at once: more connections than one fill the line to a registry that is far away."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from mlops_toolkit.oci.registry import Registry

WORKERS = 4
FAREWELL_SECONDS = 2.0  # how long is waited for the others after one has failed
T = TypeVar("T")


def at_once(registry: Registry, tasks: Iterable[Callable[[], T]], workers: int = WORKERS) -> list[T]:
    """The tasks' results, in their order. Whatever fails first, a signal too, ends what the others do at this registry, and is raised.

    The threads are not waited for at the end of the process: one may hang in an answer that a registry takes minutes for.
    """
    waiting, done = queue.SimpleQueue[tuple[int, Callable[[], T]]](), queue.SimpleQueue[tuple[int, T | None, BaseException | None]]()
    count = 0
    for count, task in enumerate(tasks, 1):
        waiting.put((count - 1, task))

    def work() -> None:
        while True:
            try:
                at, task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((at, task(), None))
            except BaseException as error:  # noqa: BLE001 -- raised again by whoever waits
                done.put((at, None, error))
                return

    threads = [threading.Thread(target=work, name=f"registry-{number}", daemon=True) for number in range(min(workers, count))]
    for thread in threads:
        thread.start()
    results: dict[int, T] = {}
    try:
        while len(results) < count:
            at, result, error = done.get()
            _raise(error)
            results[at] = result  # type: ignore[assignment]
    except BaseException:
        _end(registry, waiting, threads)
        raise
    return [results[at] for at in range(count)]


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def _end(registry: Registry, waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]], threads: list[threading.Thread]) -> None:
    registry.stop()
    with contextlib.suppress(queue.Empty):  # the others take from it as well
        while True:
            waiting.get_nowait()
    for thread in threads:
        thread.join(FAREWELL_SECONDS)
    if not any(thread.is_alive() for thread in threads):
        registry.go_on()
