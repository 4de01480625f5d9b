"""YAML nodes into the dataclasses of `schema`, by their type annotations and field metadata alone; every problem is collected.

A field that is wrong takes its default, so that reading goes on and all of a file's errors are told at once.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from mlops_toolkit.config import requests
from mlops_toolkit.config.deploying import Deploy, StepOptions
from mlops_toolkit.config.quantities import NUMBER, Duration, Margin
from mlops_toolkit.config.rules import GapRule, Rule, SliceRule
from mlops_toolkit.config.schema import OWN, Config, MetricRequest, SliceRequest
from mlops_toolkit.config.yaml_text import Listing, Node, Scalar, Table, shown
from mlops_toolkit.errors import Problem, UsageError
from mlops_toolkit.plug import did_you_mean

WRONG: Any = object()
# What one value says alone: `sex: 5pp` is `sex: {max: 5pp}`, and `25%` is `{share: 25%}`.
SHORT: Mapping[type, str] = {GapRule: "max", StepOptions: "share"}
LONGEST_TEXT = 10_000


def key_of(field: dataclasses.Field[Any]) -> str:
    """`max_drop` is written `max-drop`, and `as_`, which Python keeps for itself, `as`."""
    return field.name.rstrip("_").replace("_", "-")


@functools.cache
def hints(kind: type) -> dict[str, Any]:
    """The resolved annotations of a dataclass's fields."""
    return typing.get_type_hints(kind)


def bare(kind: Any) -> Any:
    """A kind without `| None`: null means that nothing was given."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return options[0] if len(options) == 1 else kind
    return kind


def required(field: dataclasses.Field[Any]) -> bool:
    """Whether the key must stand in the file."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def homes() -> Mapping[str, tuple[str, ...]]:
    """key -> the sections it belongs under (`timeout` -> train, evaluate; "" is the top), for a key written in the wrong place."""
    found: dict[str, list[str]] = {}

    def walk(kind: type, path: str) -> None:
        for field in dataclasses.fields(kind):
            inner = bare(hints(kind)[field.name])
            found.setdefault(key_of(field), []).append(path)
            if dataclasses.is_dataclass(inner) and inner not in (Margin, Duration):
                walk(typing.cast(type, inner), f"{path}.{key_of(field)}".lstrip("."))
            elif typing.get_args(inner)[-1:] == (Rule,):
                walk(Rule, f"{key_of(field)}.METRIC")
            elif typing.get_args(inner)[-1:] == (Deploy,):
                walk(Deploy, f"{key_of(field)}.ENVIRONMENT")

    walk(Config, "")
    return {key: tuple(dict.fromkeys(paths)) for key, paths in found.items()}


def leaves(path: str, depth: int | None) -> bool:
    """Whether a relative path climbs above the repository's root; `depth`: how many folders below it the file stands."""
    level = depth if depth is not None else 1_000
    for part in path.split("/"):
        level += -1 if part == ".." else 0 if part in ("", ".") else 1
        if level < 0:
            return True
    return False


