"""Numbers the user reports instead of predictions: `{"latency-ms": [12.1, 11.8], "parameters": 1200000}`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_toolkit.config import measures as known
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.records.run import LARGEST, Measure

SHAPE = 'write {"name": number} or {"name": [number, number, …]}; several numbers are repeats and get an interval'


def read_measures(path: Path, *, name: str | None = None, config: Config | None = None) -> Mapping[str, Measure]:
    """The measures in a JSON file.

    config: says directions that names do not tell; a measure whose direction nobody says has `better` None.
    InvalidFile names: no-file, not-json, not-measures, not-a-number (NaN, infinity, true, null, text, by the measure's name).
    """
    name = name or str(path)
    data = parse_json(read_bytes(path, name), name)
    if not isinstance(data, dict):
        raise InvalidFile("not-measures", "measures are one JSON object", where=name, hint=SHAPE)
    return {key: _measure(key, value, name, config) for key, value in data.items()}


def _measure(key: str, value: Any, name: str, config: Config | None) -> Measure:
    if not key.strip():
        raise InvalidFile("not-measures", "a measure has no name", where=name, hint=SHAPE)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InvalidFile("not-measures", f"{shown(key)} is an empty list", where=name, hint=SHAPE)
    return _made(key, tuple(number(v, key, name) for v in values), config)


def _made(key: str, values: tuple[float, ...], config: Config | None) -> Measure:
    rule = config.gate.get(key) if config else None
    return Measure(values, better=(rule.better if rule else None) or known.direction(key, config), noisy=known.noisy(key))


def number(value: Any, key: str, name: str) -> float:
    """A JSON value that must be a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = {dict: "an object", list: "a list", str: shown(value), bool: str(value).lower(), type(None): "null"}.get(
            type(value), shown(value)
        )
        raise InvalidFile("not-a-number", f"{shown(key)} is {kind}, not a number", where=name, hint=SHAPE)
    try:
        made = float(value)
    except OverflowError:
        made = math.inf
    if not abs(made) <= LARGEST:
        raise InvalidFile(
            "not-a-number", f"{shown(key)} is {made}, which compares with nothing", where=name, hint="leave it out, or find out why"
        )
    return made


def read_bytes(path: Path, name: str) -> bytes:
    """A file's bytes, or why there are none."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidFile("no-file", "there is no such file", where=name) from error
    except IsADirectoryError as error:
        raise InvalidFile("not-a-file", "this is a folder", where=name) from error
    except OSError as error:
        raise EnvironmentFailure("unreadable-file", f"cannot be read: {error.strerror or error}", where=name) from error


def parse_json(raw: bytes, name: str) -> Any:
    """JSON in which NaN and infinities are let through, so that the refusal can name the key; keys that stand twice are refused."""

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            keys = [key for key, _ in items]
            raise ValueError(f"the key {shown(next(k for i, k in enumerate(keys) if k in keys[:i]))} stands twice")
        return made

    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise InvalidFile("not-json", f"not readable as JSON: {error}", where=name) from error
