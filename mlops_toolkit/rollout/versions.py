"""Which of two versions is older, as Semantic Versioning 2.0.0 orders them (its section 11)."""

from __future__ import annotations

import re

VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def older(one: str | None, other: str | None) -> bool:
    """Whether the first comes before the second; False where either is no such version, and so nobody can say."""
    a, b = _key(one), _key(other)
    return a is not None and b is not None and a < b


def _key(version: str | None) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]] | None:
    found = VERSION.fullmatch(version or "")
    if not found:
        return None
    words = found[4].split(".") if found[4] else []
    parts = tuple((not word.isdigit(), int(word) if word.isdigit() else 0, "" if word.isdigit() else word) for word in words)
    return tuple(int(found[at]) for at in (1, 2, 3)), not words, parts
