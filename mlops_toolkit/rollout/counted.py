"""What an instance says at /metrics, as a rollout's counters: Prometheus' text to a `Sample`. Pure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from mlops_toolkit.rollout.driver import Sample

ROUTES = frozenset({"infer", "predict", "grpc"})  # that ask the model; health checks and pages say nothing of it
_LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+([^ \t]+)(?:[ \t].*)?')
_LABEL = re.compile(r'\s*,?\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_MOST = 2.0**60  # nothing is counted as high
_ESCAPED = re.compile(r"\\(.)")


def parsed(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels, value of each line of the text format that is a sample; what is none, and what nobody can have counted, is left out."""
    for line in text.splitlines():
        found = _LINE.fullmatch(line) if line and line[0] != "#" else None
        if found is None:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        if not 0 <= value < _MOST:
            continue
        yield found[1], {name: _ESCAPED.sub(_plain, raw) for name, raw in _LABEL.findall(found[2] or "")}, value


def _plain(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def sample(at: float, texts: Mapping[str, str]) -> Sample:
    """One release's counters: those of all its instances together. texts: each one's /metrics, by which one it is and when it began.

    Whoever did not answer this time is missed in the sum: it is of the same counters only as one to which the same answered.
    """
    requests = failed = 0.0
    memory = None
    latency: dict[float, float] = defaultdict(float)
    answers: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for text in texts.values():
        numbers: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for name, labels, value in parsed(text):
            if name == "mlops_requests_total" and labels.get("route") in ROUTES:
                requests += value
                failed += value if labels.get("status", "").startswith("5") else 0
            elif name == "mlops_request_seconds_bucket" and labels.get("route") in ROUTES:
                latency[_bound(labels)] += value
            elif name == "mlops_predictions_total":
                answers[labels.get("output", "")][labels.get("label", "")] += value
            elif name == "mlops_prediction_value_bucket":
                key = (labels.get("output", ""), labels.get("label", ""))
                numbers[key].append((_bound(labels), value))
            elif name == "process_resident_memory_bytes":
                memory = max(memory or 0, int(value))
        for (output, label), bounds in numbers.items():
            before = 0.0
            for bound, count in sorted(bounds):
                answers[f"{output} {label}".strip() + " value"][f"≤ {bound:g}"] += count - before
                before = count
    return Sample(
        at=at,
        requests=int(requests),
        failed=int(failed),
        latency={bound: int(count) for bound, count in sorted(latency.items())},
        answers={output: _whole(labels) for output, labels in sorted(answers.items())},
        memory=memory,
        since=" ".join(sorted(texts)),
    )


def in_flight(texts: Iterable[str]) -> int:
    """Requests that wait for an answer now, without the one that asked for this."""
    return sum(max(0, int(value) - 1) for text in texts for name, _, value in parsed(text) if name == "mlops_requests_in_flight")


def _bound(labels: Mapping[str, str]) -> float:
    try:
        return float(labels.get("le", "inf"))
    except ValueError:
        return math.inf


def _whole(labels: Mapping[str, float]) -> dict[str, int]:
    return {label: int(count) for label, count in sorted(labels.items())}
