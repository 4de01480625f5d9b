"""The first week of a team: what a checkout leaves on the machine, and what is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.engine.events import Event
from tests.world.project import HARMLESS, WORSE
from tests.world.team import JOB, Job, Team

OTHER = 1001  # the uid of a hosted runner's user


def change(acme: Team, wrong: int) -> Event:
    """A pull request whose model gets `wrong` of a thousand rows wrong."""
    acme.project.branch("feature")
    head = acme.project.commit(f"{wrong} wrong", {"src/wrong.txt": f"{wrong}\n"})
    return acme.pull_request(7, head, "feature")


def judged(acme: Team, event: Event, **options: object) -> None:
    """The change is compared with main, recorded and said."""
    job = acme.reviewed(event, code=1, **options)
    assert job.report["verdict"] == "fail"
    assert job.report["baseline"]["commit"] == acme.project.git("rev-parse", "main")
    assert acme.index()[-1]["i"] == job.record["id"]
    assert acme.github.bodies(7)[0].count("❌") >= 1
    assert acme.status(event.payload["pull_request"]["head"]["sha"]) == {"mlops/spam-filter": "failure"}


def test_one_commit_deep_is_enough_on_a_pull_request_and_on_a_push(acme: Team) -> None:
    """checkout's default: the test merge without its parents; and main's tip without the commit before it."""
    judged(acme, change(acme, WORSE))
    acme.project.git("checkout", "-q", "main")
    acme.project.commit("no change to the model", {"README.md": "x\n"})
    pushed = acme.reviewed(acme.push())
    assert pushed.git("rev-list", "--count", "HEAD") == "1"
    assert pushed.report["baseline"]["commit"] == acme.project.git("rev-parse", "main^")


def test_a_whole_clone_says_the_same(acme: Team) -> None:
    judged(acme, change(acme, WORSE), depth=0)


@pytest.mark.parametrize("partial", ["blob:none", "tree:0"])
def test_of_a_clone_without_old_files_the_base_branch_s_gate_still_counts(acme: Team, partial: str) -> None:
    """`filter: blob:none` at actions/checkout: all commits are there, and the files of none but the one checked out."""
    acme.project.branch("feature")
    gate = (acme.project.root / "mlops.yaml").read_text().replace("max-drop: 1pp", "max-drop: 9pp")
    head = acme.project.commit("looser, and worse", {"src/wrong.txt": f"{WORSE}\n", "mlops.yaml": gate})
    job = acme.job(acme.pull_request(7, head, "feature"), depth=0, partial=partial)
    done = job.step("review", code=1)
    assert "gate loosened: accuracy 1pp → 9pp" in done.out
    assert job.report["baseline"]["state"] == "ok"


@pytest.mark.parametrize("how", ["local", "file"])
@pytest.mark.parametrize("credentials", ["", "ghs_longExpired"], ids=["the job's", "a wrong one"])
def test_credentials_that_the_checkout_left_behind_do_not_meet_ours(acme: Team, how: str, credentials: str) -> None:
    """As versions before 6 leave them (the clone's configuration) and as later ones do (a file it includes): ours alone are sent."""
    event = change(acme, WORSE)
    job = acme.job(event, persist=how, credentials=credentials)
    before = (job.root / ".git" / "config").read_bytes()
    begun = len(acme.git_server.calls)
    job.step("review", code=1)
    assert {len(headers) for headers in acme.git_server.authorizations[begun:]} == {1}
    assert {call.status for call in acme.git_server.calls[begun:]} == {200}
    assert acme.index()[-1]["i"] == job.record["id"]
    assert (job.root / ".git" / "config").read_bytes() == before


def test_no_token_anywhere_is_an_error_that_says_what_is_missing(acme: Team) -> None:
    """`token: ""` and nothing persisted: of a private repository the history cannot be read, and nothing passes."""
    job = acme.job(change(acme, WORSE))
    done = job.step("review", code=4, token="", env={"GITHUB_TOKEN": ""})
    assert job.report["error"]["name"] == "history-unreadable"
    assert "credentials" in done.err


def test_a_repository_in_a_folder_of_the_workspace_is_found_by_its_configuration(acme: Team) -> None:
    """`path: code` at actions/checkout: the step starts in the workspace, which is no repository."""
    event = change(acme, WORSE)
    job = acme.job(event, inside="code")
    job.step("review", code=1, config="code/mlops.yaml")
    assert job.report["baseline"]["commit"] == acme.project.git("rev-parse", "main")
    assert {run["k"] for run in acme.index()} == {"mlops.yaml|spam-filter|"}
    assert not (job.workspace / ".mlops").exists()


def test_two_repositories_side_by_side_are_told_apart(acme: Team) -> None:
    """The code in one folder, another repository's files in the next: the configuration's is the one that is judged."""
    job = acme.job(change(acme, WORSE), inside="code")
    other = job.workspace / "tools"
    subprocess.run(["git", "init", "-q", other], check=True)
    job.step("review", code=1, config="code/mlops.yaml")
    assert job.report["head"]["commit"] == job.event.payload["pull_request"]["head"]["sha"]
    assert not (other / ".mlops").exists()


def test_in_such_a_folder_the_plain_name_of_a_configuration_says_where_it_is(acme: Team) -> None:
    job = acme.job(change(acme, WORSE), inside="code")
    done = job.step("review", code=4)
    assert "config: code/mlops.yaml" in done.err


def become(job: Job, uid: int) -> None:
    """From now on the job is another user's, who may read what it needs wherever it lies (this Python), and write only where it is let."""
    caps = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    job.start = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *caps)
    job.env["HOME"] = str(job.folder)
    for above in job.folder.parents:
        if above.stat().st_uid == os.getuid() and above not in Path(tempfile.gettempdir()).parents:
            above.chmod(above.stat().st_mode | 0o011)  # git asks with access(2), which knows of no capability
    able = subprocess.run([*job.start, "true"], capture_output=True, text=True)
    if able.returncode != 0:
        pytest.skip(f"this machine lets nobody become another user: {able.stderr.strip()}")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("who", ["root", "nobody's"])
