"""Which paths a list like `[src/, "*.py", "!tests/"]` means: gitignore's rules, the last match decides."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """A pattern as written, and what it matches of paths relative to the repository's top."""

    text: str
    expression: re.Pattern[str]
    excludes: bool

    def matches(self, path: str) -> bool:
        return self.expression.fullmatch(path) is not None


def compile_patterns(texts: Iterable[str], *, base: str = "") -> tuple[Pattern, ...]:
    """Patterns written in a file that stands in the folder `base` ("" = the top); `..` may lead out of it, not above the top."""
    return tuple(_compile(text, base) for text in texts)


def select(paths: Iterable[str], patterns: Sequence[Pattern]) -> list[str]:
    """The paths that the patterns mean, in their order."""
    return [path for path in paths if next((not p.excludes for p in reversed(patterns) if p.matches(path)), False)]


def _compile(text: str, base: str) -> Pattern:
    excludes = text.startswith("!")
    body = text[1:] if excludes else text
    folder = body.endswith("/")
    body = body.rstrip("/")
    below = base + "/" if base else ""
    if body in ("", "."):
        expression = re.escape(below) + ".*"
    elif "/" in body:
        whole = posixpath.normpath(below + body.lstrip("/"))
        expression = _glob(whole) + ("/.*" if folder else "(?:/.*)?")
    else:
        expression = re.escape(below) + "(?:.*/)?" + _segment(body) + ("/.*" if folder else "(?:/.*)?")
    return Pattern(text, re.compile(expression, re.DOTALL), excludes)


def _glob(path: str) -> str:
    parts = path.split("/")
    pieces = []
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if len(part) > 1 and set(part) == {"*"}:
            pieces.append(".*" if last else "(?:.*/)?")
        else:
            pieces.append(_segment(part) + ("" if last else "/"))
    return "".join(pieces)


def _segment(part: str) -> str:
    """One part of a path: `*`, `?`, `[a-z]`, `[!a-z]`, and `\\` before a character meant as it is."""
    found, i = "", 0
    while i < len(part):
        character = part[i]
        end = part.find("]", i + 2 if part[i + 1 : i + 2] not in ("!", "^") else i + 3) if character == "[" else -1
        if character == "*":
            found += "[^/]*"
        elif character == "?":
            found += "[^/]"
        elif end > 0:
            inner = part[i + 1 : end]
            negated = inner[0] in "!^"
            inner = inner[1:] if negated else inner
            found += f"(?!/)[{'^' if negated else ''}{_class(inner)}]"
            i = end
        elif character == "\\" and i + 1 < len(part):
            i += 1
            found += re.escape(part[i])
        else:
            found += re.escape(character)
        i += 1
    return found


def _class(inner: str) -> str:
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    # A range that runs backwards means nothing in git and is an error to `re`: only its ends are kept.
    return re.sub(r"(?s)(.)-(.)", lambda m: m[0] if m[1] <= m[2] else re.escape(m[1]) + re.escape(m[2]), escaped)
