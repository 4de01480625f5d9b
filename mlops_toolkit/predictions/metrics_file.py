"""Metrics files as people already have them, to flat `{name: number}`: plain JSON, DVC, scikit-learn's report, MLflow runs.

    {"accuracy": 0.93}, {"test": {"accuracy": 0.93}}, {"metrics": {…}}   names of nested numbers are joined: `test/accuracy`
    DVC                       a metrics file (JSON, YAML, TOML), or dvc.yaml: every metrics file it names
    scikit-learn              classification_report(output_dict=True): accuracy, f1-macro, f1-weighted, f1:spam, …
    MLflow                    a run's folder (mlruns/<experiment>/<run>), or what `mlflow runs describe` prints

Texts and lists are metadata and left out, as DVC does; a NaN, an infinity, true, null or a number in quotes is refused by name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.measures import number, parse_json, read_bytes
from mlops_toolkit.predictions.place import shown

REPORT = {"precision", "recall", "f1-score", "support"}
SHORT = {"precision": "precision", "recall": "recall", "f1-score": "f1"}
AVERAGES = {"macro avg": "-macro", "micro avg": "-micro", "weighted avg": "-weighted", "samples avg": "-samples"}
MOST, DEEPEST = 10_000, 20


def read_metrics(source: Path | bytes, name: str | None = None) -> Mapping[str, float]:
    """The numbers in a metrics file, a DVC project file or an MLflow run, by name, in the file's order.

    source  a file, a folder (MLflow), or bytes (a file at another commit); name: what messages call it
    InvalidFile names: no-file, not-a-file, not-json, not-metrics, no-metrics, not-a-number, duplicate-metric.
    """
    name = name or (str(source) if isinstance(source, Path) else "the metrics file")
    if isinstance(source, Path) and source.is_dir():
        found = dict(_mlflow_folder(source, name))
    else:
        raw = source if isinstance(source, bytes) else read_bytes(source, name)
        data = _parse(raw, name)
        if isinstance(source, Path) and isinstance(data, dict) and source.name in ("dvc.yaml", "dvc.yml"):
            found = dict(_dvc(data, source, name))
        else:
            found = flatten(data, name)
    if not found:
        raise InvalidFile("no-metrics", "there is not one number in it", where=name, hint='write {"accuracy": 0.93}')
    return found


def flatten(data: Any, name: str) -> dict[str, float]:
    """Numbers by joined names out of parsed data of any of the known shapes."""
    if not isinstance(data, dict):
        raise InvalidFile("not-metrics", "metrics are one object of names and numbers", where=name, hint='write {"accuracy": 0.93}')
    if isinstance(data.get("data"), dict) and isinstance(data.get("info"), dict) and "metrics" in data["data"]:
        data = data["data"]
    inner = data.get("metrics", data)
    if isinstance(inner, list) and inner and all(isinstance(entry, dict) and {"key", "value"} <= entry.keys() for entry in inner):
        inner = {str(entry["key"]): entry["value"] for entry in inner}
    found: dict[str, float] = {}
    for key, value in _numbers(inner if isinstance(inner, dict) else data, name, (), 0):
        if key in found:
            raise InvalidFile("duplicate-metric", f"two numbers are called {shown(key)}", where=name)
        found[key] = value
        if len(found) > MOST:
            raise InvalidFile("not-metrics", f"more than {MOST:,} numbers are no metrics file", where=name)
    return found


def _numbers(data: dict[Any, Any], name: str, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, float]]:
    if depth > DEEPEST:
        raise InvalidFile("not-metrics", f"nested more than {DEEPEST} deep", where=name)
    if any(isinstance(value, dict) and value.keys() == REPORT for value in data.values()):
        yield from _report(data, name, path)
        return
    for key, value in data.items():
        here = (*path, str(key))
        full = "/".join(here)
        if isinstance(value, dict):
            yield from _numbers(value, name, here, depth + 1)
        elif isinstance(value, str):
            if _like_number(value):
                raise InvalidFile(
                    "not-a-number", f"{shown(full)} is the text {shown(value)}", where=name, hint="write the number without quotes"
                )
        elif not isinstance(value, list) and not _is_date(value):
            yield full, number(value, full, name)


def _is_date(value: Any) -> bool:
    return hasattr(value, "isoformat")


def _like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _report(data: dict[Any, Any], name: str, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """scikit-learn's classification_report as a dictionary; supports are counts, not metrics."""
    for key, value in data.items():
        if not isinstance(value, dict):
            full = "/".join((*path, str(key)))
            yield full, number(value, full, name)
            continue
        for part, short in SHORT.items():
            last = short + AVERAGES[key] if key in AVERAGES else f"{short}:{key}"
            full = "/".join((*path, last))
            if part in value:
                yield full, number(value[part], full, name)


