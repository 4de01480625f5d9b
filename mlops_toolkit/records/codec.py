"""Dataclasses to JSON and back, and their JSON Schema, from the type annotations alone.

Understands: frozen dataclasses, str, int, float, bool, None, Literal, X | None, tuple[X, ...], Mapping/dict[str, X],
list[X], object (any JSON). A float is never NaN or infinite in what is written; an int is accepted where a float is
meant. Unknown keys are ignored on reading (an older tool reads a newer record), missing ones take their default.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import math
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from mlops_toolkit.errors import Defect, InvalidFile

T = TypeVar("T")
DEEPEST = 50  # of JSON that is kept as it is
_PLAIN = frozenset({str, int, bool, type(None)})  # nearly all that there is
SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(value: Any) -> Any:
    """Plain JSON data for a record. A NaN or an infinity is a Defect: whoever made it must have said null and why."""
    if type(value) in _PLAIN or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Defect("not-a-number", f"a record would hold {value}", hint="please report this")
        return 0.0 if value == 0 else float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: to_json(getattr(value, name)) for name, key in _keys(type(value))}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if hasattr(value, "item"):  # a numpy scalar
        return to_json(value.item())
    raise Defect("not-json", f"{type(value).__name__} cannot be written into a record", hint="please report this")


@functools.cache
def _keys(kind: Any) -> tuple[tuple[str, str], ...]:
    """The fields of a dataclass, and what they are called in JSON."""
    return tuple((f.name, f.metadata.get("key", f.name)) for f in dataclasses.fields(kind))


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """JSON text with a final newline; the same value gives the same bytes."""
    plain = to_json(value)
    if not indent:
        return json.dumps(plain, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    return _indented(plain, " " * indent, "\n") + "\n"


def _indented(value: Any, indent: str, line: str) -> str:
    """As `json.dumps(indent=…)` writes it, in a third of its time: a result has some ten thousand values."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int | float):
        return (int if isinstance(value, int) else float).__repr__(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    more = line + indent
    if isinstance(value, dict):
        return f"{{{more}{f',{more}'.join([f'{_quoted(key)}: {_indented(one, indent, more)}' for key, one in value.items()])}{line}}}"
    return f"[{more}{f',{more}'.join([_indented(one, indent, more) for one in value])}{line}]"


_quoted = json.encoder.encode_basestring


def loads(text: str | bytes, *, where: str) -> Any:
    """Parse JSON refusing NaN, Infinity and duplicate keys; InvalidFile `not-json` names the place."""

    def constant(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    def number(word: str) -> float:
        value = float(word)
        if not math.isfinite(value):
            raise ValueError(f"{word[:20]} is larger than any number")
        return value

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in items:
            if key in seen:
                raise ValueError(f'the key "{_line(key)}" stands twice')
            seen[key] = value
        return seen

    try:
        return json.loads(text, parse_constant=constant, parse_float=number, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise InvalidFile("not-json", f"not readable as JSON: {error}", where=where) from error


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def from_json(kind: type[T], data: Any, *, where: str) -> T:
    """Build a `kind` from JSON data. A value of another shape is an InvalidFile `wrong-shape` that names its path."""
    return typing.cast(T, _read(kind, data, where, ""))


def _wrong(where: str, path: str, wanted: str, data: Any) -> InvalidFile:
    shown = _line(json.dumps(data, ensure_ascii=False, default=str)[:60])
    return InvalidFile("wrong-shape", f"{_line(path) or 'the document'} should be {wanted}, is {shown}", where=where)


def _line(text: str) -> str:
    """Text of a record as a message may show it."""
    return "".join(c if c.isprintable() else "?" for c in (text if len(text) <= 200 else f"…{text[-199:]}"))


def _read(kind: Any, data: Any, where: str, path: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return _plain(data, where, path)
    if origin in (Union, types.UnionType):
        options = typing.get_args(kind)
        if data is None and type(None) in options:
            return None
        errors = []
        for option in options:
            if option is type(None):
                continue
            try:
                return _read(option, data, where, path)
            except InvalidFile as error:
                errors.append(error)
        raise errors[0] if len(errors) == 1 else _wrong(where, path, " or ".join(describe(o) for o in options), data)
    if origin is Literal:
        if data in typing.get_args(kind) and not isinstance(data, bool):
            return data
        raise _wrong(where, path, describe(kind), data)
    if dataclasses.is_dataclass(kind):
        if not isinstance(data, Mapping):
            raise _wrong(where, path, "an object", data)
        hints, values = _hints(typing.cast(type, kind)), {}
        for field in dataclasses.fields(kind):
            key = field.metadata.get("key", field.name)
            if key in data:
                values[field.name] = _read(hints[field.name], data[key], where, f"{path}.{key}".lstrip("."))
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise InvalidFile("wrong-shape", f'{_line(path) or "the document"} has no "{key}"', where=where)
        return typing.cast(Any, kind)(**values)
    if origin in (tuple, list):
        if not isinstance(data, list):
            raise _wrong(where, path, "a list", data)
        inner = typing.get_args(kind)[0]
        items = [_read(inner, item, where, f"{path}[{i}]") for i, item in enumerate(data)]
        return tuple(items) if origin is tuple else items
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(data, Mapping):
            raise _wrong(where, path, "an object", data)
        inner = typing.get_args(kind)[1]
        if not all(_whole(k) for k in data):
            raise _wrong(where, path, "text throughout", None)
        return {str(k): _read(inner, v, where, f"{path}.{k}".lstrip(".")) for k, v in data.items()}
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        if abs(data) > sys.float_info.max:  # a whole number of JSON's may be of any length
            raise _wrong(where, path, "a number", "one larger than any")
        return float(data)
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if kind in (str, bool) and isinstance(data, kind):
        if not _whole(data):
            raise _wrong(where, path, "text", "half of a character")
        return data
    if kind is type(None) and data is None:
        return None
    raise _wrong(where, path, describe(kind), data)


def _whole(data: object) -> bool:
    """Whether it can be written again: JSON's escapes can spell half of a character, which is no text."""
    return not (isinstance(data, str) and SURROGATE.search(data))


def _plain(data: Any, where: str, path: str) -> Any:
    """Any JSON, if it is no deeper than one that a person wrote and whole text throughout."""
    waiting = [(data, 0)]
    while waiting:
        one, depth = waiting.pop()
        inner = [*one, *one.values()] if isinstance(one, Mapping) else one if isinstance(one, list) else []
        if depth > DEEPEST or not _whole(one):
            raise _wrong(where, path, f"text and numbers, at most {DEEPEST} deep", "something else")
        waiting += [(each, depth + 1) for each in inner]
    return data


def describe(kind: Any) -> str:
    """A type in a person's words."""
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(k) for k in typing.get_args(kind))
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in typing.get_args(kind))
    if dataclasses.is_dataclass(kind) or origin in (dict, collections.abc.Mapping):
        return "an object"
    if origin in (tuple, list):
        return "a list"
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}.get(kind, str(kind))


def schema(kind: type, *, title: str, identifier: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a record type; field metadata `doc` becomes the description."""
    definitions: dict[str, Any] = {}
    top = _schema(kind, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identifier, "title": title, **top, "$defs": definitions}


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return {}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(option, definitions) for option in typing.get_args(kind)]}
    if origin is Literal:
        return {"enum": list(typing.get_args(kind))}
    if dataclasses.is_dataclass(kind):
        name = typing.cast(type, kind).__name__
        if name not in definitions:
            definitions[name] = {}
            properties, required = {}, []
            for field in dataclasses.fields(kind):
                key = field.metadata.get("key", field.name)
                entry = _schema(_hints(typing.cast(type, kind))[field.name], definitions)
                properties[key] = {**entry, "description": field.metadata["doc"]} if "doc" in field.metadata else entry
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                    required.append(key)
            definitions[name] = {"type": "object", "properties": properties, "required": required}
            if kind.__doc__:
                definitions[name]["description"] = " ".join(kind.__doc__.split())
        return {"$ref": f"#/$defs/{name}"}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(typing.get_args(kind)[0], definitions)}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object", "additionalProperties": _schema(typing.get_args(kind)[1], definitions)}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}[kind]}
