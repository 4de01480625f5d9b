"""What was asked and answered, counted by a thread of its own: for drift, and for how often which answer is given.

When more comes than this thread may spend its time on, requests are drawn by chance, fewer the more there are: shares stay right, and how
many rows were counted is told beside them.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.formats import reference
from mlops_toolkit.serve.drift import Found, Watched
from mlops_toolkit.serve.watched_answers import Answers
from mlops_toolkit.serve.watched_counts import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from prometheus_client.metrics_core import Metric

    from mlops_toolkit.formats.manifest import Manifest

    Arrays = Mapping[str, NDArray[Any]]

MODEL = ("model", "version")

NUMBERS = 150_000  # values a second that are counted: some hundredths of a processor
PENDING = 4 * NUMBERS  # values that wait; further ones are left out
ROWS = 512  # of one request, evenly spread
PAUSE = 0.25  # seconds in which requests are gathered
JUDGED = 2.0  # seconds between two looks at a window: hundreds of features take tens of milliseconds


@dataclass(eq=False)
class Counted:
    """What is counted of a model.

    drift  None where its folder has no reference
    rows   that were counted, of all that were answered
    found  of its features, as of the moment `judged`
    """

    drift: Watched | None
    answers: Answers
    rows: int = 0
    found: Sequence[tuple[str, Found]] = ()
    judged: float = 0.0

    def judge(self, now: float) -> None:
        """Hold the window against the reference."""
        self.judged = now
        self.found = [] if self.drift is None else [*self.drift.found()]


def counted(folder: Path, manifest: Manifest, window: int) -> Counted:
    """Nothing yet, of a model's folder. window: rows that are held against its reference at a time; 0: none."""
    known = reference.read(folder)
    drift = Watched(known, window) if known is not None and window else None
    return Counted(drift, Answers(manifest.signature.outputs, () if known is None else known.outputs))


