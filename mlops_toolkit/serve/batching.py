"""Requests that wait are answered together: one model, its queue, and the one thread that computes.

Nobody waits for company: an idle model computes a lone request at once, and while it computes the next batch gathers. A batch is joined along
the first axis of requests whose other axes agree, no larger than what is computed within the latency target. A request whose turn would come
too late is refused when it arrives, and one that nobody waits for any more is not computed.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.speed import Speed

if TYPE_CHECKING:
    from numpy.typing import NDArray

INLINE = 0.0005  # seconds: what takes less is computed where it arrived, since handing it to a thread and back would cost as much


class NotRowwise(Exception):
    """The answer to several rows is not one row each: it cannot be cut apart."""


@dataclass(slots=True, eq=False)
class Work:
    """One request's arrays on their way.

    done      called once, on the loop's thread, with the answer or the exception
    token     of whoever watches
    computed  seconds of the batch it was in
    """

    inputs: dict[str, NDArray[Any]]
    rows: int
    deadline: float
    done: Callable[[Work, Any], None]
    token: Any = None
    arrived: float = 0.0
    started: float = 0.0
    computed: float = 0.0
    over: bool = False


class Batcher:
    """The queue of one model and its thread.

    answer    arrays in, arrays out; called by one thread at a time, always the same one but for `inline`
    joins     whether requests may be joined; rowwise: whether an answer holds as many rows as its request
    inline    whether what takes next to no time may be computed on the loop's own thread
    key       what must agree of requests that are joined, None where the signature fixes all but the first axis
    batched   told of each batch: rows, requests, seconds, and the tokens of its requests
    """

    def __init__(
        self,
        name: str,
        *,
        loop: asyncio.AbstractEventLoop,
        max_batch: int,
        latency_target: float,
        max_wait: float,
        batched: Callable[[int, int, float, list[Any]], None] = lambda rows, requests, seconds, tokens: None,
    ) -> None:
        self.loop = loop
        self.max_batch, self.latency_target, self.max_wait = max(1, max_batch), latency_target, max_wait
        self.batched = batched
        self.answer: Callable[[Any], dict[str, NDArray[Any]]] | None = None
        self.joins, self.rowwise, self.inline = True, True, False
        self.key: Callable[[dict[str, NDArray[Any]]], Hashable] | None = None
        self.speed = Speed()
        self._limit, self._full = self.max_batch, 0.0  # rows of a full batch now, and its seconds
        self._lock = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._queues: dict[Hashable, deque[Work]] = {}
        self._open: dict[Work, None] = {}  # not answered yet, oldest first (the loop's thread alone)
        self.waiting = 0  # rows in the queues
        self._computing: tuple[float, int] | None = None  # since when, how many rows
        self._idle = True
        self._stopping = False
        self._flushing = False
        self._jobs: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    # the loop's side

    def expected(self) -> float:
        """Seconds that a request which arrives now would wait for its turn. What takes longer than it should may take as long again."""
        computing = self._computing
        left = abs(computing[0] + self.speed.seconds(computing[1]) - perf_counter()) if computing else 0.0
        if not self.joins:
            requests = max(1, len(self._open) - 1)
            return left + requests * self.speed.seconds(max(1, self.waiting // requests)) if self.waiting else left
        return left + self.waiting / self._limit * self._full

    def submit(self, work: Work) -> None:
        """Take it into the queue. Refused `too-many` where its turn would come too late."""
        if self.waiting or self._computing:
            expected = self.expected()
            if expected > self.max_wait:
                raise busy(expected, self.max_wait)
        work.arrived = perf_counter()
        key = self.key(work.inputs) if self.key is not None else None
        self._open[work] = None
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = queue = deque()
            queue.append(work)
            self.waiting += work.rows
            idle = self._idle
            near = idle and self.inline and self.speed.fastest(self.waiting) < INLINE
            if idle and not near and not self._flushing:
                self._idle = False
                self._wake.put(None)
        if near and not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Compute here what arrived since the loop last looked, or have the thread do it where that became too much."""
        self._flushing = False
        results: list[tuple[Work, Any]] = []
        while True:
            with self._lock:
                if not self._idle:
                    break
                if self.waiting and self.speed.fastest(self.waiting) >= INLINE:
                    self._idle = False
                    self._wake.put(None)
                    break
                batch = self._take()
            if not batch:
                break
            results += self._computed(batch)
        self._deliver(results)

    def expire(self, now: float, error: Exception) -> int:
        """Give up what has no answer at its deadline; how many these were. What still waits is not computed any more."""
        late = []
        for work in self._open:
            if work.deadline > now:
                break
            late.append(work)
        self._deliver([(work, error) for work in late])
        return len(late)

    def stuck(self) -> float:
        """For how many seconds the batch at hand has been computed."""
        computing = self._computing
        return perf_counter() - computing[0] if computing else 0.0

    def empty(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._open

    def drop(self, work: Work) -> None:
        """Nobody waits for its answer any more: what still waits is not computed."""
        self._deliver([(work, None)])

    def stop(self) -> None:
        """Let the thread end once the queue is empty; what comes still is answered, but by nobody's wish."""
        with self._lock:
            self._stopping = True
            self._idle = False
            self._wake.put(None)

    def first(self, job: Callable[[], None]) -> None:
        """Have the thread do something else before any batch: load the model that answers."""
        with self._lock:
            self._jobs.append(job)
            self._idle = False
            self._wake.put(None)

    def _deliver(self, results: Sequence[tuple[Work, Any]]) -> None:
        for work, found in results:
            if work.over:
                continue
            work.over = True
            self._open.pop(work, None)
            try:
                work.done(work, found)
            except Exception as error:  # noqa: BLE001  # one connection that cannot take its answer keeps nobody else from theirs
                self.loop.call_exception_handler({"message": "an answer could not be given", "exception": error})

    # the thread's side

    def learn(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        self.speed.learn(rows, seconds)
        self._limit = self.speed.rows(self.latency_target, self.max_batch)
        self._full = self.speed.seconds(self._limit)

    def _run(self) -> None:
        while True:
            self._wake.get()
            while True:
                with self._lock:
                    job = self._jobs.popleft() if self._jobs else None
                    batch = [] if job else self._take()
                    if not job and not batch:
                        if self._stopping:
                            self.answer = None
                            return
                        self._idle = True
                        break
                if job:
                    job()
                    continue
                results = self._computed(batch)
                try:
                    self.loop.call_soon_threadsafe(self._deliver, results)
                except RuntimeError:  # the loop is closed: the server has ended
                    return
                del batch, results

    def _take(self) -> list[Work]:
        """The next batch; with the lock. Of several shapes, the one whose first request waits longest."""
        most = self._limit if self.joins else 1
        taken: list[Work] = []
        rows = 0
        while self._queues and not taken:  # of one shape all may be given up, while others wait
            if len(self._queues) == 1:
                [(key, queue)] = self._queues.items()
            else:
                key, queue = min(self._queues.items(), key=lambda item: item[1][0].arrived)
            while queue and (not taken or (self.joins and rows + queue[0].rows <= most)):
                work = queue.popleft()
                self.waiting -= work.rows
                if not work.over:
                    taken.append(work)
                    rows += work.rows
            if not queue:
                del self._queues[key]
        if taken:
            self._computing = (perf_counter(), rows)
        return taken

    def _computed(self, batch: Sequence[Work]) -> list[tuple[Work, Any]]:
        """What each of a batch is told: its answer, or an exception, also where what fails is not the model but this."""
        results: list[tuple[Work, Any]] = []
        try:
            self._compute(batch, results)
        except BaseException as error:  # noqa: BLE001  # no memory, a defect: without its thread a model would answer nobody any more
            told = {work for work, _ in results}
            results += [(work, ordinary(error)) for work in batch if work not in told]
        return results

    def _compute(self, batch: Sequence[Work], results: list[tuple[Work, Any]]) -> None:
        """Ask the model; where a batch fails, ask its halves, so that a request fails by its own fault alone."""
        rows = sum(work.rows for work in batch)
        begun = perf_counter()
        try:
            found = self._ask(batch, rows)
        except BaseException as error:  # noqa: BLE001  # whatever a model raises, SystemExit included, is the answer to that request and no more
            if len(batch) == 1:
                self._note(batch, begun, rows)
                results.append((batch[0], ordinary(error)))
            else:
                middle = len(batch) // 2
                for part in (batch[:middle], batch[middle:]):
                    alive = [work for work in part if not work.over]
                    if alive:
                        self._compute(alive, results)
        else:
            seconds = self._note(batch, begun, rows)
            self.learn(rows, seconds)
            results.extend(zip(batch, found, strict=True))
        finally:
            self._computing = None

    def _note(self, batch: Sequence[Work], begun: float, rows: int) -> float:
        seconds = perf_counter() - begun
        for work in batch:
            work.started, work.computed = begun, seconds
        self.batched(rows, len(batch), seconds, [work.token for work in batch])
        return seconds

    def _ask(self, batch: Sequence[Work], rows: int) -> list[dict[str, NDArray[Any]]]:
        answer = self.answer
        assert answer is not None  # noqa: S101  # requests come once the model is ready
        if len(batch) == 1:
            found = answer(batch[0].inputs)
            if self.rowwise:
                _checked(found, rows)
            return [found]
        import numpy as np

        joined = {name: np.concatenate([work.inputs[name] for work in batch]) for name in batch[0].inputs}
        found = answer(joined)
        _checked(found, rows)
        made, place = [], 0
        for work in batch:
            after = place + work.rows
            made.append({name: array[place:after] for name, array in found.items()})
            place = after
        return made


def ordinary(error: BaseException) -> Exception:
    """What a model's code raised as an exception that ends nothing: of SystemExit and its like the name and the words."""
    return error if isinstance(error, Exception) else RuntimeError("".join(traceback.format_exception_only(error)).strip())


def _checked(found: dict[str, NDArray[Any]], rows: int) -> None:
    for name, array in found.items():
        if not array.ndim or len(array) != rows:
            raise NotRowwise(f'the model\'s answer "{name}" to {rows} rows has the shape {list(array.shape)}')


def busy(expected: float, allowed: float) -> Refused:
    """That a request would wait longer for its turn than it may."""
    return Refused(
        "too-many",
        f"the model is busy: this request would wait {expected:.1f} s for its turn, and {allowed:g} s are allowed",
        retry_after=max(1.0, expected - allowed),
    )