class Reader:
    """Reads nodes, collecting `problems` as (dotted key, Problem)."""

    def __init__(self, where: str, depth: int | None) -> None:
        self.where, self.depth = where, depth
        self.problems: list[tuple[str, Problem]] = []

    def refuse(self, path: str, line: int, name: str, message: str, hint: str | None = None) -> Any:
        """Note a problem; returns WRONG."""
        self.problems.append((path, Problem(name, message, self.at(line), hint)))
        return WRONG

    def at(self, line: int) -> str:
        """`mlops.yaml:12`; what comes from the command line has line 0 and no number."""
        return f"{self.where}:{line}" if line else self.where

    def record(self, kind: Any, node: Node, path: str) -> Any:
        """A dataclass from a mapping; unknown and missing keys are problems, the rest is read all the same."""
        if kind in SHORT and isinstance(node, Scalar):
            alone = next(field for field in dataclasses.fields(kind) if field.name == SHORT[kind])
            read = self.value(hints(kind)[alone.name], node, path, alone.metadata)
            return WRONG if read is WRONG else kind(**{alone.name: read})
        if not isinstance(node, Table):
            return self.wrong_type(path, node, "keys with values", _rewritten(kind, node, path))
        fields = {key_of(field): field for field in dataclasses.fields(kind)}
        for key, (line, _) in node.entries.items():
            if key not in fields:
                self.problems.append((f"{path}.{key}", self.unknown(key, line, path, list(fields))))
        values: dict[str, Any] = {}
        for key, field in fields.items():
            here = f"{path}.{key}".lstrip(".")
            _, value = node.entries.get(key, (0, None))
            if value is not None and value.given:
                read = self.value(hints(kind)[field.name], value, here, field.metadata)
                if read is not WRONG:
                    values[field.name] = read
            elif required(field):
                message = f'{path or "the file"} has no "{key}"'
                self.refuse(here, node.line, "missing-key", message, _example(key, field))
            if field.name not in values and required(field):
                values[field.name] = ""
        return kind(**values)

    def unknown(self, key: str, line: int, path: str, known: list[str]) -> Problem:
        """An unknown key: misspelt, or belonging elsewhere."""
        plain = re.sub(r"[\s_]+", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", key)).casefold()
        under = f" under {path}" if path else ""
        if plain in known:
            hint = f'did you mean "{plain}"?'
        elif plain in homes() and path != "comment":
            hint = "it belongs " + " or ".join(
                f"under {home}:" if home else "at the top of the file, not indented" for home in homes()[plain]
            )
        else:
            hint = did_you_mean(plain, known)
        return Problem("unknown-key", f"there is no key {shown(key)}{under}", self.at(line), hint)

    def value(self, kind: Any, node: Node, path: str, meta: Mapping[str, Any]) -> Any:
        """A node that was given, as `kind`, or WRONG."""
        kind = bare(kind)
        origin = typing.get_origin(kind)
        if kind in (Margin, Duration):
            return self.quantity(kind, node, path)
        if kind in (MetricRequest, SliceRequest):
            return self.request(kind, node, path)
        if dataclasses.is_dataclass(kind):
            return self.record(kind, node, path)
        if origin is tuple:
            return self.listing(typing.get_args(kind)[0], node, path, meta)
        if origin is collections.abc.Mapping:
            return self.mapping(typing.get_args(kind)[1], node, path)
        if not isinstance(node, Scalar):
            return self.wrong_type(path, node, _wanted(kind))
        if origin is Literal:
            return self.choice(typing.get_args(kind), node, path)
        if kind is str:
            return self.text(node, path, meta)
        if kind is bool:
            if node.quoted or node.text not in ("true", "false"):
                return self.wrong_type(path, node, "true or false")
            return node.text == "true"
        return self.number(kind, node, path, meta)

    def wrong_type(self, path: str, node: Node, wanted: str, hint: str | None = None) -> Any:
        found = {Listing: "a list", Table: "keys with values"}.get(type(node), "")
        if isinstance(node, Scalar):
            found = shown(node.text) + (" in quotes" if node.quoted and wanted not in ("a list", "keys with values") else "")
        return self.refuse(path, node.line, "wrong-type", f"{path} should be {wanted}, is {found}", hint)

    def listing(self, kind: Any, node: Node, path: str, meta: Mapping[str, Any]) -> Any:
        if not isinstance(node, Listing):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) and node.text.isprintable() else "put `- ` before each"
            return self.wrong_type(path, node, "a list", hint)
        items = []
        for i, item in enumerate(node.items):
            here = f"{path}[{i}]"
            read = self.value(kind, item, here, meta) if item.given else self.refuse(here, item.line, "wrong-value", f"{here} is empty")
            if read is not WRONG:
                items.append(read)
        return tuple(items)

    def mapping(self, kind: Any, node: Node, path: str) -> Any:
        if not isinstance(node, Table):
            return self.wrong_type(path, node, "keys with values")
        values = {}
        for key, (line, value) in node.entries.items():
            here = f"{path}.{key}"
            try:
                requests.check_name(key, path.rpartition(".")[2].removesuffix("s"))
            except UsageError as error:
                self.refuse(here, line, error.name, error.message, error.hint)
                continue
            if not value.given:
                hint = f"write {key}: {{max-drop: 1pp}}, or remove it" if kind is Rule else f"write {_wanted(kind)}, or remove it"
                self.refuse(here, line, "wrong-value", f"{here} is empty", hint)
                continue
            read = self.value(kind, value, here, {})
            if read is not WRONG:
                values[key] = read
        return values

    def choice(self, choices: tuple[str, ...], node: Scalar, path: str) -> Any:
        if node.text in choices:
            return node.text
        message = f"{path} should be {' or '.join(choices)}, is {shown(node.text)}"
        return self.refuse(path, node.line, "wrong-value", message, did_you_mean(node.text, choices))

    def quantity(self, kind: type[Margin] | type[Duration], node: Node, path: str) -> Any:
        if not isinstance(node, Scalar):
            return self.wrong_type(path, node, _wanted(kind))
        try:
            read = kind.parse(node.text)
        except ValueError:
            return self.refuse(path, node.line, "wrong-value", f"{path} should be {_wanted(kind)}, is {shown(node.text)}")
        number = read.value if isinstance(read, Margin) else read.seconds
        if not math.isfinite(number) or (kind is Duration and number <= 0):
            return self.refuse(path, node.line, "wrong-value", f"{path} is {shown(node.text)}: not a quantity that can be meant")
        return read

    def number(self, kind: type, node: Scalar, path: str, meta: Mapping[str, Any]) -> Any:
        pattern = NUMBER if kind is float else r"[-+]?[0-9]{1,18}"
        if node.quoted or not re.fullmatch(pattern, node.text) or not math.isfinite(float(node.text)):
            return self.wrong_type(path, node, _wanted(kind))
        value = kind(node.text)
        if (
            value < meta.get("least", -math.inf)
            or value > meta.get("most", math.inf)
            or value <= meta.get("above", -math.inf)
            or value >= meta.get("below", math.inf)
        ):
            low, high = meta.get("least", meta.get("above")), meta.get("most", meta.get("below"))
            return self.refuse(path, node.line, "wrong-value", f"{path} should be between {low} and {high}, is {shown(node.text)}")
        return value

    def text(self, node: Scalar, path: str, meta: Mapping[str, Any]) -> Any:
        holds, text = meta.get("holds", "line"), node.text
        allowed = "\n\t" if holds == "command" else ""
        if not text.strip():
            return self.refuse(path, node.line, "wrong-value", f"{path} is empty")
        if len(text) > LONGEST_TEXT or not all(c.isprintable() or c in allowed for c in text):
            wanted = "text of printable characters" if allowed else "one line of printable characters"
            return self.refuse(path, node.line, "wrong-value", f"{path} should be {wanted}, is {shown(text)}")
        if holds != "command" and re.search(r"://[^/\s@]*:[^/\s@]+@", text):
            hint = "give credentials through the environment, and change this one: others have seen it"
            return self.refuse(path, node.line, "secret-in-address", f"{path} holds a password in its address", hint)
        if "pattern" in meta and not re.fullmatch(meta["pattern"], text):
            return self.refuse(path, node.line, "wrong-value", f"{path} is {shown(text)}: not {meta['like']}")
        if holds == "day" and not _is_day(text):
            return self.refuse(
                path, node.line, "wrong-value", f"{path} should be a day, is {shown(text)}", "write it YYYY-MM-DD: 2026-12-31"
            )
        return self.place(node, path, holds) if holds in ("path", "data") else text

    def place(self, node: Scalar, path: str, holds: str) -> Any:
        """A path inside the repository, or (data) an address or an absolute path."""
        text = node.text
        if "://" in text:
            if holds == "path":
                hint = "write a path relative to this file"
                return self.refuse(path, node.line, "wrong-value", f"{path} should be a path, is the address {shown(text)}", hint)
            return text
        if (
            text.startswith("~")
            or (text.startswith("/") and holds == "path")
            or leaves(text, 1_000 if text.startswith("/") else self.depth)
        ):
            hint = "paths are relative to this file and stay inside the repository"
            return self.refuse(path, node.line, "outside-repository", f"{path} leaves the repository: {shown(text)}", hint)
        return text

    def request(self, kind: Any, node: Node, path: str) -> Any:
        try:
            return self.metric(node, path) if kind is MetricRequest else self.slice(node, path)
        except UsageError as error:
            return self.refuse(path, node.line, error.name, f"{path}: {error.message}", error.hint)

    def metric(self, node: Node, path: str) -> Any:
        if isinstance(node, Scalar):
            return requests.metric(node.text)
        columns = [key for key in ("mean", "quantile", OWN) if isinstance(node, Table) and key in node.entries]
        if not isinstance(node, Table) or len(columns) != 1:
            return self.wrong_type(
                path,
                node,
                "a metric: accuracy, recall:spam, {mean: COLUMN, …}, {quantile: COLUMN, q: 0.95, …} or {python: FILE.py:FUNCTION, …}",
                _named_within(node),
            )
        options = {}
        for key, (line, value) in node.entries.items():
            if isinstance(value, Scalar) and value.given:
                options[key] = value.text
            elif value.given:
                return self.refuse(f"{path}.{key}", line, "wrong-type", f"{path}.{key} should be text, is a list or keys with values")
        if columns[0] == OWN:
            return requests.own(options.pop(OWN, ""), options)
        return requests.metric(f"{columns[0]}:{options.pop(columns[0], '')}", options=options)

    def slice(self, node: Node, path: str) -> Any:
        if isinstance(node, Scalar):
            return requests.slice_column(node.text)
        if isinstance(node, Table) and len(node.entries) == 1:
            name, (_, condition) = next(iter(node.entries.items()))
            if isinstance(condition, Scalar):
                return requests.slice_where(name, condition.text if condition.given else "")
        return self.wrong_type(path, node, 'a slice: a column, or {long: "length > 512"}')