# --- formats


def _parse(raw: bytes, name: str) -> Any:
    if raw.startswith(b"SQLite format 3"):
        raise InvalidFile(
            "not-metrics", "this is an SQLite database", where=name, hint="for MLflow: mlflow runs describe --run-id ID > metrics.json"
        )
    body = raw.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body:
        raise InvalidFile("no-metrics", "the file is empty", where=name, hint='write {"accuracy": 0.93}')
    if body[:1] in (b"{", b"["):
        return parse_json(raw, name)
    return _toml(raw, name) if name.endswith(".toml") else _yaml(raw, name)


def _toml(raw: bytes, name: str) -> Any:
    if sys.version_info < (3, 11):
        raise InvalidFile("not-metrics", "TOML needs Python 3.11 or newer", where=name, hint="write JSON")
    try:
        return importlib.import_module("tomllib").loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidFile("not-metrics", f"not readable as TOML: {error}", where=name) from error


def _yaml(raw: bytes, name: str) -> Any:
    import yaml

    try:
        text = raw.decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InvalidFile("not-metrics", "aliases (*name) have no place in a metrics file", where=name)
        return _typed(yaml.compose(text, Loader=yaml.SafeLoader), name)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = " ".join(str(error).split())[:200]
        raise InvalidFile("not-metrics", f"not readable as JSON or YAML: {first}", where=name) from error


def _typed(node: Any, name: str) -> Any:
    """A YAML node as data. By hand, because YAML 1.1 takes 1e-05 for text, and takes the last of two equal keys."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in made:
                raise InvalidFile("duplicate-metric", f"a key is no name or stands twice: {shown(str(key.value))}", where=name)
            made[key.value] = _typed(value, name)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_typed(value, name) for value in node.value]
    if node is None:
        return None
    if node.style is not None:
        return str(node.value)
    plain = str(node.value)
    if plain in ("", "~", "null", "Null", "NULL"):
        return None
    if plain.lower() in ("true", "false"):
        return plain.lower() == "true"
    try:
        return float(plain.lower().replace(".inf", "inf").replace(".nan", "nan")) if "_" not in plain else plain
    except ValueError:
        return plain


def _dvc(data: dict[Any, Any], path: Path, name: str) -> Iterator[tuple[str, float]]:
    """Every metrics file that a dvc.yaml names; of several, names begin with the file's stem."""
    files = [path.parent / entry for entry in _paths(data.get("metrics"))]
    stages = data.get("stages")
    for stage in stages.values() if isinstance(stages, dict) else ():
        if isinstance(stage, dict):
            folder = path.parent / str(stage.get("wdir") or ".")
            files += [folder / entry for entry in _paths(stage.get("metrics"))]
    if not files:
        raise InvalidFile("no-metrics", "it names no metrics file", where=name, hint="metrics: [metrics.json]")
    files = list(dict.fromkeys(files))
    seen: set[str] = set()
    for file in files:
        for key, value in flatten(_parse(read_bytes(file, str(file)), str(file)), str(file)).items():
            full = f"{file.stem}/{key}" if len(files) > 1 else key
            if full in seen:
                raise InvalidFile("duplicate-metric", f"two numbers are called {shown(full)}", where=name)
            seen.add(full)
            yield full, value


def _paths(entries: Any) -> list[str]:
    """`[a.json, {b.json: {cache: false}}]` to paths."""
    if not isinstance(entries, list):
        return []
    return [next(iter(entry)) if isinstance(entry, dict) and entry else str(entry) for entry in entries]


def _mlflow_folder(folder: Path, name: str) -> Iterator[tuple[str, float]]:
    """Each file below `metrics/` is a metric, each line `timestamp value step`; the last step counts."""
    metrics = folder / "metrics"
    if not metrics.is_dir():
        metrics = folder
        if folder.name != "metrics":
            raise InvalidFile("not-metrics", "a folder, but not an MLflow run: it has no metrics/", where=name)
    for file in sorted(p for p in metrics.rglob("*") if p.is_file()):
        key = file.relative_to(metrics).as_posix()
        yield key, number(_last(read_bytes(file, f"{name}/{key}"), f"{name}/{key}"), key, name)


def _last(raw: bytes, name: str) -> float:
    entries = []
    for line, text in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        parts = text.split()
        try:
            entries.append((int(parts[2]) if len(parts) > 2 else 0, int(parts[0]), line, float(parts[1])))
        except (ValueError, IndexError) as error:
            raise InvalidFile(
                "not-metrics", f"{shown(text)} is not `timestamp value step`: no MLflow metric", where=f"{name} line {line}"
            ) from error
    if not entries:
        raise InvalidFile("no-metrics", "the file is empty", where=name)
    return max(entries)[3]
