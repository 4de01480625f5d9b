"""The rule that picks a baseline, case by case, on lines of commits written as letters."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Lineage, Question, Step, pick

KEY = "mlops.yaml|spam|"
SECOND = iter(range(100_000, 999_999))


def run(commit: str | None, /, tree: str | None = None, **more: object) -> Entry:
    """An eligible run of a commit whose tree is the commit's letter in lower case."""
    number = next(SECOND)
    entry = Entry(
        f"20261124-{number}-aaaaaa", KEY, commit, tree or (commit.lower() if commit else None), "succeeded", "", metrics={"accuracy": 0.9}
    )
    return dataclasses.replace(entry, **more)  # type: ignore[arg-type]


def line(letters: str, **more: object) -> Lineage:
    """`CBA`: first parents from C back to A."""
    return Lineage(tuple(Step(c, c.lower(), f"change {c}") for c in letters), "the merge base with main", "main", **more)  # type: ignore[arg-type]


HEAD = Question(KEY, head="H", run="20261124-000000-bbbbbb", ci_run="77")


def test_the_nearest_run_is_picked_and_nothing_is_behind() -> None:
    old, near = run("A"), run("C")
    choice = pick(HEAD, [old, near], line("CBA"))
    assert (choice.entry, choice.state, choice.behind, choice.label) == (near, "ok", (), "main")


def test_commits_that_the_baseline_lacks_are_listed_newest_first() -> None:
    only = run("A")
    choice = pick(HEAD, [only], line("CBA"))
    assert choice.entry == only
    assert choice.state == "behind"
    assert choice.behind == ("C change C", "B change B")
    assert "2 commits behind" in choice.note


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fork": True}, "it is of a fork"),
        ({"gate": "failed"}, "its gate failed"),
        ({"withdrawn": True}, "it was withdrawn"),
        ({"status": "failed"}, "it failed"),
        ({"status": "interrupted"}, "it was interrupted"),
        ({"dirty": True}, "it was made with uncommitted changes"),
        ({"metrics": {}}, "it has no metrics"),
        ({"id": HEAD.run}, "it is the head itself"),
        ({"commit": "H"}, "it is the head itself"),
    ],
)
def test_a_run_that_cannot_be_trusted_is_passed_over_for_an_older_one_and_the_reason_is_kept(
    changes: dict[str, object], reason: str
) -> None:
    older, nearer = run("A"), run("C", **changes)
    choice = pick(HEAD, [older, nearer], line("CBA"))
    assert choice.entry == older
    assert choice.considered == ((nearer.id, reason),)
    assert reason in choice.note


@pytest.mark.parametrize(
    "changes", [{"gate": "failed", "accepted": True}, {"gate": "undecided"}, {"gate": "none"}, {"gate": None}, {"status": "reused"}]
)
def test_an_accepted_failure_and_whatever_did_not_fail_is_a_baseline(changes: dict[str, object]) -> None:
    near = run("C", **changes)
    assert pick(HEAD, [run("A"), near], line("CBA")).entry == near


def test_a_squash_merge_is_found_by_its_tree_whatever_event_made_the_run() -> None:
    of_pull_request = run("P", "c", event="pull_request", pull_request=12)
    choice = pick(HEAD, [of_pull_request], line("CBA"))
    assert choice.entry == of_pull_request
    assert choice.state == "ok"
    assert "same tree by pull request #12" in choice.note


def test_a_run_of_the_commit_itself_goes_before_one_of_an_equal_tree() -> None:
    own = run("C")
    squashed = run("P", "c")
    assert pick(HEAD, [own, squashed], line("C")).entry == own


def test_a_pull_request_run_that_tested_a_merge_is_no_run_of_its_head_commit() -> None:
    tested_merge = run("C", "x", event="pull_request")
    assert pick(HEAD, [tested_merge], line("CBA")).entry is None


def test_a_nearer_run_that_still_runs_is_said_and_the_older_one_used() -> None:
    older, running = run("A"), run("C", status="running", metrics={})
    choice = pick(HEAD, [older, running], line("CBA"))
    assert (choice.entry, choice.state) == (older, "still-running")
    assert running.id in choice.note


def test_a_farther_run_that_still_runs_changes_nothing() -> None:
    near = run("C")
    assert pick(HEAD, [near, run("A", status="running")], line("CBA")).state == "ok"


def test_another_model_of_the_same_commit_is_never_picked() -> None:
    other = dataclasses.replace(run("C"), key="mlops.yaml|ham|")
    choice = pick(HEAD, [other], line("CBA"))
    assert (choice.entry, choice.state) == (None, "first-run")
    assert choice.note == "no run of spam is recorded yet"


def test_a_dirty_head_is_compared_with_the_clean_run_of_its_own_commit() -> None:
    clean = run("H")
    assert pick(HEAD, [clean], line("HA")).entry == clean


