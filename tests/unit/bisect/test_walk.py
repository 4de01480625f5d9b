"""Which runs a walk visits, and what lies between two of them."""

from __future__ import annotations

from typing import Any

from mlops_toolkit.bisect import walk
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Step

STEPS = tuple(
    Step(f"{k:040x}", f"{k + 100:040x}", subject) for k, subject in ((4, "Newest"), (3, "Third (#9)"), (2, "Second"), (1, "First"))
)


def entry(number: int, of: int, **more: Any) -> Entry:
    known = {"key": "k", "commit": f"{of:040x}", "tree": f"{of + 100:040x}", "status": "succeeded", "metrics": {"accuracy": 0.9}}
    return Entry(f"20261101-00000{number}-aaaaaa", **{**known, "started": "", **more})


def ids(made: walk.Walk) -> list[int]:
    return [int(visit.entry.id[14]) for visit in made.visits]


def test_one_run_a_commit_oldest_first_whatever_its_gate_said() -> None:
    made = walk.walk(STEPS, [entry(1, 1), entry(2, 2, gate="failed"), entry(3, 2, gate="failed", commit="f" * 40), entry(4, 4)], "k")
    assert ids(made) == [1, 2, 4]
    assert made.passed == ()


def test_what_cannot_be_trusted_is_passed_over_by_name() -> None:
    odd = [
        entry(1, 1, withdrawn=True),
        entry(2, 2, fork=True),
        entry(3, 3, dirty=True),
        entry(4, 4, status="running"),
        entry(5, 4, key="other"),
    ]
    made = walk.walk(STEPS, odd, "k")
    assert made.visits == ()
    assert set(dict(made.passed).values()) == {
        "it was withdrawn",
        "it is of a fork",
        "it was made with uncommitted changes",
        "it is still running",
    }


def test_the_examples_that_most_runs_share_are_the_ones() -> None:
    made = walk.walk(STEPS, [entry(k, k) for k in (1, 2, 3, 4)], "k")
    digests = {1: "old", 2: "new", 3: "new", 4: None}
    kept = walk.same_examples(made, lambda visit: digests[int(visit.entry.id[14])])
    assert ids(kept) == [2, 3]
    assert [why for _, why in kept.passed] == ["it was measured on other examples", "its predictions were not kept"]
    tied = walk.same_examples(walk.latest(made, 2), lambda visit: visit.entry.id)
    assert ids(tied) == [4]


def test_the_commits_between_two_visits_are_those_that_may_have_done_it() -> None:
    made = walk.walk(STEPS, [entry(1, 1), entry(4, 4)], "k")
    between = walk.between(STEPS, *made.visits)
    assert [step.subject for step in between] == ["Second", "Third (#9)", "Newest"]
    assert [walk.pull_request(step, None) for step in between] == [None, 9, None]
