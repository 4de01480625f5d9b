"""Tags: what each kind of git's tag gives, what may move and what never, and the order of versions as semver.org has it."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.errors import UsageError
from mlops_toolkit.publish.tags import TAG, Names, Version, names, steps, without_model

WORDS = ("version", "minor", "sha")
ALL = (*WORDS, "major", "latest")
COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
SHA = "sha-a1b2c3d4e5f6"
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("tag", "words", "expected"),
    [
        ("v1.2.3", WORDS, ("v1.2.3", "1.2", SHA)),
        ("1.2.3", WORDS, ("1.2.3", "1.2", SHA)),
        ("v1.2.3", ALL, ("v1.2.3", "latest", "1", "1.2", SHA)),
        ("v1.2.3-rc.1", ALL, ("v1.2.3-rc.1", SHA)),
        ("v1.2.3+gpu", ALL, ("v1.2.3_gpu", SHA)),
        ("spam-filter/v1.2.3", WORDS, ("v1.2.3", "1.2", SHA)),
        ("spam-filter-v1.2.3", WORDS, ("v1.2.3", "1.2", SHA)),
        ("spam-filter@1.2.3", WORDS, ("1.2.3", "1.2", SHA)),
        ("release-2026-11", WORDS, ("release-2026-11", SHA)),
        ("release/2026", WORDS, ("release-2026", SHA)),
        ("v01.2.3", WORDS, ("v01.2.3", SHA)),  # no version: nothing moves
        ("v1.2", WORDS, ("v1.2", SHA)),
        (None, ALL, (SHA,)),
        ("v1.2.3", ("version",), ("v1.2.3",)),
    ],
)
def test_what_a_tag_of_git_gives(tag: str | None, words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert names(words, tag=tag, model="spam-filter", commit=COMMIT).all == expected


@pytest.mark.parametrize("tag", ["latest", "ünder", "-x", ".x", "a" * 129, SHA])
def test_what_cannot_be_an_image_s_tag_is_refused(tag: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(ALL, tag=tag, model="m", commit=COMMIT)
    assert caught.value.name == "bad-tag"


def test_a_tag_that_moves_by_itself_cannot_be_released_under() -> None:
    """Where `1.2` moves along with releases, a release of that name would be moved away."""
    with pytest.raises(UsageError, match="kept for what moves"):
        names(WORDS, tag="1.2", model="m", commit=COMMIT)
    assert names(("version",), tag="1.2", model="m", commit=COMMIT).all == ("1.2",)


def test_the_release_s_own_tag_is_never_another_image_s() -> None:
    wanted = names(WORDS, tag="v1.2.3", model="m", commit=COMMIT)
    with pytest.raises(UsageError) as caught:
        steps(wanted, A, {"v1.2.3": B}, ["v1.2.3"])
    assert caught.value.name == "tag-taken"
    assert [(s.tag, s.put) for s in steps(wanted, A, {"v1.2.3": A, "1.2": A, SHA: A}, [])] == [
        ("v1.2.3", False),
        ("1.2", False),
        (SHA, False),
    ]


def test_the_commit_s_tag_stays_with_the_image_that_had_it_first() -> None:
    found = {s.tag: s for s in steps(names(WORDS, tag="v1.2.4", model="m", commit=COMMIT), A, {SHA: B}, [SHA])}
    assert not found[SHA].put
    assert "first image of this commit" in found[SHA].why
    assert found["v1.2.4"].put


@pytest.mark.parametrize(
    ("tag", "known", "moves"),
    [
        ("v1.2.3", ["v1.2.2", "1.2"], True),
        ("v1.2.3", ["v1.2.4", "1.2"], False),
        ("v1.2.3", ["v1.2.4-rc1", "v1.2.9_gpu"], True),  # neither of them has it
        ("v1.2.10", ["v1.2.9"], True),
        ("v1.2.3", ["v1.3.0", "v2.0.0"], True),  # other minors do not hold it back
        ("v1.2.3", ["1.2.4"], False),
    ],
)
def test_a_moving_tag_moves_only_forward(tag: str, known: list[str], moves: bool) -> None:
    found = {s.tag: s for s in steps(names(WORDS, tag=tag, model="m", commit=COMMIT), A, {"1.2": B}, known)}
    assert found["1.2"].put is moves, found["1.2"].why


def test_a_moving_tag_that_is_not_there_yet_does_not_begin_at_an_older_version() -> None:
    """`latest` asked for from the fix of an old release on: whoever pulls it wants the newest."""
    wanted = names(ALL, tag="v1.2.3", model="m", commit=COMMIT)
    found = {s.tag: s for s in steps(wanted, A, {}, ["v2.0.0", "v1.2.2"])}
    assert {tag: one.put for tag, one in found.items()} == {SHA: True, "latest": False, "1": True, "1.2": True, "v1.2.3": True}
    assert found["latest"].why == "it belongs to 2.0.0, which is newer"


def test_latest_moves_by_all_versions() -> None:
    wanted = names(ALL, tag="v1.2.3", model="m", commit=COMMIT)
    found = {s.tag: s.put for s in steps(wanted, A, dict.fromkeys(("latest", "1", "1.2"), B), ["v2.0.0", "v1.2.2"])}
    assert found == {SHA: True, "latest": False, "1": True, "1.2": True, "v1.2.3": True}


def test_the_release_s_own_tag_is_put_first() -> None:
    """Where another publish was quicker, nothing else has been moved."""
    assert steps(names(ALL, tag="v1.2.3", model="m", commit=COMMIT), A, {}, [])[0].tag == "v1.2.3"


@pytest.mark.parametrize(
    ("tag", "rest"),
    [("spam/v1", "v1"), ("spam-v1", "v1"), ("spam@1", "1"), ("spamv1", None), ("spam", None), ("spam-", None), ("ham/v1", None)],
)
def test_a_tag_may_name_its_model(tag: str, rest: str | None) -> None:
    assert without_model(tag, "spam") == rest


def test_versions_order_as_semver_org_shows_it() -> None:
    """Its own example of rule 11."""
    said = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"]
    said += ["1.0.0", "2.0.0", "2.1.0", "2.1.1"]
    parsed = [version for text in said if (version := Version.parse(text)) is not None]
    assert len(parsed) == len(said)
    assert sorted(random.Random(1).sample(parsed, len(parsed))) == parsed


number = st.integers(0, 10**6)
part = st.one_of(number.map(str), st.from_regex(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*", fullmatch=True).filter(lambda s: len(s) < 20))
versions = st.builds(Version, number, number, number, st.lists(part, max_size=3).map(tuple))


def text(version: Version) -> str:
    return f"v{version.major}.{version.minor}.{version.patch}" + (f"-{'.'.join(version.pre)}" if version.pre else "")


@given(versions, versions, versions)
def test_the_order_is_one_and_reading_gives_what_was_written(a: Version, b: Version, c: Version) -> None:
    assert Version.parse(text(a)) == a
    assert (a < b) + (b < a) + (a == b) == 1
    assert not (a < b and b < c) or a < c


@given(st.text(max_size=140), versions)
def test_whatever_git_calls_a_tag_the_image_s_tags_are_tags_or_it_is_refused(tag: str, version: Version) -> None:
    for each in (tag, text(version)):
        try:
            made = names(ALL, tag=each, model="m", commit=COMMIT)
        except UsageError:
            continue
        assert all(TAG.fullmatch(one) for one in made.all)
        assert len(set(made.all)) == len(made.all)


@given(st.lists(versions.filter(lambda v: v.stable), min_size=1, max_size=6))
def test_however_releases_come_in_the_moving_tag_ends_at_the_newest(released: list[Version]) -> None:
    """Published in any order, one after the other."""
    there: dict[str, str] = {}
    for version in released:
        digest = "sha256:" + text(version)
        wanted = Names(text(version), None, {"latest": "latest"}, version)
        for step in steps(wanted, digest, there, list(there)):
            if step.put:
                there[step.tag] = digest
    assert there["latest"] == "sha256:" + text(max(released))
    assert re.fullmatch(r"sha256:v\d+\.\d+\.\d+", there["latest"])
