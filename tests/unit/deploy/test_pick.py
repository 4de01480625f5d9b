"""Which published image a tag or commit means, and the words where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.deploy import pick
from mlops_toolkit.deploy.pick import Asked
from mlops_toolkit.errors import UsageError
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.records.publication import Publication
from mlops_toolkit.records.run import Run

AT = Step("a" * 40, "b" * 40)
RUN = "20261124-092057-3f9a1c"
ENTRY = Entry(RUN, "mlops.yaml|spam|", AT.commit, AT.tree, "succeeded", "2026-11-24T09:20:57Z", released=True)
IMAGE = Publication("ghcr.io/acme/spam", f"sha256:{'1' * 64}", ("v1.2.3", "1.2", "sha-aaaaaaaaaaaa"))
RECORD = Run(RUN, "spam", released="v1.2.3", published=(IMAGE,))
TAG = Asked("v1.2.3", "v1.2.3", AT)


def chosen(asked: Asked, *pairs: tuple[Entry, Run]) -> pick.Choice:
    records = {entry.id: run for entry, run in pairs}
    return pick.pick(asked, [entry for entry, _ in pairs], records.get)


@pytest.mark.parametrize("tag", ["v1.2.3", "spam/v1.2.3", "spam@v1.2.3"])
def test_a_tag_means_the_image_that_was_published_of_it(tag: str) -> None:
    asked = Asked(tag, tag, AT)
    found = chosen(asked, (ENTRY, RECORD))
    assert (found.state, found.publication) == ("found", IMAGE)
    assert pick.version_of(found, asked) == "v1.2.3"


def test_a_tag_that_is_in_no_clone_is_found_by_what_was_released() -> None:
    assert chosen(replace(TAG, at=None), (ENTRY, RECORD)).publication == IMAGE


def test_a_moving_tag_names_no_release() -> None:
    asked = Asked("1.2", "1.2", Step("c" * 40, "d" * 40))
    assert chosen(asked, (ENTRY, RECORD)).state == "unrecorded"


def test_a_tag_that_was_moved_since_is_refused() -> None:
    with pytest.raises(UsageError, match=r"v1\.2\.3 is at ccccccc now, and what was published as it is of aaaaaaa") as caught:
        chosen(replace(TAG, at=Step("c" * 40, "d" * 40)), (ENTRY, RECORD))
    assert caught.value.name == "tag-moved"


def test_an_artifact_is_nothing_that_runs() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(TAG, (ENTRY, replace(RECORD, published=(replace(IMAGE, form="artifact"),))))
    assert caught.value.name == "not-an-image"


def test_a_commit_means_its_newest_image_and_a_tag_never_another_one_s() -> None:
    bare, other = Asked("aaaaaaa", None, AT), Asked("v2.0.0", "v2.0.0", AT)
    assert chosen(bare, (ENTRY, RECORD)).publication == IMAGE
    assert chosen(other, (ENTRY, RECORD)).state == "unpublished"


@pytest.mark.parametrize(
    ("entry", "state", "name", "said"),
    [
        (replace(ENTRY, released=False, status="running"), "running", "still-running", "is still going"),
        (replace(ENTRY, released=False), "unpublished", "not-published", "`mlops publish v1.2.3`"),
        (replace(ENTRY, released=False, fork=True), "unrecorded", "not-recorded", "let the commit be judged"),
        (replace(ENTRY, released=False, commit="e" * 40, tree="e" * 40), "unrecorded", "not-recorded", "no run of v1.2.3"),
    ],
)
def test_where_there_is_none_it_is_said_what_is_to_be_done(entry: Entry, state: str, name: str, said: str) -> None:
    choice = chosen(TAG, (entry, replace(RECORD, released=None, published=())))
    error = pick.refusal(choice, TAG, waited="30 min 00 s")
    assert (choice.state, error.name) == (state, name)
    assert said in str(error)
    assert "after 30 min 00 s" in error.message


def test_the_releases_that_there_are_are_named() -> None:
    asked = Asked("v9.9.9", "v9.9.9", None)
    assert "released: v1.2.3" in str(pick.refusal(chosen(asked, (ENTRY, RECORD)), asked))
