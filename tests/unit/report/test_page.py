"""The report page as text: one file, escaped, whole. What it does in a browser is in test_browser.py."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.records.result import Check, Example, Examples, Result, Side
from mlops_toolkit.report.charts import Chart
from mlops_toolkit.report.page import page
from mlops_toolkit.report.previews import Preview
from tests.unit.report import results
from tests.unit.report.results import HEAD, HOSTILE, MAIN

VOID = {"meta", "input", "img", "line", "rect", "circle", "path", "br"}


class Tree(HTMLParser):
    """Counts elements, notes attributes, and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.crossed = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        self.crossed |= not self.open or self.open.pop() != tag


@pytest.mark.parametrize("name", sorted(results.ALL))
def test_it_is_well_formed_and_loads_nothing(name: str) -> None:
    """Every element closed; no address but data addresses and the link to the run."""
    result = results.ALL[name]()
    tree = Tree(page(result, charts=(Chart("confusion", "t", "a", b"png"),)))
    assert not tree.crossed
    assert tree.open == []
    sources = [value for key, value in tree.attributes if key in ("src", "href", "action", "data", "poster", "srcset")]
    assert all(value and (value.startswith("data:") or value in (result.url, "#main")) for value in sources)
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(tree.tags)


def test_the_policy_allows_our_script_alone() -> None:
    """By its digest; nothing from outside."""
    text = page(results.regression())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])  # type: ignore[index]
    script = re.search(r"<script>(.*)</script>", text, re.S)[1]  # type: ignore[index]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_it_says_what_the_comment_says() -> None:
    """The sentence, every check with its numbers, the examples, what else changed, what next."""
    result = results.regression()
    text = html.unescape(re.sub(r"<[^>]+>", " ", page(result)))
    for words in (
        result.sentence,
        "−3.1 pp [−4.4, −1.8]",
        "0.9412",
        "+4.41 ms, ≤ 50 ms",
        "needs about 9,900 examples",
        "mail-01044",
        "learning_rate",
        "mlops compare a1b2c3d",
        "down-to: 0.941",
        "1 of 3 slices too small to say",
    ):
        assert words in text


def test_a_first_run_shows_values_and_the_margins_it_can_decide() -> None:
    """No empty columns of changes."""
    text = page(results.first_run())
    assert "margin it can decide" in text
    assert "[0.9636, 0.9788]" in text
    assert "change (" not in text


def test_an_error_is_no_verdict() -> None:
    """Its name and message stand on top."""
    text = page(results.failed())
    assert "<title>spam-filter: no verdict</title>" in text
    assert "<code>duplicate-id</code>" in text


def test_the_same_result_gives_the_same_page() -> None:
    """No clock in it."""
    assert page(results.regression()) == page(results.regression())


def test_pictures_sounds_and_texts_are_embedded_and_what_is_not_shown_is_said() -> None:
    """Each by its kind."""
    example = Example("a", "x", "x", "y", {"image": "a.png", "sound": "a.wav", "text": "a.txt", "big": "b.png", "plain": "no file"})
    shown = {
        "a.png": Preview("image/png", b"\x89PNG"),
        "a.wav": Preview("audio/wav", b"RIFF"),
        "a.txt": Preview("text/plain", b"first\nsecond <b>"),
        "b.png": Preview("", b"", "not shown: 12.0 MB, more than the 2.00 MB a preview may have"),
    }
    text = page(replace(results.harmless(), examples=Examples((), (example,), 0, 1)), previews=shown)
    assert f'<img src="data:image/png;base64,{base64.b64encode(bytes([0x89]) + b"PNG").decode()}" alt="image of a"' in text
    assert 'src="data:audio/wav;base64,UklGRg=="' in text
    assert "first\nsecond &lt;b&gt;" in text
    assert "b.png (not shown: 12.0 MB" in text
    assert "no file" in text


def test_the_wrong_answer_is_marked_where_there_is_a_right_one() -> None:
    """Not for tasks whose rows are only better or worse."""
    wrong = Example("a", "x", "x", "y")
    graded = replace(wrong, weight=0.5)
    marked = lambda e: page(replace(results.harmless(), examples=Examples((), (e,), 0, 1))).count('class="wrong"')
    assert (marked(wrong), marked(graded)) == (1, 0)


def test_thousands_of_examples_and_slices_are_capped() -> None:
    """The page stays a page."""
    rows = tuple(Example(str(i), "a", "a", "b", {"text": "x" * 100_000}) for i in range(3000))
    checks = tuple(
        Check(
            "m", slice=str(i), baseline=0.9, head=0.9, change=0.0, low=-0.1, high=0.1, margin=0.1, verdict="inconclusive", unit="fraction"
        )
        for i in range(3000)
    )
    text = page(Result("m", "pass", "passed", "", MAIN, HEAD, checks, examples=Examples((), rows, 0, 3000)))
    assert text.count('class="card broken"') == 2000
    assert len(text) < 15_000_000


SHAPE = Tree(page(results.hostile("plain"))).tags


@pytest.mark.parametrize("text", [t for t in HOSTILE if t.strip()], ids=lambda t: repr(t[:20]))
def test_hostile_text_adds_no_element(text: str) -> None:
    """The same tags in the same order as with a harmless word."""
    check_page(text)


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=50)
def test_any_text_adds_no_element(text: str) -> None:
    """Whatever it is."""
    check_page("a" + text)


def check_page(text: str) -> None:
    """The page has the shape it has with a harmless word."""
    made = page(results.hostile(text))
    tree = Tree(made)
    same = lambda tags: [
        t for t in tags if t not in ("a", "svg", "rect", "line", "circle", "path", "small", "pre", "p", "li", "ul", "section")
    ]
    assert same(tree.tags) == same(SHAPE)
    assert not tree.crossed
    assert not any(key.startswith("on") for key, _ in tree.attributes)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", made)
    made.encode()


def test_a_table_against_something_else_names_it_over_its_values() -> None:
    """The release's value does not stand under the word main."""
    first = results.harmless()
    check = replace(first.checks[0], against="v1.2", baseline=0.5123)
    made = page(replace(first, checks=(*first.checks, check), others={"v1.2": Side(label="v1.2", commit="c" * 40)}))
    table = made.split("Against v1.2 (ccccccc)")[-1].split("</table>")[0]
    assert '<th scope="col" class="n">v1.2</th>' in table
    assert '<th scope="col" class="n">main</th>' not in table
    assert "0.5123" in table
