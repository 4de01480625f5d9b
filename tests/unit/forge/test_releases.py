"""Our part of a release: created, found again, kept beside what people wrote, whatever others do meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.forge.base import Release
from mlops_toolkit.forge.releases import LIMIT, begin, end, merged
from tests.unit.forge.conftest import forge
from tests.world.github import FakeGitHub, Fault, Token

MINE = Release("v1.2.0", "mlops.yaml|spam|", "## spam\n\naccuracy 0.95")
OTHER = Release("v1.2.0", "mlops.yaml|ham|", "## ham\n\naccuracy 0.91")


@pytest.fixture
def writing(fake: FakeGitHub) -> FakeGitHub:
    fake.tokens["ghs_job"] = Token(may=frozenset({"contents"}))
    return fake


def test_a_release_is_created_for_the_tag_once_and_then_left_alone(writing: FakeGitHub) -> None:
    first = forge(writing).release(MINE)
    calls = len(writing.calls)
    assert forge(writing).release(MINE) == first
    assert first.url == "https://github.com/acme/models/releases/tag/v1.2.0"
    assert [call.verb for call in writing.calls[calls:]] == ["GET"]
    (made,) = writing.releases.made
    assert (made["tag_name"], made["prerelease"], made["draft"]) == ("v1.2.0", False, False)
    assert "accuracy 0.95" in made["body"]


@pytest.mark.parametrize("draft", [False, True])
def test_what_people_wrote_stays_to_the_byte_and_their_draft_a_draft(writing: FakeGitHub, draft: bool) -> None:
    writing.releases.add("v1.2.0", "Thanks to **all**!\r\n\r\n* one", draft=draft)
    assert forge(writing).release(MINE).reason is None
    (made,) = writing.releases.made
    assert made["body"].startswith("Thanks to **all**!\r\n\r\n* one\n\n" + begin(MINE.key))
    assert made["draft"] is draft
    made["body"] += "\nP.S.: see you"
    forge(writing).release(Release("v1.2.0", MINE.key, "anew"))
    assert made["body"].endswith("anew\n" + end(MINE.key) + "\n\nP.S.: see you")
    assert made["body"].startswith("Thanks to **all**!")
    assert "0.95" not in made["body"]


def test_two_models_of_one_tag_have_a_part_each(writing: FakeGitHub) -> None:
    forge(writing).release(MINE)
    forge(writing).release(OTHER)
    forge(writing).release(MINE)
    (made,) = writing.releases.made
    assert made["body"].count("0.95") == made["body"].count("0.91") == 1


def test_of_two_that_create_it_at_once_the_later_one_edits(writing: FakeGitHub) -> None:
    def other() -> None:
        writing.releases.add("v1.2.0", merged("", OTHER))

    writing.meanwhile(r"POST .*/releases", other)
    assert forge(writing).release(MINE).reason is None
    (made,) = writing.releases.made
    assert "0.95" in made["body"]
    assert "0.91" in made["body"]


def test_what_another_wrote_over_ours_is_mended(writing: FakeGitHub) -> None:
    forge(writing).release(OTHER)

    def over() -> None:
        writing.fail("PATCH", Fault(502, performed=False))
        writing.releases.made[0]["body"] = "people were quicker"

    writing.meanwhile("PATCH", over)
    assert forge(writing).release(MINE).reason is None
    assert writing.releases.made[0]["body"].startswith("people were quicker\n\n<!--")


def test_a_token_that_may_not_says_which_permission_is_missing(fake: FakeGitHub) -> None:
    found = forge(fake).release(MINE)
    assert found.url is None
    assert "contents: write" in (found.hint or "")
    assert forge(fake, token=None).release(MINE).reason == "the release is not written: there is no token"


def test_a_part_that_is_too_long_is_cut_between_paragraphs_and_people_s_text_never() -> None:
    theirs = "x" * 100_000
    long = Release("v1", "k", "\n\n".join(["paragraph " * 20] * 1000))
    made = merged(theirs, long)
    assert len(made) <= LIMIT
    assert made.startswith(theirs)
    assert "the rest is in the image's model card" in made
    assert merged(made, long) == made


PIECES = [*"ab\n<!-> #|`@\x00\u202e", "mlops-actions:1 ", "release ", "paragraph\n\n", begin("k"), end("k")]
TEXT = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@given(TEXT, TEXT, TEXT)
def test_whatever_stands_there_and_whatever_is_put_in_the_second_time_changes_nothing(before: str, one: str, two: str) -> None:
    """And the text around is never lost."""
    if begin("k") in before or end("k") in before:
        before = ""
    made = merged(before, Release("v1", "k", one))
    assert made.startswith(before)
    assert merged(made, Release("v1", "k", one)) == made
    assert merged(merged(made, Release("v1", "k", two)), Release("v1", "k", one)) == made
