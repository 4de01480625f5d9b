"""Which run is published: by commit, by tree, by name; what is refused, with which words; what is waited for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mlops_toolkit.errors import UsageError
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.publish.pick import Asked, pick, refusal

SPAM, LARGE, HAM = "mlops.yaml|spam|", "mlops.yaml|spam|large", "ham/mlops.yaml|ham|"
AT = Step("c" * 40, "t" * 40)
IDS = iter(f"20261124-{n:06d}-3f9a1c" for n in range(100000, 200000))


def entry(**changes: Any) -> Entry:
    """A good run of the commit, newer than those made before."""
    fields = {"id": next(IDS), "key": SPAM, "commit": AT.commit, "tree": AT.tree, "status": "succeeded", "started": "2026-11-24T10:00:00Z"}
    return Entry(**{**fields, "event": "push", "gate": "passed", "metrics": {"accuracy": 0.9}, **changes})


def asked(**changes: Any) -> Asked:
    return dataclasses.replace(Asked(AT, {SPAM: "spam"}, remote=True), **changes)


def test_the_run_of_the_commit_is_taken_the_newest_of_several() -> None:
    older, newer = entry(), entry()
    found = pick(asked(), [newer, older])
    assert (found.entry, found.state) == (newer, "ok")


def test_a_squash_merge_has_the_run_of_the_pull_request_s_tree() -> None:
    mine = entry(commit="p" * 40, pull_request=7)
    found = pick(asked(), [mine, entry(commit="p" * 40, tree="u" * 40)])
    assert (found.entry, found.state) == (mine, "same-tree")
    assert "by pull request #7 for the same files as ccccccc" in found.note


def test_the_commit_s_own_run_goes_before_one_of_the_same_files_and_this_ci_run_s_before_all() -> None:
    own, ours = entry(), entry(commit="p" * 40, ci_run="800")
    later = entry(commit="p" * 40)
    assert pick(asked(), [own, later]).entry == own
    assert pick(asked(ci_run="800"), [own, ours, later]).entry == ours


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fork": True}, "of a fork"),
        ({"dirty": True}, "uncommitted changes"),
        ({"status": "failed"}, "it failed"),
        ({"status": "interrupted"}, "it was interrupted"),
        ({"status": "judged"}, "only the verdict was kept"),
        ({"withdrawn": True}, "it was withdrawn"),
        ({"where": "here"}, "may be anybody's"),
        ({"where": "waiting"}, "may be anybody's"),
    ],
)
def test_what_cannot_be_published_is_passed_over_or_refused_with_its_words(changes: dict[str, Any], words: str) -> None:
    good, bad = entry(), entry(**changes)
    assert pick(asked(), [good, bad]).entry == good
    found = pick(asked(), [bad])
    assert (found.entry, found.state) == (None, "no-usable-run")
    error = refusal(found)
    assert (error.name, error.code) == ("run-not-usable", 2)
    assert words in str(error)
    assert bad.id in str(error)


def test_on_a_laptop_a_run_of_this_machine_counts_too() -> None:
    mine = entry(where="here", event="laptop")
    assert pick(asked(remote=False), [mine]).entry == mine


def test_nothing_recorded_says_what_to_do() -> None:
    found = pick(asked(), [entry(commit="x" * 40, tree="y" * 40)])
    assert found.state == "no-run"
    assert str(refusal(found)).startswith("no run of spam is recorded at ccccccc, nor one of the same files")


def test_several_models_at_one_commit_are_listed_and_one_is_chosen_by_name_run_or_tag() -> None:
    spam, ham, large = entry(), entry(key=HAM), entry(key=LARGE)
    what = asked(models={SPAM: "spam", HAM: "ham", LARGE: "spam (large)"})
    found = pick(what, [spam, ham, large])
    assert found.state == "several-models"
    said = str(refusal(found))
    for text in (f"spam: run {spam.id}", f"ham: run {ham.id}", f"spam (large): run {large.id}", "mlops-run: ID", "--model NAME"):
        assert text in said
    assert pick(dataclasses.replace(what, model="ham"), [spam, ham, large]).entry == ham
    assert pick(dataclasses.replace(what, model="spam (large)"), [spam, ham, large]).entry == large
    assert pick(dataclasses.replace(what, model="spam"), [spam, ham, large]).state == "several-models"
    assert pick(dataclasses.replace(what, tag="ham/v1.2.3"), [spam, ham, large]).entry == ham
    assert pick(dataclasses.replace(what, tag="v1.2.3"), [spam, ham, large]).state == "several-models"
    assert pick(dataclasses.replace(what, run=large.id), [spam, ham, large]).entry == large
    assert pick(what, [spam]).entry == spam  # the others have no run here


def test_a_tag_that_begins_with_two_models_names_means_the_longer() -> None:
    one, two = entry(), entry(key="x|spam-large|")
    what = asked(models={SPAM: "spam", "x|spam-large|": "spam-large"}, tag="spam-large-v1.0.0")
    assert pick(what, [one, two]).entry == two


def test_a_run_that_is_named_must_be_of_the_commit_and_of_the_model() -> None:
    other = entry(commit="x" * 40, tree="y" * 40)
    for run, name in ((other.id, "other-commit"), ("yesterday", "unknown-run"), ("20261124-1", "unknown-run")):
        with pytest.raises(UsageError) as caught:
            pick(asked(run=run), [other] if name == "other-commit" else [])
        assert caught.value.name == name
    ham = entry(key=HAM)
    with pytest.raises(UsageError) as caught:
        pick(asked(models={SPAM: "spam", HAM: "ham"}, run=ham.id, model="spam"), [ham])
    assert caught.value.name == "other-model"
    with pytest.raises(UsageError) as caught:
        pick(asked(model="eggs"), [ham])
    assert caught.value.hint == "known: spam"


def test_one_that_was_withdrawn_is_named_for_the_policy_to_decide_and_a_stranger_s_is_nobody_s_to_decide() -> None:
    gone, strange = entry(withdrawn=True), entry(fork=True, withdrawn=True)
    assert pick(asked(run=gone.id), [gone]).entry == gone
    strange = dataclasses.replace(strange, withdrawn=False)
    with pytest.raises(UsageError) as caught:
        pick(asked(run=strange.id), [strange])
    assert caught.value.name == "run-not-usable"


def test_a_run_still_going_is_waited_for_but_not_for_ever() -> None:
    good, going = entry(), entry(status="running", where="recorded", metrics={})
    found = pick(asked(), [good, going])
    assert found.state == "still-running"  # the newer one decides
    assert pick(asked(), [going, entry()]).state == "ok"
    error = refusal(found, waited="30 min")
    assert error.name == "still-running"
    assert "after 30 min" in str(error)


def test_a_check_that_is_pending_is_waited_for_where_nothing_is_recorded_yet() -> None:
    assert pick(asked(pending=frozenset({SPAM})), []).state == "still-running"
    assert pick(asked(pending=frozenset({SPAM})), [entry()]).state == "ok"
