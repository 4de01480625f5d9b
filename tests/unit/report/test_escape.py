"""Text stays text: checked with the Markdown engine that GitHub uses."""

from __future__ import annotations

import html
import re

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_toolkit.report import escape
from tests.unit.report.results import HOSTILE

pieces = st.lists(
    st.sampled_from([*(h for h in HOSTILE if len(h) < 100), *"|`*_[]()<>!&#$~\\:@\n\r\t-+=.1", "http", "://", "www", "a", "b "]),
    max_size=12,
).map("".join)
texts = st.one_of(pieces, st.text(max_size=60))


def rendered(markdown: str) -> str:
    """The HTML that GitHub's engine makes, raw HTML allowed."""
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES))


def elements(markdown: str) -> list[str]:
    """The names of all opened elements."""
    return re.findall(r"<([a-zA-Z][\w-]*)", rendered(markdown))


def texts_of(markdown: str) -> list[str]:
    """The pieces of text between elements, as the second step (mentions, emoji) sees them, code left out."""
    without_code = re.sub(r"<code.*?</code>", "<code>", rendered(markdown), flags=re.S)
    return [html.unescape(piece) for piece in re.split(r"<[^>]*>", without_code)]


def no_reference(markdown: str) -> None:
    """Nothing that GitHub would turn into a mention, an issue link, an emoji or a formula."""
    for piece in texts_of(markdown):
        assert not re.search(r"@[A-Za-z0-9]|#\d|\bGH-\d|:[A-Za-z0-9_+-]+:|\$\S.*\S?\$", piece, re.I), repr(piece)


def check_table(cell: str) -> None:
    """A cell holding it adds no column and no element but code, emphasis of ours and the span around a dollar."""
    table = f"| a | b | c |\n| :-- | --: | :-- |\n| x | {cell} | y |\n"
    found = [e for e in elements(table) if e not in ("span", "code", "em")]
    assert found == ["table", "thead", "tr", "th", "th", "th", "tbody", "tr", "td", "td", "td"], rendered(table)
    assert "<!--" not in table


@given(texts)
@example("\\")
@example("a\\|b")
@settings(deadline=None, max_examples=400)
def test_any_text_is_one_cell_of_a_table(text: str) -> None:
    """As inline text and as code."""
    for cell in (escape.inline(text), escape.code(text, cell=True)):
        check_table(cell)
        no_reference(f"| a |\n|-|\n| {cell} |\n")


@given(texts)
@example("a|b@.a|b")
@settings(deadline=None, max_examples=400)
def test_any_text_is_one_list_item_or_paragraph(text: str) -> None:
    """It makes no list, heading, quote, rule, link, image, code or HTML of its own."""
    item = f"- {escape.inline(text, starts=True)}\n- next\n"
    assert [e for e in elements(item) if e != "span"] == ["ul", "li", "li"], rendered(item)
    no_reference(item)
    line = f"✅ {escape.inline(text)} said · {escape.inline(text)}\n"
    assert [e for e in elements(line) if e != "span"] == ["p"], rendered(line)
    no_reference(line)
    assert "<!--" not in item + line


@given(texts)
@settings(deadline=None, max_examples=300)
def test_any_text_is_one_code_span_or_block(text: str) -> None:
    """Neither span nor fence is closed from inside."""
    assert elements(f"x {escape.code(text)} y") in (["p", "code"], ["p", "em"])
    fenced = escape.fenced(text, "yaml")
    assert elements(f"- x\n\n  {fenced.replace(chr(10), chr(10) + '  ')}\n\nafter\n") == ["ul", "li", "p", "pre", "code", "p"]
    assert "<!--" not in fenced


@given(texts)
@settings(deadline=None, max_examples=200)
def test_an_image_has_the_text_as_its_alternative(text: str) -> None:
    """One image, whose address is ours."""
    assert elements(f"![{escape.alt(text)}](https://github.com/o/r/raw/b/x.png)\n") == ["p", "img"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:20]))
def test_the_hostile_ones(text: str) -> None:
    """The table of hostile strings, ten megabytes included."""
    for shown in (escape.inline(text), escape.code(text, cell=True)):
        check_table(shown)
        assert len(shown) < 1200
    assert len(escape.clean(text)) <= 82
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067\ud800-\udfff]", escape.clean(text))


@given(st.one_of(texts, st.text("ab \u2068\u2069\u05d0\u0627\u202e", max_size=100)), st.none() | st.integers(5, 90))
@settings(deadline=None, max_examples=300)
def test_cleaning_twice_changes_nothing_and_isolates_are_closed(text: str, limit: int | None) -> None:
    """A sentence made of cleaned pieces can be cleaned again."""
    once = escape.clean(text, limit)
    assert escape.clean(once, None) == once
    assert once.count("\u2068") == once.count("\u2069")
    assert limit is None or len(once) <= 2 * limit + 2


def test_ordinary_text_keeps_its_source_readable() -> None:
    """No backslash without need: what people name metrics and slices stays as it is, in a terminal too."""
    for text in (
        "f1-macro",
        "recall:spam",
        "judge_score",
        "language=de",
        "length > 512",
        "length < 512",
        "a & b",
        "accuracy [language=de] −3.1 pp",
        "10 % off!",
        "it's 2.5",
        "C++",
    ):
        assert escape.inline(text, starts=True) == text


def test_a_long_text_ends_in_an_ellipsis() -> None:
    """80 characters, the last of them an ellipsis."""
    assert escape.clean("x" * 10_000_000) == "x" * 79 + "…"
    assert escape.clean("x" * 80) == "x" * 80


def test_right_to_left_text_is_isolated() -> None:
    """It cannot turn round the numbers beside it; an override character is shown as replaced."""
    assert escape.clean("עברית") == "\u2068עברית\u2069"
    assert escape.clean("\u202egnp.exe") == "�gnp.exe"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://x/\ny", "https://x/ y", "ftp://x", "http://x/<b>", "data:text/html,x", ""])
def test_an_address_that_is_no_address_is_none(url: str) -> None:
    """Only http and https, nothing that ends the link."""
    assert escape.address(url) is None


def test_an_address_cannot_close_its_link() -> None:
    """Brackets are written in hexadecimal."""
    link = f"[the run]({escape.address('https://x/a)b(c[d]')})"
    assert elements(link) == ["p", "a"]
