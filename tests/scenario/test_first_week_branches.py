"""The first week of a team: branches that move, have odd names, are written by two at once, or may not be written at all."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from tests.world.project import HARMLESS, WORSE
from tests.world.team import READER, Job, Team

HOSTILE = "x/$(touch${IFS}PWNED)`touch${IFS}PWNED`;'\"<img/src=x>|@octocat/team<!--mlops-->${{github.token}}&%0A"
RULE = """#!/bin/sh
while read old new ref; do
  if [ "$ref" = refs/heads/mlops-history ]; then
    echo "error: GH013: Repository rule violations found for $ref." >&2
    echo "Review all repository rules at https://github.com/acme/models/rules?ref=refs%2Fheads%2Fmlops-history" >&2
    echo >&2
    echo "- Changes must be made through a pull request." >&2
    exit 1
  fi
done
"""


def wrong(acme: Team, number: int, *, branch: str, at: str = "main") -> str:
    """A commit on a branch (made where it is not there) whose model gets so many of a thousand rows wrong."""
    acme.project.branch(branch, at)
    return acme.project.commit(f"{number} wrong", {"src/wrong.txt": f"{number}\n"})


def test_a_pull_request_that_was_retargeted_is_compared_with_its_new_base(acme: Team) -> None:
    """Against main it fails; the release branch, for which it is meant, is as wrong, and there it passes."""
    wrong(acme, WORSE - 1, branch="release/1.x")
    acme.reviewed(acme.push("release/1.x"), code=1)
    head = wrong(acme, WORSE, branch="feature", at="release/1.x")
    first = acme.reviewed(acme.pull_request(7, head, "feature"), code=1)
    assert first.report["baseline"]["label"] == "main"
    second = acme.reviewed(acme.pull_request(7, head, "feature", base="release/1.x"), code=None)
    assert second.report["baseline"]["label"] == "release/1.x"
    # its own gate failed when it was pushed, so the line is followed to the run behind it, and that is said
    assert second.report["baseline"]["commit"] == acme.project.git("rev-parse", "main")
    assert "its gate failed" in second.report["baseline"]["note"]
    [body] = acme.github.bodies(7)
    assert "release/1\\.x" in body or "release/1.x" in body


def test_retargeted_to_a_branch_with_a_good_run_of_its_own(acme: Team) -> None:
    tip = wrong(acme, HARMLESS, branch="release")
    acme.reviewed(acme.push("release"))
    head = wrong(acme, HARMLESS, branch="feature", at="main")
    assert acme.reviewed(acme.pull_request(7, head, "feature")).report["baseline"]["commit"] == acme.project.git("rev-parse", "main")
    acme.project.branch("feature", "release")
    head = acme.project.commit("rebased", {"README.md": "x\n"}, push=False)
    second = acme.reviewed(acme.pull_request(7, head, "feature", base="release"))
    assert second.report["baseline"]["commit"] == tip
    assert len(acme.github.bodies(7)) == 1


@pytest.mark.parametrize("merged", [True, False], ids=["the test merge", "the head"])
def test_a_base_that_was_force_pushed_is_taken_as_it_is_now(acme: Team, merged: bool) -> None:
    """The commit that the branch was made from is on main no longer, and gone from the forge; its run may not be the baseline."""
    root = acme.project.git("rev-parse", "main")
    gone = wrong(acme, HARMLESS, branch="main")
    acme.reviewed(acme.push())
    head = wrong(acme, WORSE, branch="feature", at=gone)
    acme.project.git("checkout", "-q", "-B", "main", root)
    acme.project.commit("another history", {"README.md": "anew\n"}, push=False)
    acme.project.git("push", "-q", "-f", "origin", "main")
    now = acme.reviewed(acme.push()).event.sha
    event = acme.pull_request(7, head, "feature")
    job = acme.reviewed(event, code=1, ref="" if merged else head)
    assert job.report["baseline"]["commit"] == (now if merged else root)
    assert gone not in str(job.report["baseline"])


def test_a_base_with_nothing_recorded_after_the_force_push_is_a_first_run_that_says_so(acme: Team) -> None:
    acme.project.git("checkout", "-q", "--orphan", "fresh")
    acme.project.commit("all anew", {"README.md": "anew\n"}, push=False)
    acme.project.git("branch", "-f", "main", "fresh")
    acme.project.git("push", "-q", "-f", "origin", "main")
    head = wrong(acme, WORSE, branch="feature")
    job = acme.reviewed(acme.pull_request(7, head, "feature"))
    assert (job.report["verdict"], job.report["baseline"]["state"]) == ("ungated", "first-run")


def test_two_pushes_to_main_at_once_are_both_recorded(acme: Team) -> None:
    """Two machines, one after the other in git, at the same time in CI."""
    jobs = []
    for number in (HARMLESS, HARMLESS + 1):
        wrong(acme, number, branch="main", at="main")
        jobs.append(acme.job(acme.push()))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda job: job.step("review"), jobs))
    recorded = {run["i"]: run for run in acme.index()}
    assert {job.record["id"] for job in jobs} < set(recorded)
    assert len(recorded) == 3
    for job in jobs:
        assert job.report["gate"] == "passed"
        assert acme.status(job.event.sha) == {"mlops/spam-filter": "success"}
    later = acme.reviewed(acme.push())
    assert later.report["baseline"]["commit"] == jobs[0].event.sha


@pytest.mark.parametrize("kind", ["pull request", "push"])
def test_a_branch_with_a_hostile_name_is_only_a_name(acme: Team, kind: str) -> None:
    head = wrong(acme, WORSE, branch=HOSTILE)
    event = acme.pull_request(7, head, HOSTILE) if kind == "pull request" else acme.push(HOSTILE)
    job = acme.job(event)
    done = job.step("review", code=1)
    assert not list(acme.folder.rglob("PWNED"))
    assert acme.index()[-1]["b"] == HOSTILE
    for text in (*acme.github.bodies(7), done.summary, acme.history("show", "mlops-history:README.md")):
        assert "@octocat/team" not in text
        assert "<img/" not in cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    env = {**job.environment("report", {}), "GITHUB_TOKEN": job.token}
    listed = subprocess.run([sys.executable, "-m", "mlops_toolkit", "history", "list"], cwd=job.root, env=env, capture_output=True)
    assert listed.returncode == 0, listed.stderr


def refuse(acme: Team) -> Path:
    """A branch rule of the forge for all branches but main; gives back what to remove to lift it."""
    hook = acme.project.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(RULE)
    hook.chmod(0o755)
    return hook


def machine(acme: Team, job: Job) -> Job:
    """The next workflow run on the same machine, whose workspace was kept."""
    again = acme.job(job.event, checkout=False)
    again.folder.joinpath("workspace").rmdir()
    job.workspace.rename(again.workspace)
    return again


def test_a_rule_that_refuses_our_branch_costs_the_record_only_until_it_is_lifted(acme: Team) -> None:
    hook = refuse(acme)
    head = wrong(acme, WORSE, branch="feature")
    event = acme.pull_request(7, head, "feature")
    job = acme.job(event)
    before = acme.history("rev-parse", "mlops-history")
    done = job.step("review", code=1)
    assert job.report["verdict"] == "fail"
    assert acme.status(head) == {"mlops/spam-filter": "failure"}
    assert len(acme.github.bodies(7)) == 1
    assert acme.history("rev-parse", "mlops-history") == before
    for text in (done.err, done.summary):
        assert "GH013" in text
        assert "mlops-history" in text
        assert "history: {at:" in text  # the way out without the rule's owner
    waiting = job.record["id"]
    assert (job.state / "outbox" / waiting / "run.json").is_file()
    hook.unlink()
    next_one = machine(acme, job)
    next_one.step("review", code=1)
    assert {waiting, next_one.record["id"]} < {run["i"] for run in acme.index()}
    assert not [p for p in (next_one.state / "outbox").iterdir() if not p.name.startswith(".")]


def test_a_token_that_may_only_read_keeps_the_verdict_and_says_which_permission_is_missing(acme: Team) -> None:
    head = wrong(acme, WORSE, branch="feature")
    acme.github.tokens[READER] = acme.github.tokens["ghs_theJobsOwnToken"]  # comments and checks it may write, contents it may not
    job = acme.job(acme.pull_request(7, head, "feature"), token=READER)
    done = job.step("review", code=1)
    assert "contents: write" in done.err
    assert acme.status(head) == {"mlops/spam-filter": "failure"}
