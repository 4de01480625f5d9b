"""Blocks and parts so small that a few hundred rows are many of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from mlops_toolkit.predictions.stream import parts, scratch, source, spool


@contextlib.contextmanager
def blocks(monkeypatch: pytest.MonkeyPatch, block: int, rows: int | None = None) -> Iterator[None]:
    """Of `block` rows, and parts of `rows` (None: as they are); the temporary folder is gone at the end."""
    for module in (spool, source, parts):
        monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(source.Opened.blocks, "__defaults__", (block,))
    if rows is not None:
        monkeypatch.setattr(parts, "ROWS", rows)
    yield
    scratch.clear()
