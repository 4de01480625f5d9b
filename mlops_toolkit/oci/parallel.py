"""Several blobs at once: more connections than one fill the line to a registry that is far away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from mlops_toolkit.oci.registry import Registry

WORKERS = 4
T = TypeVar("T")


def at_once(registry: Registry, tasks: Iterable[Callable[[], T]], workers: int = WORKERS) -> list[T]:
    """The tasks' results, in their order. Whatever fails first, a signal too, ends what the others do at this registry, and is raised."""
    with ThreadPoolExecutor(workers, thread_name_prefix="registry") as pool:
        running = [pool.submit(task) for task in tasks]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            failed = next((future for future in running if future in done and future.exception()), None)
            return [future.result() for future in ([failed] if failed else running)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            registry.stop()
            pool.shutdown(wait=True)
            registry.go_on()
            raise
