"""The comment: what stands in it, in which order, within which length."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.records.result import Check, Example, Examples, Result
from mlops_toolkit.report.comment import EXPLAINED, comment
from tests.unit.report import results
from tests.unit.report.results import HEAD, MAIN
from tests.unit.report.test_escape import elements, no_reference, rendered


def test_the_worst_rows_come_first() -> None:
    """Worse, undecided, not worse, ungated; a failing slice stands in the open table."""
    table = comment(results.regression()).blocks[0].replace("\u00a0", " ")
    order = [table.index(word) for word in ("| accuracy |", "| accuracy [language=de] |", "| f1-macro |", "| latency-ms |", "| log-loss |")]
    assert order == sorted(order)
    assert "| accuracy | 0.9722 | 0.9412 | −3.1 pp [−4.4, −1.8] | −1.0 pp | ❌ worse |" in table


def test_more_than_eight_rows_are_folded() -> None:
    """Eight open, the rest counted and collapsed."""
    checks = tuple(Check(f"m{i}", baseline=1, head=1, change=0, low=-1, high=1, margin=0.1, verdict="pass") for i in range(20))
    table = comment(Result("m", "pass", "passed", "", MAIN, HEAD, checks)).blocks[0]
    before, _, after = table.partition("<details>")
    assert (before.count("✅"), after.count("✅")) == (8, 12)
    assert "<summary>12 more</summary>" in table


def test_a_number_is_not_broken_over_lines_of_a_cell() -> None:
    """`−3.1 pp [−4.4, −1.8]` holds together; a bound may go to the next line."""
    table = comment(results.regression()).blocks[0]
    assert "−3.1\u00a0pp\u00a0[−4.4,\u00a0−1.8]" in table
    assert "+4.41\u00a0ms, ≤\u00a050\u00a0ms" in table


def test_a_class_called_cat_is_no_emoji() -> None:
    """`recall:cat: needs …` would show a cat's face."""
    check = replace(results.regression().checks[1], metric="recall:cat")
    text = comment(replace(results.regression(), checks=(check,))).text
    assert "needs about 9,900 examples" in text
    no_reference(text)


def test_columns_carry_the_names_of_the_sides() -> None:
    """main and this PR, or file names."""
    named = replace(results.harmless(), baseline=replace(MAIN, label="old.csv"), head=replace(HEAD, label="new.csv"))
    assert "| metric | old.csv | new.csv | change (95 % interval) | allowed |  |" in comment(named).text


def test_counts_of_examples_are_open_and_the_list_is_folded() -> None:
    """And the list is as long as asked for."""
    text = comment(results.regression(), examples=3).text
    assert "<summary>Examples: 12 fixed, 45 broken</summary>" in text
    assert text.count("| `mail-") == 6
    assert text.count("| `mail-") == comment(results.regression(), examples=3).text.count("| `mail-")


def test_rows_without_right_and_wrong_got_better_or_worse() -> None:
    """Regression has no broken examples, it has worse ones."""
    worse = Example("a", "1.0", "1.1", "2.0", weight=0.9)
    text = comment(replace(results.harmless(), examples=Examples((), (worse,), 0, 1))).text
    assert "<summary>Examples: 0 better, 1 worse</summary>" in text


def test_the_comment_ends_in_what_to_do_next() -> None:
    """Reproduce, more data, accept; the last block."""
    last = comment(results.regression()).blocks[-1]
    assert "- reproduce: `mlops compare a1b2c3d`" in last
    assert "- more data: +7,900 examples would decide f1-macro" in last.replace("\\+", "+")
    assert "\n\n```yaml\naccepted:\n  - check: accuracy" in last


def test_a_first_run_proposes_its_gate() -> None:
    """With the margin this test set can decide, and no column of changes that cannot be."""
    text = comment(results.first_run()).text.replace("\u00a0", " ")
    assert "| accuracy | 0.9722 | [0.9636, 0.9788] | 1.0 pp |  | ℹ️ ungated |" in text
    assert "```yaml\ngate:\n  accuracy: {max-drop: 1pp}" in text


def test_an_error_is_named() -> None:
    """No table, no verdict, the error's name for scripts and search."""
    made = comment(results.failed())
    assert made.blocks[0] == "error `duplicate-id`"


def test_pictures_have_their_finding_as_alternative_text() -> None:
    """Mail shows no private picture, so the text says it."""
    made = comment(
        results.regression(),
        chart_urls={"changes": "https://github.com/o/r/raw/b/abc.png"},
        chart_alts={"changes": "accuracy −3.1 pp | worse"},
    )
    assert "![accuracy −3.1 pp \\| worse](https://github.com/o/r/raw/b/abc.png)" in made.text
    assert rendered(made.text).count("<img ") == 1


