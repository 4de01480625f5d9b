"""Counters, gauges and histograms that cost a microsecond to feed, and how prometheus_client is told of them.

prometheus_client's own metrics take a lock and compare bounds one by one for every number (about 5 µs for what one request leaves behind);
here numbers are kept in plain lists and become its families, which it writes, only when somebody asks for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Labels = tuple[str, ...]
# 100 µs to 10 s: three steps a power of ten keep every quantile within a factor of about two
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POWERS = tuple(float(1 << power) for power in range(11))


class Counter:
    """Only grows."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        """One more, or `amount`."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def forget(self, which: Callable[[Labels], bool]) -> None:
        """Drop the series whose labels are such."""
        self.values = {labels: value for labels, value in self.values.items() if not which(labels)}

    def family(self) -> Metric:
        """As prometheus_client writes it."""
        from prometheus_client.metrics_core import CounterMetricFamily

        made = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in self.values.items():
            made.add_metric(labels, value)
        return made


class Gauge(Counter):
    """Goes up and down."""

    def put(self, labels: Labels, value: float) -> None:
        """It is now so."""
        self.values[labels] = value

    def family(self) -> Metric:
        """As prometheus_client writes it."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        made = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in self.values.items():
            made.add_metric(labels, value)
        return made


class Histogram:
    """How many of the numbers are at most each of `bounds`."""

    def __init__(self, name: str, text: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        self.name, self.text, self.labels, self.bounds = name, text, labels, bounds
        self.values: dict[Labels, list[float]] = {}  # a count per bound, one for what is above them all, and last the sum

    def add(self, labels: Labels, number: float) -> None:
        """One more number."""
        kept = self.values.get(labels)
        if kept is None:
            kept = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        kept[bisect_left(self.bounds, number)] += 1
        kept[-1] += number

    def forget(self, which: Callable[[Labels], bool]) -> None:
        """Drop the series whose labels are such."""
        self.values = {labels: value for labels, value in self.values.items() if not which(labels)}

    def family(self) -> Metric:
        """As prometheus_client writes it."""
        from prometheus_client.metrics_core import HistogramMetricFamily

        made = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        for labels, kept in self.values.items():
            made.add_metric(labels, buckets(self.bounds, kept[:-1]), kept[-1])
        return made


def buckets(bounds: Iterable[float], counts: Iterable[float]) -> list[tuple[str, float]]:
    """Counts between bounds as counts up to each bound, as the format wants them."""
    made, total = [], 0.0
    for name, count in zip([*map(_number, bounds), "+Inf"], counts, strict=True):
        total += count
        made.append((name, total))
    return made


def _number(bound: float) -> str:
    return repr(float(bound))


class Collected:
    """What prometheus_client's registry asks for families."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def describe(self) -> list[Metric]:
        """Nothing beforehand: families come and go with the models."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, as they are now."""
        yield from self._families()
