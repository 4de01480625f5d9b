"""What a measured command printed of itself, as lists of numbers by name. Pure.

The protocol: a line of standard output that is a JSON number or a list of numbers counts for the measure asked for, a line that is a JSON
object of names and numbers (or lists) for those names; all other lines are ignored. Every run prints the same names, equally many numbers
of each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.measures import number
from mlops_toolkit.predictions.place import shown

WHERE = "the command's output"
HOW = 'print a number a line, or a JSON object a line like {"latency-ms": 12.1}, to standard output; what else it says is ignored'


def numbers(text: str, name: str) -> dict[str, list[float]]:
    """The numbers of one run. InvalidFile `not-a-number` for NaN, infinities and what is no number under a name."""
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            for key, one in value.items():
                found.setdefault(key, []).extend(_listed(one, key))
        elif isinstance(value, list) or (isinstance(value, int | float) and not isinstance(value, bool)):
            found.setdefault(name, []).extend(_listed(value, name))
    return found


def _listed(value: Any, key: str) -> list[float]:
    return [number(one, key, WHERE) for one in (value if isinstance(value, list) else [value])]


def by_name(runs: Sequence[Sequence[str]], name: str) -> dict[str, tuple[list[list[float]], int]]:
    """Of every model's runs: measure -> (the numbers of each model, run after run; how many a run).

    InvalidFile `no-numbers` where a run printed none, `uneven-numbers` where two runs printed other names or another count.
    """
    first: Mapping[str, int] | None = None
    made: dict[str, tuple[list[list[float]], int]] = {}
    for side, texts in enumerate(runs):
        for i, text in enumerate(texts, start=1):
            found = numbers(text, name)
            if not found or not all(found.values()):
                raise InvalidFile("no-numbers", f"run {i} of the command printed no number", where=WHERE, hint=HOW)
            counts = {key: len(values) for key, values in found.items()}
            if first is None:
                first = counts
                made = {key: ([[] for _ in runs], count) for key, count in counts.items()}
            if counts != first:
                said, before = (", ".join(f"{n} of {shown(key)}" for key, n in sorted(c.items())) for c in (counts, first))
                message = f"one run of the command printed {before}, another {said}"
                raise InvalidFile("uneven-numbers", message, where=WHERE, hint="each run prints as many numbers of each name")
            for key, values in found.items():
                made[key][0][side].extend(values)
    return made
