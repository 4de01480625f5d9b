"""From a model's folder to something that answers: loaded, held against its golden examples, and warmed, in the thread that will ask it."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Hashable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mlops_toolkit.formats import golden
from mlops_toolkit.formats.load import Loaded, load
from mlops_toolkit.formats.signature import Signature
from mlops_toolkit.serve.batching import Batcher, ordinary
from mlops_toolkit.serve.places import Place
from mlops_toolkit.serve.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARM = 3.0  # seconds, at most, that larger and larger batches are tried for
CGROUP = Path("/sys/fs/cgroup")


async def bring(place: Place, batcher: Batcher, settings: Settings) -> Loaded:
    """Load a model in its batcher's thread, which is ready to answer then. Raises whatever loading, its golden examples or its code raise."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Loaded] = loop.create_future()

    def told(outcome: Loaded | Exception) -> None:
        if done.done():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    def job() -> None:
        try:
            made = _ready(place, batcher, settings)
        except BaseException as error:  # noqa: BLE001  # a model that ends its thread by SystemExit has failed, and nothing more
            loop.call_soon_threadsafe(told, ordinary(error))
        else:
            loop.call_soon_threadsafe(told, made)

    batcher.first(job)
    return await done


def _ready(place: Place, batcher: Batcher, settings: Settings) -> Loaded:
    loaded = load(place.folder, served=True, threads=settings.threads or processors())
    loaded.golden()
    signature = loaded.signature
    batcher.rowwise = joinable(signature)
    batcher.joins = batcher.max_batch > 1 and batcher.rowwise
    batcher.key = key_of(signature)
    # A session of ONNX Runtime may be asked by any thread; of a handler's or a framework's own nothing of the kind is known.
    batcher.inline = loaded.part.format == "onnx"
    _warm(loaded, batcher)
    batcher.answer = loaded.answer
    return loaded


def _warm(loaded: Loaded, batcher: Batcher) -> None:
    """Ask golden examples over and over, one and more at a time: memory is taken and speeds are known before the first request comes."""
    import numpy as np

    inputs, _ = golden.read(loaded.folder, loaded.signature)
    rows = max(len(array) for array in inputs.values())
    begun, size = perf_counter(), 1 if batcher.joins else rows
    while True:
        given = {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()} if batcher.joins else inputs
        for _ in range(2):  # the first of a size also takes memory
            before = perf_counter()
            found = loaded.answer(given)
            seconds = perf_counter() - before
        batcher.learn(size, seconds)
        if batcher.joins and any(not array.ndim or len(array) != size for array in map(np.asarray, found.values())):
            batcher.joins = batcher.rowwise = False
        if not batcher.joins or size >= batcher.max_batch or seconds > batcher.latency_target or perf_counter() - begun > WARM:
            return
        size = min(2 * size, batcher.max_batch)


def joinable(signature: Signature) -> bool:
    """Whether requests may be joined: every tensor's first axis is free."""
    tensors = [*signature.inputs, *signature.outputs]
    return all(tensor.shape and tensor.shape[0] is None for tensor in tensors)


def key_of(signature: Signature) -> Callable[[dict[str, NDArray[Any]]], Hashable] | None:
    """What must be equal of requests that are joined: the lengths of axes beside the first that are free, None where there are none."""
    free = [tensor.name for tensor in signature.inputs if any(length is None for length in tensor.shape[1:])]
    if not free:
        return None
    return lambda inputs: tuple(inputs[name].shape[1:] for name in free)


def processors() -> int:
    """How many processors this process may use: of the machine, of its affinity, of its container's quota (rounded up)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, min(allowed, math.ceil(quota)) if quota else allowed)


def _quota() -> float | None:
    """The container's share of processors, None without a limit (both versions of control groups)."""
    try:
        said, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return None if said == "max" else int(said) / int(period)
    except (OSError, ValueError):
        pass
    try:
        given = int((CGROUP / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        per = int((CGROUP / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return given / per if given > 0 and per > 0 else None
    except (OSError, ValueError):
        return None
