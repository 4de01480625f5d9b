"""The JSON Schema of mlops.yaml, for editors: the same shapes that `config.shape` reads, with descriptions and examples."""

from __future__ import annotations

import collections.abc
import dataclasses
import re
import typing
from typing import Any, Literal

from mlops_toolkit.config import shape
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.project import raw
from mlops_toolkit.config.quantities import NUMBER, Duration, Margin
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, MetricRequest, SliceRequest
from mlops_toolkit.config.yaml_text import Listing, Node, Scalar, compose

IDENTIFIER = raw("schema/mlops.schema.json")
# A label `no` is a boolean and a class `1` a number to a JSON Schema; to us they are the text that was written.
TEXT = ["string", "number", "boolean"]


def plain(node: Node) -> Any:
    """A node as JSON data by the rules of YAML 1.2, as an editor hands it to a validator."""
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    if not isinstance(node, Scalar):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    if not node.given:
        return None
    if node.quoted:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", node.text):
        return int(node.text)
    return float(node.text) if re.fullmatch(NUMBER, node.text) else node.text


def example(text: str) -> Any:
    """A field's example, written as YAML, as JSON data."""
    return plain(compose(f"x: {text}", where="example").entries["x"][1])


def schema(kind: type = Config, *, name: str = "mlops", title: str = "mlops.yaml") -> dict[str, Any]:
    """The whole schema (JSON Schema 2020-12)."""
    definitions: dict[str, Any] = {}
    top = _record(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": IDENTIFIER.replace("mlops.schema", f"{name}.schema"),
        "title": title,
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _record(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for field in dataclasses.fields(kind):
        meta = field.metadata
        entry = _value(shape.hints(kind)[field.name], meta, definitions)
        if not shape.required(field):
            entry = _or_null(entry)
        entry["description"] = meta["doc"]
        if "example" in meta:
            entry["examples"] = [example(meta["example"])]
        if isinstance(field.default, str | int | float):
            entry["default"] = field.default
        properties[shape.key_of(field)] = entry
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "additionalProperties": False,
        "required": [shape.key_of(field) for field in dataclasses.fields(kind) if shape.required(field)],
        "properties": properties,
    }


def _or_null(entry: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out may also stand there with nothing behind it."""
    if "type" in entry:
        types = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
        return {**entry, "type": [*types, "null"]}
    if "enum" in entry:
        return {**entry, "enum": [*entry["enum"], None]}
    return {"anyOf": [entry, {"type": "null"}]}


def _value(kind: Any, meta: collections.abc.Mapping[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    kind = shape.bare(kind)
    origin = typing.get_origin(kind)
    if origin is Literal:
        return {"enum": list(typing.get_args(kind))}
    if origin is tuple:
        return {"type": "array", "items": _value(typing.get_args(kind)[0], meta, definitions)}
    if origin is collections.abc.Mapping:
        inner = _value(typing.get_args(kind)[1], {}, definitions)
        known = (
            {name: inner for name, row in FAMILIES.items() if row.argument in ("none", "class?")}
            if typing.get_args(kind)[1] is Rule
            else {}
        )
        return {"type": "object", "additionalProperties": inner, **({"properties": known} if known else {})}
    if dataclasses.is_dataclass(kind):
        return _reference(typing.cast(type, kind), definitions)
    if kind is bool:
        return {"type": "boolean"}
    if kind is str:
        pattern = meta.get("pattern") or (r"^[^/~]" if meta.get("holds") == "path" else None)
        return {"type": TEXT, "minLength": 1, **({"pattern": pattern} if pattern else {})}
    bounds = {"least": "minimum", "most": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
    return {"type": "integer" if kind is int else "number", **{word: meta[key] for key, word in bounds.items() if key in meta}}


def _reference(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}
        special = {Margin: _margin, Duration: _duration, MetricRequest: _metric, SliceRequest: _slice}.get(kind)
        made = special() if special else _record(kind, definitions)
        if kind in shape.SHORT:
            alone = next(field for field in dataclasses.fields(kind) if field.name == shape.SHORT[kind])
            short = _value(shape.hints(kind)[alone.name], alone.metadata, definitions)
            made = {"description": made.pop("description"), "anyOf": [short, made]}
        definitions[kind.__name__] = made
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _margin() -> dict[str, Any]:
    return {
        "description": "How much worse is allowed: 1pp (percentage points), 2% (of the baseline), or a number in the metric's unit.",
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _bare(Margin.PATTERN)}],
        "examples": ["1pp", "2%", 0.5],
    }


def _duration() -> dict[str, Any]:
    pattern = _bare(Duration.PATTERN)
    return {"description": "A length of time.", "type": "string", "pattern": pattern, "examples": ["90s", "30m", "6h", "2d"]}


def _bare(pattern: re.Pattern[str]) -> str:
    """A pattern of ours in the common subset of regular expressions: no named groups."""
    return re.sub(r"\?P<\w+>", "", pattern.pattern)


def _metric() -> dict[str, Any]:
    alone = [name for name, row in FAMILIES.items() if row.argument in ("none", "class?")]
    argued = "|".join(re.escape(name).replace("\\-", "-") for name, row in FAMILIES.items() if row.argument != "none")
    options: dict[str, Any] = {shape.key_of(f): {"description": f.metadata["doc"]} for f in dataclasses.fields(MetricRequest)}
    text = {"type": TEXT}
    common = {
        "name": {**text, **options["name"]},
        "better": {"enum": ["higher", "lower"], **options["better"]},
        "unit": {**text, **options["unit"]},
    }
    column = {**text, "description": "The column."}
    groups = {"type": "integer", "minimum": 10, "maximum": 1000, **options["groups"]}
    quantile = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, **options["q"]}
    return {
        "description": "A metric: its name, `recall:CLASS`, `pinball:QUANTILE`, or the mean or a quantile of a column.",
        "anyOf": [
            {"enum": alone},
            {"type": "string", "pattern": f"^({argued}):."},
            {"type": "object", "additionalProperties": False, "required": ["mean"], "properties": {"mean": column, **common}},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["quantile", "q"],
                "properties": {"quantile": column, "q": quantile, **common},
            },
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["python", "better"],
                "properties": {"python": {"type": "string", "pattern": "^[^:~/][^:]*\\.py:[A-Za-z_]\\w*$"}, "groups": groups, **common},
            },
        ],
        "examples": ["accuracy", "recall:spam", {"mean": "judge_score", "better": "higher"}],
    }


def _slice() -> dict[str, Any]:
    one = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string", "minLength": 1}}
    return {
        "description": "A slice: a column (each value is one), or a named condition.",
        "anyOf": [{"type": TEXT, "minLength": 1}, one],
        "examples": ["language", {"long": "length > 512"}],
    }
