"""A verdict is of the commit that its check stands at, and of the one run that was made of it: other runs that lie about are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.events import Event
from tests.world.project import GOOD, HARMLESS, WORSE
from tests.world.team import Job, Team, team


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Team]:
    with team(tmp_path) as made:
        made.reviewed(made.push())
        made.project.branch("feature")
        yield made


def proposed(acme: Team, wrong: int) -> Event:
    head = acme.project.commit(f"{wrong} wrong", {"src/wrong.txt": f"{wrong}\n"})
    return acme.pull_request(7, head, "feature")


def head_of(event: Event) -> str:
    return str(event.payload["pull_request"]["head"]["sha"])


def made(acme: Team, event: Event, *, run: int | None = None, wrong: int | None = None, attempt: int = 1) -> Job:
    """A job that trained and evaluated, as a matrix job with a value of its own does where `wrong` is given."""
    job = acme.job(event, run=run, attempt=attempt)
    if wrong is not None:
        (job.root / "src/wrong.txt").write_text(f"{wrong}\n")
    job.step("train")
    job.step("evaluate")
    return job


@pytest.mark.parametrize("by", ["path", "id"])
@pytest.mark.parametrize("verb", ["compare", "evaluate"])
def test_a_run_of_an_earlier_push_that_is_named_gives_the_new_head_no_verdict(acme: Team, by: str, verb: str) -> None:
    good = made(acme, proposed(acme, HARMLESS))
    event = proposed(acme, WORSE)
    judge = acme.job(event)
    good.hand_over(judge)
    ended = judge.step(verb, code=2, run=".mlops/run.json" if by == "path" else good.record["id"])
    assert f"is of commit {good.record['commit'][:7]}, not of {head_of(event)[:7]}" in " ".join(ended.err.split())
    assert acme.status(head_of(event)).get("mlops/spam-filter") != "success"


def test_a_named_run_of_this_commit_from_another_ci_run_is_judged(acme: Team) -> None:
    event = proposed(acme, HARMLESS)
    job = made(acme, event)
    judge = acme.job(event)
    job.hand_over(judge)
    judge.step("compare", run=".mlops/run.json")
    assert acme.status(head_of(event)) == {"mlops/spam-filter": "success"}


def test_a_named_record_does_not_say_of_itself_that_it_is_main_s(acme: Team) -> None:
    """It would be the baseline of others: what the CI says of this job counts."""
    event = proposed(acme, HARMLESS)
    job = made(acme, event)
    record = {**job.record, "branch": "main", "event": "push", "pull_request": None}
    (job.state / "run.json").write_text(json.dumps(record))
    job.step("compare", run=".mlops/run.json")
    latest = acme.index()[-1]
    assert (latest["b"], latest["e"], latest["p"]) == ("feature", "pull_request", 7)


def handed(judge: Job, *jobs: Job) -> Job:
    """Each job's artifact in a folder of its own, as actions/download-artifact puts several."""
    for number, job in enumerate(jobs):
        shutil.copytree(job.state / "runs", judge.workspace / "handed" / f"mlops-run-{number}" / "runs")
        shutil.copy(job.state / "run.json", judge.workspace / "handed" / f"mlops-run-{number}")
    return judge


@pytest.mark.parametrize("first", [HARMLESS, WORSE])
def test_of_a_matrix_whose_legs_have_no_name_none_is_passed_over(acme: Team, first: int) -> None:
    event = proposed(acme, GOOD + 2)
    one = made(acme, event, wrong=first)
    two = made(acme, event, run=one.run, wrong=HARMLESS + WORSE - first)
    judge = handed(acme.job(event, run=one.run), one, two)
    ended = judge.step("compare", code=2, run="handed")
    assert "two jobs handed over a run of spam-filter" in ended.err
    assert "matrix: ${{ matrix.NAME }}" in ended.err
    assert acme.status(head_of(event)) == {"mlops/spam-filter": "error"}


def test_of_a_job_that_was_run_again_the_last_attempt_counts(acme: Team) -> None:
    event = proposed(acme, HARMLESS)
    one = made(acme, event, wrong=WORSE)
    two = made(acme, event, run=one.run, attempt=2)
    judge = handed(acme.job(event, run=one.run, attempt=2), one, two)
    judge.step("compare", run="handed")
    assert acme.status(head_of(event)) == {"mlops/spam-filter": "success"}