def test_a_container_job_with_another_user_than_the_checkout_s(acme: Team, who: str) -> None:
    """The runner checks out as its own user; the container's is another, and git calls the folder dubious."""
    job = acme.job(change(acme, WORSE))
    subprocess.run(["chown", "-R", f"{OTHER}:{OTHER}", job.workspace], check=True)
    if who != "root":
        subprocess.run(["chmod", "-R", "a+rwX", job.folder, acme.folder / "home"], check=True)
        become(job, 1234)
    dubious = subprocess.run(
        [*job.start, "git", "-C", job.root, "status"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert "dubious ownership" in dubious.stderr
    job.step("review", code=1)
    assert job.report["baseline"]["commit"] == acme.project.git("rev-parse", "main")
    assert acme.index()[-1]["c"] == job.event.payload["pull_request"]["head"]["sha"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_self_hosted_runner_after_a_container_s_root_left_its_files(acme: Team) -> None:
    """What root wrote in .mlops stands there still: the next run, as the runner's user, says what it may not write and how to mend it."""
    first = acme.job(change(acme, WORSE))
    first.step("review", code=1)
    subprocess.run(["chown", "-R", f"{OTHER}:{OTHER}", first.workspace], check=True)
    subprocess.run(["chown", "-R", "0:0", first.state], check=True)
    subprocess.run(["chmod", "a+rwX", first.folder, *first.folder.iterdir()], check=True)
    become(first, OTHER)
    done = first.step("review", code=4)
    assert ".mlops" in done.err
    assert "Permission denied" in done.err


def test_a_job_without_git_metadata_does_not_pass_as_a_first_run(acme: Team) -> None:
    """An archive instead of a clone (checkout without git on the machine): there is no commit, so nothing is proven."""
    job = acme.job(change(acme, WORSE))
    shutil.rmtree(job.root / ".git")
    job.step("review", code=4)
    assert job.report["error"]["name"] == "no-repository"


def test_a_harmless_change_passes_with_whatever_was_persisted(acme: Team) -> None:
    job = acme.reviewed(change(acme, HARMLESS), persist="local", credentials=JOB)
    assert job.report["gate"] == "passed"
