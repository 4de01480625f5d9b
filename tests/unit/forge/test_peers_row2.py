"""Other tools let the server refuse a long comment: ours is cut where a section or block ends, and says where the rest is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.forge import sticky
from tests.unit.forge.conftest import forge, section
from tests.world.github import FakeGitHub, Fault

TEXTS = {
    "letters": "x",
    "umlauts": "ü",
    "emoji (two UTF-16 units, four bytes)": "🦄",
    "family (seven code points)": "👨‍👩‍👧‍👦",
    "Devanagari with joiners": "क्षि",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("before", ["created", "updated"])
def test_a_body_of_65_537_characters_is_posted_cut_at_a_block(fake: FakeGitHub, text: str, before: str) -> None:
    if before == "updated":
        forge(fake).comment(7, section(verdict="✅ short"))
    blocks = tuple((text * 20_000)[: 65_537 // 7 + 1] for _ in range(7))
    posted = forge(fake).comment(7, replace(section(verdict="❌ long"), body=blocks))
    assert posted.reason is None
    (body,) = fake.bodies(7)
    (part,) = sticky.parse(body)
    assert part.blocks == blocks[: len(part.blocks)]
    assert 0 < len(part.blocks) < 7
    assert "left out here: GitHub allows 65,536 characters" in body
    assert "(https://github.com/acme/models/actions/runs/812)" in body
    assert len(body.encode("utf-16-le")) // 2 <= 65_000
    assert len(body.encode()) <= 262_144


def test_one_block_longer_than_a_comment_leaves_the_verdict(fake: FakeGitHub) -> None:
    forge(fake).comment(7, section("k", "❌ spam: worse", "y" * 65_537))
    assert fake.bodies(7)[0].startswith("❌ spam: worse")


def test_a_server_that_counts_in_yet_another_way_gets_a_text_of_half_the_length(fake: FakeGitHub) -> None:
    fake.fail("POST .*/comments", Fault.message(422, "Validation Failed: body is too long (maximum is 65536 characters)"))
    posted = forge(fake).comment(7, replace(section(), body=tuple("z" * 9_000 for _ in range(7))))
    assert posted.reason is None
    assert sticky.length(fake.bodies(7)[0]) <= sticky.LIMIT // 2


def test_a_server_that_finds_everything_too_long_is_not_asked_for_ever(fake: FakeGitHub) -> None:
    fake.fail("POST .*/comments", Fault.message(422, "body is too long"), times=99)
    posted = forge(fake).comment(7, section())
    assert posted.reason == "the comment is not posted: GitHub refused it (422: body is too long)"
    assert sum(verb == "POST" and path.endswith("comments") for verb, path, _ in fake.requests) == 2


def test_a_status_description_is_cut_to_140_characters(fake: FakeGitHub) -> None:
    assert forge(fake).status("a" * 40, "spam", "failure", "🦄 worse " * 40, None).reason is None
    assert len(fake.statuses["a" * 40][0]["description"]) == 140
