"""YAML as written: every scalar stays the text a person typed, with the line it stands on. What it means is the schema's to say.

No value is constructed (`no` is the text "no", `1e-3` the text "1e-3"), so nothing in a file can run or be guessed. Refused,
with file and line: what is not UTF-8 or not YAML, a key given twice, several documents, tags, `<<`, and files or aliases
that unfold beyond any configuration's size.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_toolkit.config.quantities import NUMBER
from mlops_toolkit.errors import ConfigErrors, Problem, UsageError

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
DEEPEST = 50
TOO_DEEP = "nested too deeply to be a configuration"
NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Scalar:
    """A scalar's text; `quoted` if it stood in quotes or in a block. Lines count from 1."""

    text: str
    line: int
    quoted: bool = False

    @property
    def given(self) -> bool:
        """False for an empty or null value: the key stands there, nothing was given."""
        return self.quoted or self.text not in NULLS


@dataclass(frozen=True)
class Listing:
    """A list of nodes."""

    items: tuple[Node, ...]
    line: int
    given = True


@dataclass(frozen=True)
class Table:
    """A mapping: key -> (line of the key, node), in the order written."""

    entries: Mapping[str, tuple[int, Node]] = field(default_factory=dict)
    line: int = 1
    given = True


Node: TypeAlias = Scalar | Listing | Table


def shown(text: str, most: int = 60) -> str:
    """A text in quotes, fit for one line of a message: control characters escaped, long ones cut."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return _quoted(cut)


def _quoted(text: str) -> str:
    """A text in double quotes, everything that does not print escaped as YAML reads it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in quoted)


def scalar(text: str, *, flow: bool = False) -> str:
    """A text as a YAML value that anybody reads back as itself: bare where that is safe, else in double quotes.

    flow: the value stands inside [ ] or { }.
    """
    bare = re.fullmatch(r"(\.(?![0-9_.])|[A-Za-z$/])[^\n\"\\#]*", text) and text.isprintable() and text == text.strip() and text[-1] != ":"
    inside = flow and not re.fullmatch(r"[\w$./: *+-]+", text)  # readers differ on the other characters between brackets
    word = text.casefold() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n") or re.fullmatch(
        NUMBER + r"|\.(inf|nan)", text, re.I
    )
    return text if bare and not inside and ": " not in text and not word else _quoted(text)


def compose(raw: bytes | str, *, where: str) -> Table:
    """The one document of a YAML text, a mapping (an empty text is an empty one).

    Anything else is a UsageError `invalid-yaml` (ConfigErrors where several keys stand twice) that names `where`:LINE.
    """
    import yaml

    text = _decode(raw, where)
    try:
        root = yaml.compose(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise _refusal(error, text, where) from error
    except RecursionError as error:
        raise UsageError("invalid-yaml", TOO_DEEP, where=where) from error
    unfolding = _Unfolding(where)
    node = unfolding.node(root, ()) if root is not None else Table()
    if unfolding.problems:
        raise ConfigErrors(unfolding.problems)
    if isinstance(node, Scalar) and not node.given:
        return Table(line=node.line)
    if not isinstance(node, Table):
        raise UsageError(
            "invalid-yaml",
            "the file holds a list, not keys with values" if isinstance(node, Listing) else "the file holds a text, not keys with values",
            where=f"{where}:{node.line}",
            hint="it begins like `name: spam-filter`",
        )
    return node


def lines(node: Node, path: str = "") -> Iterator[tuple[str, int]]:
    """(dotted key, line) of everything below a node: `train.run`, `evaluate.metrics[2]`, `gate.accuracy.max-drop`."""
    if isinstance(node, Table):
        for key, (line, value) in node.entries.items():
            here = f"{path}.{key}" if path else key
            yield here, line
            yield from lines(value, here)
    elif isinstance(node, Listing):
        for i, item in enumerate(node.items):
            yield f"{path}[{i}]", item.line
            yield from lines(item, f"{path}[{i}]")


@functools.cache
def _loader() -> type[yaml.BaseLoader]:
    """PyYAML's loader that leaves every scalar a text, and stops at brackets so deep that scanning them takes quadratic time."""
    import yaml

    class Loader(yaml.BaseLoader):
        def fetch_flow_collection_start(self, token: Any) -> None:
            if self.flow_level > DEEPEST:
                raise yaml.composer.ComposerError(None, None, TOO_DEEP, self.get_mark())
            super().fetch_flow_collection_start(token)

    return Loader


def _decode(raw: bytes | str, where: str) -> str:
    if len(raw) > MOST_BYTES:
        raise UsageError("invalid-yaml", f"over {MOST_BYTES // 1024} KiB: not a configuration file", where=where)
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            "invalid-yaml", f"not UTF-8: byte 0x{raw[error.start]:02x}", where=f"{where}:{line}", hint="save the file as UTF-8"
        ) from error


