"""Orders, releases and what is told of them, as JSON and back: exactly what `order.py` and `tell.py` declare, or refused by name.

records/codec.py reads what older and newer tools wrote and so ignores what it does not know. An order is an instruction: a key that its reader
does not know may be the one that matters, so it is refused. And this file travels to the target, which has only Python.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from mlops_toolkit.errors import UsageError

T = TypeVar("T")
DEEPEST = 50
LONGEST = 8_000_000  # characters of an order: its manifests are in it
HINT = "give the order that `mlops deploy` writes, with the same version of the toolkit on both sides"


def to_json(value: Any) -> Any:
    """Plain data: dataclasses as objects, tuples as lists; mapping keys that are numbers as their text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else repr(float(key)): to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    return value


def dumps(value: Any) -> str:
    """One line of JSON without its end; the same value gives the same bytes. ValueError: it holds a NaN."""
    return json.dumps(to_json(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes, *, where: str) -> Any:
    """Any JSON that is whole: no key twice, no NaN, no number beyond all. UsageError `not-json`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands there twice")
        return found

    def constant(word: str) -> Any:
        raise ValueError(f"{word} is not a number of JSON")

    def number(word: str) -> float:
        value = float(word)
        if not math.isfinite(value):
            raise ValueError(f"{word} is larger than any number")
        return value

    try:
        return json.loads(text[: LONGEST + 1], object_pairs_hook=once, parse_constant=constant, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise UsageError("not-json", f"this is not JSON: {str(error)[:200]}", where=where, hint=HINT) from error


def read(kind: type[T], data: Any, *, where: str) -> T:
    """A dataclass from plain data, exactly: UsageError `invalid-order` names the key that is unknown, missing or of another type."""
    made: T = _read(kind, data, where, "")
    return made


def _wrong(where: str, path: str, wanted: str, data: Any) -> UsageError:
    found = "" if data is None else f", not {json.dumps(data, default=str)[:80]}"
    return UsageError("invalid-order", f"{path or 'this'} must be {wanted}{found}", where=where, hint=HINT)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, data: Any, where: str, path: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return _plain(data, where, path)
    if origin in (Union, types.UnionType):
        if data is None:
            return None
        return _read(next(one for one in typing.get_args(kind) if one is not type(None)), data, where, path)
    if origin is Literal:
        if data not in typing.get_args(kind):
            raise _wrong(where, path, "one of " + ", ".join(map(str, typing.get_args(kind))), data)
        return data
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast(type, kind), data, where, path)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong(where, path, "a list", data)
        return tuple(_read(typing.get_args(kind)[0], one, where, f"{path}[{at}]") for at, one in enumerate(data))
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(data, Mapping):
            raise _wrong(where, path, "an object", data)
        keys, inner = typing.get_args(kind)
        return {_key(keys, key, where, path): _read(inner, one, where, f"{path}.{key}".lstrip(".")) for key, one in data.items()}
    return _scalar(kind, data, where, path)


def _record(kind: type, data: Any, where: str, path: str) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong(where, path, "an object", data)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise UsageError(
                "invalid-order", f'{path or "this"} has a key "{str(key)[:80]}" that is not known here', where=where, hint=HINT
            )
    for name, field in fields.items():
        if name not in data and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError("invalid-order", f'{path or "this"} has no "{name}"', where=where, hint=HINT)
    return kind(**{name: _read(_hints(kind)[name], one, where, f"{path}.{name}".lstrip(".")) for name, one in data.items()})


def _key(kind: type, key: str, where: str, path: str) -> Any:
    if kind is not float:
        return _scalar(str, key, where, path)
    try:
        number = float(key)
    except ValueError as error:
        raise _wrong(where, path, "an object with numbers as keys", key) from error
    return number


def _scalar(kind: Any, data: Any, where: str, path: str) -> Any:
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool) and abs(data) < 1e300:
        return float(data)
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if kind is bool and isinstance(data, bool):
        return data
    if kind is str and isinstance(data, str) and _text(data):
        return data
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise _wrong(where, path, words[kind], "nothing" if data is None else data)


def _text(data: str) -> bool:
    """Whether it can be written again: JSON can spell half a character."""
    return not any("\ud800" <= letter <= "\udfff" for letter in data) and "\0" not in data


def _plain(data: Any, where: str, path: str) -> Any:
    """Any JSON of a person's depth."""
    waiting = [(data, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEPEST or (isinstance(one, str) and not _text(one)):
            raise _wrong(where, path, f"text and numbers, at most {DEEPEST} deep", "something else")
        inner = [*one, *one.values()] if isinstance(one, Mapping) else one if isinstance(one, list) else []
        waiting += [(each, depth + 1) for each in inner]
    return data
