"""Tables by name: `name -> "module:attribute"`, imported only when named, so that a row costs nothing until it is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from mlops_toolkit.errors import UsageError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "accuracy"?`, or the known words where nothing is near."""
    import difflib  # only for a person who made a mistake; `--version` need not wait for it

    known = list(known)
    near = difflib.get_close_matches(word.casefold(), known, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"


def load(kind: str, table: Mapping[str, str], name: str, *, where: str | None = None) -> Any:
    """The object that the row `name` of `table` points to. An unknown name is a UsageError `unknown-KIND`."""
    if name not in table:
        raise UsageError(f"unknown-{kind}", f'there is no {kind} "{name}"', where=where, hint=did_you_mean(name, table))
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
