"""The text of the comment, without any forge."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Section
from tests.unit.forge.conftest import section

HOSTILE = (
    "|",
    "a\nb\r\nc",
    "<!-- x",
    "-->",
    "</details>",
    "@team",
    "```",
    "$(reboot)",
    "${{ secrets.X }}",
    "---",
    "\x00\x1b[31m",
    "\ud800",
    "\u202eabc",
    sticky.COMMENT,
    sticky.BLOCK,
    "<!-- mlops-actions:1 end 1367bd17b1327e72 -->",
    "✅ fine <!-- mlops-actions:1 section 1367bd17b1327e72 run=999999.9 -->",
    "<!--mlops-actions:1 comment-->",
    "<!-- /mlops-actions:1 end",
    "<!-- MLOPS-ACTIONS:1 omitted 3 -->",
    "x" * 4_000,
)
text = st.one_of(st.text(max_size=60), st.sampled_from(HOSTILE), st.tuples(st.text(max_size=9), st.sampled_from(HOSTILE)).map("\n".join))
sections = st.builds(
    Section,
    key=text,
    verdict_line=text,
    body=st.lists(text, max_size=4).map(tuple),
    commit=st.one_of(st.none(), st.just("b" * 40), text),
    run=st.integers(0, 10**12),
    attempt=st.integers(1, 9),
)


def test_the_first_line_is_the_verdict_so_that_a_mail_starts_with_it() -> None:
    assert sticky.merge([], section(verdict="❌ spam: accuracy −3.1 pp")).startswith("❌ spam: accuracy −3.1 pp <!--")


@settings(deadline=None, max_examples=150)
@given(st.lists(sections, min_size=1, max_size=4, unique_by=lambda s: s.key))
def test_whatever_the_texts_hold_every_section_is_found_again_as_it_was_put_in(given: list[Section]) -> None:
    body = ""
    for each in given:
        body = sticky.merge([body] if body else [], each)
    assert sticky.ours(body)
    assert sticky.length(body) <= sticky.LIMIT
    found = {p.digest: p for p in sticky.parse(body)}
    assert set(found) == {sticky.digest(s.key) for s in given}
    for each in given:
        wanted, there = sticky.part(each), found[sticky.digest(each.key)]
        assert (there.verdict, there.age, there.commit) == (wanted.verdict, wanted.age, wanted.commit)
        assert there.blocks == wanted.blocks[: len(there.blocks)]
        assert there.omitted == len(wanted.blocks) - len(there.blocks)


@settings(deadline=None, max_examples=100)
@given(st.lists(sections, min_size=1, max_size=4), st.randoms())
def test_the_order_of_writers_does_not_change_the_text(given: list[Section], random: object) -> None:
    given = list({(s.key): s for s in given}.values())
    one = other = ""
    for each in given:
        one = sticky.merge([one] if one else [], each)
    random.shuffle(given)  # type: ignore[attr-defined]
    for each in given:
        other = sticky.merge([other] if other else [], each)
    if "omitted" not in one:
        assert one == other


def test_our_markers_are_invisible_and_leave_every_block_as_it_renders_alone() -> None:
    from cmarkgfm import github_flavored_markdown_to_html
    from cmarkgfm.cmark import Options

    def render(text: str) -> str:
        return str(github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE))

    blocks = (
        "| metric | main |\n| :-- | --: |\n| accuracy | 0.97 |",
        "- a list\n- of two",
        "<details><summary>Slices</summary>\n\n| a |\n|---|\n| b |\n\n</details>",
        "```yaml\ngate: {}\n```",
        "A paragraph",
    )
    body = sticky.merge([sticky.merge([], section("a", "✅ a", *blocks))], replace(section("b", "❌ b", *blocks)))
    page = re.sub(r"<!--.*?-->", "", render(body))
    assert "mlops-actions" not in page
    alone = ["<p>❌ b</p>", *map(render, blocks), "<hr />", "<p>✅ a</p>", *map(render, blocks)]
    assert "".join(page.split()) == "".join("".join(alone).split())


def test_merging_the_same_again_changes_nothing() -> None:
    body = sticky.merge([], section())
    assert sticky.merge([body], section()) == body


def test_text_saved_with_carriage_returns_by_a_browser_reads_the_same() -> None:
    body = sticky.merge([], section())
    assert sticky.parse(body.replace("\n", "\r\n")) == sticky.parse(body)
    assert sticky.ours(body.replace("\n", "\r\n"))


@pytest.mark.parametrize(("run", "attempt", "wins"), [(811, 9, False), (812, 1, True), (812, 2, True), (813, 1, True), (812, 0, False)])
def test_a_section_of_an_older_run_or_attempt_never_replaces_a_newer_one(run: int, attempt: int, wins: bool) -> None:
    body = sticky.merge([], section(verdict="standing", run=812, attempt=1))
    later = section(verdict="later", run=run, attempt=attempt)
    assert ("later" in sticky.merge([body], later)) is wins
    assert (sticky.superseded([body], later) is None) is wins


def test_of_two_comments_every_section_is_kept_in_its_newest_form() -> None:
    one = sticky.merge([sticky.merge([], section("a", "a old", run=1))], section("b", "b new", run=5))
    other = sticky.merge([sticky.merge([], section("a", "a new", run=2))], section("b", "b old", run=4))
    verdicts = {p.verdict for p in sticky.parse(sticky.merge([one, other], section("c", "c")))}
    assert verdicts == {"a new", "b new", "c"}


def test_the_worst_model_comes_first() -> None:
    body = ""
    for mark in ("✅ a", "ℹ️ b", "➖ c", "⚠️ d", "❌ e"):
        body = sticky.merge([body] if body else [], section(mark, mark))
    assert [p.verdict[-1] for p in sticky.parse(body)] == ["e", "d", "c", "b", "a"]


def test_a_long_section_loses_blocks_from_its_end_and_says_where_they_are() -> None:
    blocks = tuple(f"block {i}\n" + "x" * 9_000 for i in range(10))
    body = sticky.merge([], replace(section(), body=blocks), where="https://github.com/acme/models/actions/runs/812")
    part = sticky.parse(body)[0]
    assert part.blocks == blocks[:7]
    assert "3 more parts are left out here" in body
    assert "[job's summary](https://github.com/acme/models/actions/runs/812)" in body


def test_a_cut_section_stays_readable_and_counted_when_another_job_writes() -> None:
    body = sticky.merge([], replace(section("a"), body=tuple("y" * 9_000 for _ in range(9))), where="https://ci/1")
    before = sticky.parse(body)[0]
    body = sticky.merge([body], replace(section("b"), body=tuple("z" * 9_000 for _ in range(4))))
    after = {p.digest: p for p in sticky.parse(body)}
    assert after[sticky.digest("b")].omitted == 0
    assert after[sticky.digest("a")].omitted > before.omitted
    assert after[sticky.digest("a")].omitted + len(after[sticky.digest("a")].blocks) == 9
    assert after[sticky.digest("a")].where == "https://ci/1"
    assert sticky.length(body) <= sticky.LIMIT


def test_many_models_cut_each_other_evenly_and_keep_every_verdict() -> None:
    body = ""
    for i in range(40):
        body = sticky.merge([body] if body else [], replace(section(f"m{i}", f"✅ m{i}"), body=tuple("w" * 1_000 for _ in range(6))))
    parts = sticky.parse(body)
    assert len(parts) == 40
    assert {len(p.blocks) for p in parts} <= {1, 2}


def test_too_many_verdicts_are_counted_rather_than_cut_in_half() -> None:
    body = sticky.cap([sticky.part(section(f"m{i}", f"✅ m{i} " + "v" * 400)) for i in range(200)])
    shown = len(sticky.parse(body))
    assert sticky.length(body) <= sticky.LIMIT
    assert f"_{200 - shown} more models are left out here" in body


@pytest.mark.parametrize("body", ["", "hello", sticky.COMMENT, f"quoted:\n> {sticky.COMMENT}", "✅ x\n" + sticky.COMMENT])
def test_a_comment_that_only_looks_a_little_like_ours_is_not_ours(body: str) -> None:
    assert not sticky.ours(body)


def test_an_address_that_could_close_the_marker_is_not_written() -> None:
    assert sticky.part(section(), "https://x/--><script>").where is None
    assert sticky.part(section(), "https://x/a b").where is None