def test_the_attempt_before_in_the_same_ci_run_is_no_baseline_of_a_schedule() -> None:
    attempt, yesterday = run("H", ci_run="77"), run("H", ci_run="70")
    assert pick(HEAD, [yesterday, attempt], line("HA")).entry == yesterday


def test_a_tag_is_compared_with_the_previous_release_even_where_newer_runs_are_nearer() -> None:
    released, newer = run("A", released=True), run("C")
    assert pick(HEAD, [released, newer], line("CBA", released=True)).entry == released
    assert pick(HEAD, [newer], line("CBA", released=True)).entry == newer


def test_a_rolled_back_release_is_no_baseline() -> None:
    back, older = run("C", released=True, withdrawn=True), run("A", released=True)
    assert pick(HEAD, [back, older], line("CBA", released=True)).entry == older


@pytest.mark.parametrize(
    ("entries", "where", "said"),
    [
        ([], line("CBA"), "no run of spam is recorded yet"),
        ([run("Z")], line("CBA"), "the recorded run of spam is not of a commit on this line"),
        ([run("Z"), run("Y")], line("CBA"), "none of the 2 recorded runs of spam is of a commit on this line"),
        ([run("Z", id=HEAD.run)], line("CBA"), "no run of spam is recorded yet"),
        ([run("C", gate="failed")], line("CBA"), "its gate failed"),
        ([run("C", status="running")], line("CBA"), "is still running"),
        ([run("C")], Lineage(reason="this is the first commit"), "no commit to compare with: this is the first commit"),
        ([run("Z")], line("C", cut="commit bbbbbbb is not in this clone"), "the line was cut off: commit bbbbbbb"),
    ],
)
def test_a_first_run_says_why_there_is_no_baseline(entries: list[Entry], where: Lineage, said: str) -> None:
    choice = pick(HEAD, entries, where)
    assert (choice.entry, choice.state) == (None, "first-run")
    assert said in choice.note


ENTRIES = st.builds(
    run,
    st.sampled_from("ABCDHX"),
    st.sampled_from([None, "a", "b", "x"]),
    fork=st.booleans(),
    gate=st.sampled_from([None, "passed", "failed", "undecided"]),
    accepted=st.booleans(),
    withdrawn=st.booleans(),
    status=st.sampled_from(["succeeded", "reused", "failed", "running", "interrupted"]),
    dirty=st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(ENTRIES, max_size=8), st.randoms())
def test_whatever_is_recorded_the_baseline_is_sound_nearest_and_independent_of_order(entries: list[Entry], random: object) -> None:
    choice = pick(HEAD, entries, line("DCBA"))
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pick(HEAD, shuffled, line("DCBA")) == choice
    good = [
        e
        for e in entries
        if not (e.fork or e.dirty or e.withdrawn or e.commit == "H")
        and e.status in ("succeeded", "reused")
        and (e.gate != "failed" or e.accepted)
    ]
    places = [place for place, step in enumerate(line("DCBA").steps) if any(e.tree == step.tree for e in good)]
    if not places:
        assert choice.entry is None
    else:
        assert choice.entry in good
        assert len(choice.behind) == min(places)


def test_only_runs_that_could_be_chosen_make_the_line_long_enough() -> None:
    bad = [run("A", fork=True), run("B", gate="failed"), run("C", status="running"), run("H"), dataclasses.replace(run("D"), key="other")]
    assert baseline.usable(HEAD, [*bad, run("E"), run("F", "x", gate="failed", accepted=True)]) == {"E", "e", "F", "x"}


def test_a_run_is_named_by_its_id_or_the_beginning_of_it() -> None:
    one, two = dataclasses.replace(run("A"), id="20261124-101500-aaaaaa"), dataclasses.replace(run("B"), id="20261124-101500-bbbbbb")
    assert baseline.named("20261124-101500-a", [one, two]) == one
    assert baseline.named("a1b2c3d", [one, two]) is None
    assert baseline.named("main", [one, two]) is None
    with pytest.raises(UsageError, match="2 runs begin with 20261124-1015") as ambiguous:
        baseline.named("20261124-1015", [one, two])
    assert ambiguous.value.name == "ambiguous-run"
    with pytest.raises(UsageError) as unknown:
        baseline.named("20251124-101500", [one, two])
    assert unknown.value.name == "unknown-run"


def test_a_run_asked_for_by_name_counts_whatever_its_gate_said_but_not_without_numbers() -> None:
    assert baseline.as_asked(run("A", gate="failed")).state == "ok"
    for changes in ({"status": "running"}, {"metrics": {}}, {"status": "failed"}):
        with pytest.raises(UsageError) as error:
            baseline.as_asked(run("A", **changes))
        assert error.value.name == "run-not-usable"