def _named_within(node: Node) -> str | None:
    """What to write instead of `{cost: {mean: price}}`, where a name was put before what it names."""
    if isinstance(node, Table) and len(node.entries) == 1:
        name, (_, inner) = next(iter(node.entries.items()))
        if isinstance(inner, Table) and name.isprintable():
            keys = [key for key in ("mean", "quantile", OWN) if key in inner.entries]
            return f"its name goes inside: {{{keys[0]}: …, name: {name[:60]}}}" if len(keys) == 1 else None
    return None


def _is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _example(key: str, field: dataclasses.Field[Any]) -> str | None:
    example = field.metadata.get("example")
    return (
        f"add `{key}: {example}` ({field.metadata['doc'].rstrip('.').lower()[:1]}{field.metadata['doc'].rstrip('.')[1:]})"
        if example
        else None
    )


def _rewritten(kind: Any, node: Node, path: str) -> str | None:
    """`accuracy: 1pp` is nearly right: say how it is written."""
    if kind in (Rule, SliceRule) and isinstance(node, Scalar) and Margin.PATTERN.match(node.text):
        return f"write {path.rpartition('.')[2]}: {{max-drop: {node.text}}}"
    return None


def _wanted(kind: Any) -> str:
    """A kind in a person's words."""
    kind = bare(kind)
    if typing.get_origin(kind) is Literal:
        return " or ".join(typing.get_args(kind))
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Margin: "a margin (1pp: percentage points; 2%: of the baseline; or a number in the metric's unit)",
        Duration: "a length of time (90s, 30m, 6h, 2d)",
    }
    return words.get(kind, "keys with values")
