"""The comment on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mlops_toolkit.report.comment import comment
from mlops_toolkit.report.terminal import columns, terminal
from tests.unit.report import results
from tests.unit.report.results import HOSTILE
from tests.unit.report.test_escape import elements


def bare(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[\d*m", "", text)


def test_without_colour_it_is_still_markdown_with_its_tables_in_columns() -> None:
    """What a log, a file or a pipe gets parses to the same tables."""
    text = comment(results.regression()).text
    shown = terminal(text)
    assert "\x1b" not in shown
    assert "<" not in shown
    tables = lambda markdown: [e for e in elements(markdown) if e in ("table", "tr", "td", "th", "code")]
    assert tables(shown) == tables(text)
    rows = [line for line in shown.splitlines() if line.startswith(("| accuracy ", "| f1-macro "))][:3]
    assert len({columns(row) for row in rows}) == 1


def test_with_colour_nothing_of_markdown_is_left() -> None:
    """No pipes, no backslashes, no asterisks, no fences."""
    shown = bare(terminal(comment(results.regression()).text, color=True))
    assert not re.search(r"\*\*|```|^\| |\\|</?\w", shown, re.M)
    assert "accuracy [language=de]" in shown
    assert "  accepted:\n    - check: accuracy" in shown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_paragraphs_and_words_keep_to_the_width_and_numbers_are_never_cut(width: int) -> None:
    """A cut number would be another number."""
    shown = bare(terminal(comment(results.regression()).text, color=True, width=width))
    assert "−3.1 pp" in shown
    assert "[−4.4, −1.8]" in shown
    assert all(columns(line) <= max(width, 78) for line in shown.split("\n\n")[1].splitlines())  # its numbers need as much
    prose = [line for line in shown.splitlines() if line.startswith("•") and "http" not in line]
    assert all(columns(line) <= width for line in prose)


def test_in_a_narrow_terminal_the_verdict_stays_whole() -> None:
    """What is not cut goes on below; the icon stands beside its first word."""
    row = replace(results.unproven().checks[0], gain=0.1)
    shown = bare(terminal(comment(replace(results.unproven(), checks=(row,))).text, color=True, width=80))
    last = [line[-14:].strip() for line in shown.split("\n\n")[1].splitlines()]
    assert any(line.endswith("➖ no drop") for line in last)
    assert any(line.endswith("proven") for line in last)
    assert "…" not in shown


def test_a_long_table_says_where_the_rest_of_it_is() -> None:
    shown = bare(terminal(comment(results.many_slices()).text, color=True))
    assert "more rows are in .mlops/comment.md" in shown
    assert shown.count("country=") < 25


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:20]))
def test_hostile_text_steers_no_terminal(text: str) -> None:
    """The only escape sequences are our own."""
    for color in (True, False):
        shown = terminal(comment(results.hostile(text)).text, color=color)
        assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", shown)
        assert set(re.findall(r"\x1b.{0,5}?m", shown)) <= {"\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[4m", "\x1b[0m"}
        assert shown.count("\x1b") == len(re.findall(r"\x1b\[\d*m", shown))
