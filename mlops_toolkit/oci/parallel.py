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

    tasks: each is begun as soon as it comes, while the next is still being made.
    The threads are not waited for at the end of the process: one may hang in an answer that a registry takes minutes for.
    """
    waiting, done = queue.SimpleQueue[tuple[int, Callable[[], T]] | None](), queue.SimpleQueue[tuple[int, T | None, BaseException | None]]()

    def work() -> None:
        while (given := waiting.get()) is not None:
            at, task = given
            try:
                done.put((at, task(), None))
            except BaseException as error:  # noqa: BLE001 -- raised again by whoever waits
                done.put((at, None, error))
                return

    threads: list[threading.Thread] = []
    results: dict[int, T] = {}
    count = 0

    def take(*, wait: bool) -> None:
        while len(results) < count:
            try:
                at, result, error = done.get(block=wait)
            except queue.Empty:
                return
            _raise(error)
            results[at] = result  # type: ignore[assignment]

    try:
        for task in tasks:
            waiting.put((count, task))
            count += 1
            if len(threads) < workers:
                threads.append(threading.Thread(target=work, name=f"registry-{len(threads)}", daemon=True))
                threads[-1].start()
            take(wait=False)
        take(wait=True)
    except BaseException:
        _end(registry, waiting, threads)
        raise
    for _ in threads:
        waiting.put(None)  # nothing more comes
    return [results[at] for at in range(count)]


def _end(registry: Registry, waiting: queue.SimpleQueue[tuple[int, Callable[[], T]] | None], threads: list[threading.Thread]) -> None:
    registry.stop()
    with contextlib.suppress(queue.Empty):  # the others take from it as well
        while True:
            waiting.get_nowait()
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join(FAREWELL_SECONDS)
    if not any(thread.is_alive() for thread in threads):
        registry.go_on()


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
