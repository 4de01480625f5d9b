"""Every rule of the gate holds of predictions in blocks: the tests of the rules themselves, run again on such ones.

What a test says of a comparison in memory it says here of the same predictions read in blocks of a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_toolkit.predictions.stream.admit import Stream, read_stream
from tests.unit.gate import (
    drawn,
    test_assemble,
    test_gaps,
    test_improvement,
    test_loose,
    test_no_number,
    test_others,
    test_redefined,
    test_slices,
    test_stricter,
    test_unpaired,
)
from tests.unit.predictions.stream import small

MODULES = (
    test_assemble,  # verdicts, states (labels and examples that changed, the same model), examples, what is accepted, exit codes
    test_gaps,
    test_improvement,  # improve-by, max-gain, warn
    test_loose,  # the base branch's gate, slices and metrics where this one's are looser; what was said yes to
    test_no_number,
    test_others,  # against: release, or a pinned run
    test_redefined,
    test_slices,  # min-examples, must: pass
    test_stricter,
    test_unpaired,  # a baseline of which only the record is left
)
OTHERWISE = {
    "test_the_history_keeps_the_column_by_which_a_gap_is_judged": "it keeps a table that is in memory",
    "test_what_counts_never_lets_pass_what_either_stops": "it looks at bounds, not at predictions",
}


def _tests() -> Iterator[tuple[str, Any]]:
    for module in MODULES:
        short = module.__name__.rpartition(".")[2]
        for name, one in vars(module).items():
            slow = any(mark.name == "slow" for mark in getattr(one, "pytestmark", ()))
            if name.startswith("test_") and callable(one) and not slow and name not in OTHERWISE:
                yield f"{short}__{name.removeprefix('test_')}", one


globals().update(_tests())


@pytest.fixture(autouse=True)
def _in_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    count = iter(range(10**6))

    def stream(columns: Mapping[str, Sequence[Any]], **how: Any) -> Stream:
        n = len(next(iter(columns.values())))
        named = {"id": [f"e{i}" for i in range(n)], **columns} if "id" not in columns else dict(columns)
        path = tmp_path / f"{next(count)}.parquet"
        pl.DataFrame(named, strict=False).write_parquet(path)
        return read_stream(path, name="preds.parquet", **how)

    for module in (drawn, *MODULES):
        if hasattr(module, "table"):
            monkeypatch.setattr(module, "table", stream)
    with small.blocks(monkeypatch, 256):
        yield