def _refusal(error: yaml.YAMLError, text: str, where: str) -> UsageError:
    """PyYAML's exception in our words; the line counts from 1."""
    import yaml

    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        return UsageError("invalid-yaml", f"the character U+{code:04X} cannot stand in YAML", where=f"{where}:{line}")
    if isinstance(error, yaml.composer.ComposerError) and error.problem == TOO_DEEP:
        return UsageError("invalid-yaml", TOO_DEEP, where=f"{where}:{error.problem_mark.line + 1}" if error.problem_mark else where)
    if not isinstance(error, yaml.MarkedYAMLError):
        return UsageError("invalid-yaml", "not readable as YAML", where=where)
    problem = error.problem or "not readable as YAML"
    mark = error.problem_mark or error.context_mark
    # The message quotes the user's characters through %r: they are escaped already.
    place = f"{where}:{mark.line + 1}" if mark else where
    if "'\\t'" in problem:
        return UsageError("invalid-yaml", "a tab stands where YAML wants spaces", where=place, hint="indent with spaces")
    if "single document" in (error.context or ""):
        return UsageError(
            "invalid-yaml", "a second document begins here", where=place, hint="one file describes one model: remove the `---`"
        )
    context = f" {error.context}" if error.context else ""
    since = f" (begun on line {error.context_mark.line + 1})" if error.context_mark and context else ""
    return UsageError("invalid-yaml", f"not YAML: {problem}{context}{since}", where=place, hint=_way_out(problem))


def _way_out(problem: str) -> str | None:
    if "mapping values are not allowed" in problem:
        return "a text that holds `: ` must stand in quotes"
    if "cannot start any token" in problem:
        return "a text that begins with this character must stand in quotes"
    if "undefined alias" in problem:
        return "a text that begins with * must stand in quotes"
    return None


class _Unfolding:
    """Composed nodes into ours, following aliases up to a bound and collecting keys that stand twice."""

    def __init__(self, where: str) -> None:
        self.where, self.count, self.problems = where, 0, list[Problem]()

    def node(self, node: yaml.Node, above: tuple[int, ...]) -> Node:
        import yaml

        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MOST_NODES or id(node) in above or len(above) > DEEPEST:
            raise UsageError("invalid-yaml", "unfolds to more than a configuration can hold", where=f"{self.where}:{line}")
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rpartition(":")[2] not in ("str", "seq", "map"):
            raise UsageError(
                "invalid-yaml", f"the tag {shown(node.tag)} is not wanted here", where=f"{self.where}:{line}", hint="leave the `!…` out"
            )
        if isinstance(node, yaml.ScalarNode):
            return Scalar(node.value, line, quoted=node.style is not None)
        inside = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            return Listing(tuple(self.node(item, inside) for item in node.value), line)
        return self.table(node, inside)

    def table(self, node: yaml.Node, inside: tuple[int, ...]) -> Table:
        entries: dict[str, tuple[int, Node]] = {}
        for key, value in node.value:
            name, at = self.node(key, inside), key.start_mark.line + 1
            if not isinstance(name, Scalar):
                raise UsageError("invalid-yaml", "a key must be a text", where=f"{self.where}:{at}")
            if name.text == "<<" and not name.quoted:
                raise UsageError(
                    "invalid-yaml", "`<<` is not supported: it is no part of YAML 1.2", where=f"{self.where}:{at}", hint="repeat the keys"
                )
            if name.text in entries:
                first = entries[name.text][0]
                self.problems.append(
                    Problem("invalid-yaml", f"the key {shown(name.text)} stands twice, first on line {first}", f"{self.where}:{at}")
                )
                continue
            read = self.node(value, inside)
            # What a section lacks is told where the section is named.
            entries[name.text] = (at, read if isinstance(read, Scalar) else dataclasses.replace(read, line=at))
        return Table(entries, node.start_mark.line + 1)