def families(all_counted: Mapping[tuple[str, str], Counted]) -> Iterator[Metric]:
    """What is known by now of each model and version, as prometheus_client writes it."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    rows = CounterMetricFamily("mlops_watched_rows", "Rows that predictions and drift were counted of (a share, when busy).", labels=MODEL)
    labels = CounterMetricFamily("mlops_predictions", "Watched rows by the label that was answered.", labels=[*MODEL, "output", "label"])
    numbers = HistogramMetricFamily("mlops_prediction_value", "Watched rows by the number that was answered; of one number a label, the largest.", labels=[*MODEL, "output"])  # fmt: skip
    held = GaugeMetricFamily("mlops_drift_window_rows", "The last rows, that are held against the reference.", labels=MODEL)
    drift: dict[str, list[GaugeMetricFamily]] = {}
    for side, name in (("input", "mlops_input_drift"), ("output", "mlops_prediction_drift")):
        said = (("", "How far the last rows lie from the reference: chi-squared."), ("_threshold", "What it must exceed to be more than chance."), ("_effect", "How much they differ, whatever the number of rows; 0.02 and less is nothing to speak of."), ("ed", "1 where it is more than chance and more than nothing to speak of."))  # fmt: skip
        drift[side] = [GaugeMetricFamily(name + suffix, text, labels=[*MODEL, side, "feature"]) for suffix, text in said]
    for key, one in list(all_counted.items()):
        rows.add_metric(key, one.rows)
        for output, label, count in one.answers.counted():
            labels.add_metric([*key, output, label], count)
        for told in one.answers.numbers:
            numbers.add_metric([*key, told.tensor.name], buckets(told.bounds, told.counts), told.total)
        if one.drift is None:
            continue
        held.add_metric(key, one.drift.inputs.rows)
        for side, found in one.found:
            where = [*key, found.feature.tensor, found.feature.name]
            values = (found.statistic, found.threshold, found.effect, float(found.drifted))
            for family, value in zip(drift[side], values, strict=True):
                family.add_metric(where, value)
    yield from (rows, labels, numbers, held, *drift["input"], *drift["output"])


def _form(arrays: Arrays) -> Any:
    """What arrays must have in common to be put behind one another; never equal where one of them has no rows to be put behind."""
    return [(name, array.dtype, array.shape[1:] if array.ndim else object()) for name, array in arrays.items()]


def _joined(alike: Sequence[Arrays]) -> Arrays:
    import numpy as np

    return {name: np.concatenate([one[name] for one in alike]) for name in alike[0]}


class Feed:
    """From the server's threads to the one that counts."""

    def __init__(self, limit: int = NUMBERS) -> None:
        self._limit = limit
        self._waiting: deque[tuple[Counted, Arrays, Arrays, int]] = deque()
        self._pending, self._load, self._second, self._share = 0, 0, 0, 1.0
        self._draw = random.Random(20)  # noqa: S311 -- not a secret
        self._wake, self._lock = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._changed: list[Counted] = []  # since they were judged
        self.errors = 0

    def put(self, counted: Counted, inputs: Arrays, outputs: Arrays) -> None:
        """Count these rows some time, if it is their luck. The arrays must not change any more."""
        rows = max((len(array) for array in outputs.values() if array.ndim), default=0)
        size = sum(array.size for array in inputs.values()) + sum(array.size for array in outputs.values())
        step = max(1, -(-rows // ROWS), min(rows, 4 * size // self._limit))
        size //= step
        second = int(time.monotonic())
        if second != self._second:  # what the last second brought decides what share of this one's is counted
            self._share = min(1.0, self._limit / self._load) if self._load else 1.0
            self._load, self._second = 0, second
        self._load += size
        if self._load > self._limit:
            self._share = min(self._share, self._limit / self._load)
        if (self._share < 1.0 and self._draw.random() >= self._share) or self._pending > PENDING:
            return
        if step > 1:
            inputs, outputs = ({name: array[::step].copy() for name, array in arrays.items()} for arrays in (inputs, outputs))
        self._pending += size
        self._waiting.append((counted, inputs, outputs, size))
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait(JUDGED if self._changed else None)
            time.sleep(PAUSE)
            self._wake.clear()
            self.count()

    def count(self, *, judge: bool = False) -> None:
        """All that waits; windows that were not judged for a while are (judge: all)."""
        with self._lock:
            while self._waiting:
                counted, inputs, outputs = self._together()
                with self._counting():
                    counted.answers.add(outputs)
                    counted.rows += max((len(array) for array in outputs.values() if array.ndim), default=0)
                    if counted.drift is not None:
                        counted.drift.add(inputs, outputs)
                if counted not in self._changed:
                    self._changed.append(counted)
            now = time.monotonic()
            for one in [one for one in self._changed if judge or now - one.judged >= JUDGED]:
                self._changed.remove(one)
                with self._counting():
                    one.judge(now)

    def _together(self) -> tuple[Counted, Arrays, Arrays]:
        """The next that waits, with those behind it that are alike: the cost of counting is that of calls, hardly of rows."""
        counted, inputs, outputs, size = self._waiting.popleft()
        self._pending -= size
        alike = _form(inputs), _form(outputs)
        all_inputs, all_outputs, rows = [inputs], [outputs], 1
        while self._waiting and rows < ROWS:
            other, more, told, size = self._waiting[0]
            if other is not counted or (_form(more), _form(told)) != alike:
                break
            self._waiting.popleft()
            self._pending -= size
            rows += max((len(array) for array in told.values()), default=1)
            all_inputs.append(more)
            all_outputs.append(told)
        if len(all_inputs) == 1:
            return counted, inputs, outputs
        return counted, _joined(all_inputs), _joined(all_outputs)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """What cannot be counted is an error that is counted, and must not end the counting."""
        try:
            yield
        except Exception:  # noqa: BLE001 -- as it says
            self.errors += 1
