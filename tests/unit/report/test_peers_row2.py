"""The length of a comment: under GitHub's 65,536 characters and 262,144 bytes by itself, in blocks that a cap can drop whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.records.result import Check, Difference, Example, Examples, MeasureRow, Result
from mlops_toolkit.report.comment import BLOCK, MOST, comment
from tests.unit.report import results
from tests.unit.report.results import HEAD, MAIN
from tests.unit.report.test_escape import rendered


@pytest.mark.parametrize("char", ["x", "$", "💥", "`"])
def test_it_stays_within_its_length_however_much_there_is(char: str) -> None:
    """A thousand of everything, of the longest allowed names: `Next` is still there, and what is left out is counted."""
    long = char * 500
    checks = tuple(
        Check(
            f"{i}{long}",
            slice=None if i % 2 else long,
            baseline=1,
            head=0,
            change=-1,
            low=-2,
            high=-0.5,
            margin=0.1,
            verdict="fail",
            unit=long,
            message=long,
        )
        for i in range(300)
    )
    example = Example(long, long, long, long, {long: long, "b": long})
    result = Result(
        long, "fail", "failed", "", replace(MAIN, label=long, behind=(long,) * 300), HEAD, checks,
        examples=Examples((example,) * 300, (example,) * 300, 10**6, 10**6),
        measures={f"{i}{long}": MeasureRow(1, 2, None, long) for i in range(300)},
        differences=(Difference("params", long, long, long),) * 300,
        notes=(long,) * 300,
        next=replace(results.regression().next, more_data=(long,) * 100, reproduce=long, gate="x" * 3000),
        url="https://x/" + "a" * 5000,
    )  # fmt: skip
    made = comment(
        result, examples=1000, chart_urls={str(i): f"https://x/{i}" for i in range(100)}, chart_alts={str(i): long for i in range(100)}
    )
    assert max(map(len, made.blocks)) <= BLOCK
    assert len(made.text) <= MOST
    assert len(made.text.encode()) < 262_144
    assert "- reproduce:" in made.text
    assert "more in the report page" in made.text


@pytest.mark.parametrize("name", sorted(results.ALL))
def test_every_block_stands_alone(name: str) -> None:
    """Whatever is dropped from the end, what remains renders as before: no fold, fence or table is cut."""
    made = comment(results.ALL[name]())
    for n in range(len(made.blocks) + 1):
        html = rendered("\n\n".join([made.verdict_line, *made.blocks[:n]]))
        assert rendered(made.text).startswith(html.rstrip())
