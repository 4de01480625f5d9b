"""The parameters of a run, read from the user's file: flat, dotted, plain JSON values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import UsageError

MOST = 1000  # parameters a record keeps
LONGEST = 500  # characters of a text value


def read(path: Path, *, where: str) -> dict[str, object]:
    """`{"optimizer.lr": 0.001}` from a YAML or JSON file. where: its place in the configuration, for errors.

    UsageErrors: `missing-input`, `invalid-params`. Values that JSON has no word for (dates, NaN) are kept as text.
    """
    import yaml

    try:
        text = path.read_text("utf-8")
        data = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise UsageError("missing-input", f"there is no {path.name}", where=where) from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        said = " ".join(text for text in (error.problem, error.context) if text)
        raise UsageError("invalid-params", f"{path.name}{line} cannot be read as YAML or JSON: {said}", where=where) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError("invalid-params", f"{path.name} cannot be read: {said}", where=where) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageError("invalid-params", f"{path.name} should hold names and values, holds a {type(data).__name__}", where=where)
    flat: dict[str, object] = {}
    _flatten(data, "", flat, depth=0)
    if len(flat) > MOST:
        raise UsageError("invalid-params", f"{path.name} holds {len(flat):,} parameters; at most {MOST:,} are kept", where=where)
    return flat


def _flatten(data: dict[Any, Any], prefix: str, flat: dict[str, object], *, depth: int) -> None:
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and depth < 20:
            _flatten(value, f"{key}.", flat, depth=depth + 1)
        else:
            flat[key] = _plain(value)


def _plain(value: Any) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list) and len(value) <= 100 and all(not isinstance(item, dict | list) for item in value):
        return [_plain(item) for item in value]
    return str(value)[:LONGEST]