def test_a_picture_without_a_proper_address_is_left_out() -> None:
    """The text stands alone."""
    assert "![" not in comment(results.regression(), chart_urls={"changes": "javascript://x"}).text


@pytest.mark.parametrize("name", sorted(results.ALL))
def test_the_same_result_gives_the_same_text(name: str) -> None:
    """An unchanged result edits nothing."""
    assert comment(results.ALL[name]()) == comment(results.ALL[name]())


@pytest.mark.parametrize("name", sorted(results.ALL))
def test_it_is_well_formed(name: str) -> None:
    """Details closed, tables parsed (no row falls out of its table), no line of spaces, no stack of blank lines."""
    text = comment(results.ALL[name]()).text
    html = rendered(text)
    assert html.count("<details>") == html.count("</details>") == text.count("<details>")
    assert not re.search(r"<p>\s*\|", html)
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]+$", text, re.M)


def test_two_models_of_one_repository_are_told_apart() -> None:
    """A leg of a matrix is named in the first line."""
    assert comment(replace(results.harmless(), matrix="py3.12")).verdict_line.startswith("✅ spam-filter (py3.12): ")


def test_only_known_elements_are_made() -> None:
    """Tables, lists, folds, code: nothing else comes out of an ordinary comment."""
    assert set(elements(comment(results.regression()).text)) <= {
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "sub",
        "ul",
        "li",
        "code",
        "pre",
        "strong",
        "a",
    }


def test_a_reason_that_many_share_is_said_once() -> None:
    """With the first four of them."""
    checks = tuple(
        Check(
            f"m{i}",
            baseline=1.0,
            head=0.9,
            change=-0.1,
            margin=0.2,
            verdict="pass",
            reason="noise-untested",
            message="noise was not tested",
        )
        for i in range(7)
    )
    text = comment(Result("m", "pass", "passed", "", MAIN, HEAD, checks)).text
    assert text.count("noise was not tested") == 1
    assert "- m0, m1, m2, m3, +3 more: noise was not tested" in text


def test_a_bound_that_is_broken_is_not_said_twice() -> None:
    """The verdict's word says it."""
    check = Check(
        "accuracy",
        head=0.7,
        min=0.8,
        verdict="fail",
        reason="below-min",
        message="below the allowed 0.8",
        unit="fraction",
        baseline=0.9,
        change=-0.2,
    )
    text = comment(Result("m", "fail", "failed", "", MAIN, HEAD, (check,))).text
    assert "❌ below 0.8 |" in text
    assert "below the allowed" not in text


def test_a_slice_worse_by_chance_is_neither_worse_nor_too_small() -> None:
    """Among many slices one such is expected."""
    check = Check(
        "accuracy",
        slice="de",
        baseline=0.9,
        head=0.8,
        change=-0.1,
        low=-0.15,
        high=-0.05,
        margin=0.03,
        verdict="inconclusive",
        leaning="beyond",
        reason="multiplicity",
        message="one of many",
        unit="fraction",
    )
    text = comment(Result("m", "pass", "passed", "", MAIN, HEAD, (check,))).text
    assert "➖ may be chance |" in text
    assert "The worst slices:" in text


def test_where_the_policy_wants_proof_the_unproven_blocks_and_says_so() -> None:
    """`when-uncertain: fail`."""
    made = comment(replace(results.unproven(), policy="fail", gate="failed", blocks=True, sentence=""))
    assert made.verdict_line.startswith("❌ ranker: not proven: accuracy −0.2 pp (likely −1.4 to +1.0; allowed −1.0)")
    assert "⚠️ must be proven |" in made.text


def test_the_sentence_on_intervals_links_to_more_where_there_is_an_address() -> None:
    """And stands without it."""
    linked = comment(results.regression(), explained="https://github.com/o/r/blob/v1/docs/intervals.md").text
    assert "[What is an interval?](https://github.com/o/r/blob/v1/docs/intervals.md)</sub>" in linked
    assert "[What is an interval?]" not in comment(results.regression(), explained="javascript:x").text


def test_the_page_on_intervals_is_there_under_the_project_s_own_address() -> None:
    """A link of a comment must work from any repository: it is absolute, and of the project that the README's `uses:` names."""
    root = Path(__file__).resolve().parents[3]
    owner = re.search(r"uses: ([\w.-]+/[\w.-]+?)@v1", (root / "README.md").read_text())
    assert owner is not None
    path = EXPLAINED.removeprefix(f"https://github.com/{owner[1]}/blob/v1/")
    assert (root / path).is_file()
    for made in (results.regression(), results.first_run(), results.undecided()):
        assert f"({EXPLAINED})" in comment(made).text
    assert EXPLAINED not in comment(results.failed()).text, "no interval, nothing to explain"
