"""The first week of a team: a job that is run again, and a prediction that should never have been recorded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.project import CONFIG, EVALUATE, HARMLESS, WORSE
from tests.world.team import JOB, READER, Job, Team, team

QUIET = "comment: {charts: false}\n"
STORE = "models: {store: 'file:'}\n"


def changed(acme: Team, files: dict[str, str], number: int = 7, branch: str = "feature") -> Job:
    """A pull request with these files, checked out and not yet run."""
    acme.project.branch(branch)
    head = acme.project.commit("a change", files)
    return acme.job(acme.pull_request(number, head, branch))


def second_attempt(first: Job, **options: str) -> Job:
    """ "Re-run failed jobs": the same workflow run, a machine of its own, the runner's disk where models are kept."""
    again = first.team.job(first.event, run=first.run, attempt=2, **options)  # type: ignore[arg-type]
    again.env["XDG_DATA_HOME"] = str(first.folder / "data")
    return again


# ── run again ─────────────────────────────────────────────────────────


def test_the_job_that_compares_takes_attempt_one_s_run_from_its_artifact(acme: Team) -> None:
    """The network was gone when it compared; GitHub keeps the other job's artifact, and that job is not run again."""
    trained = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
    trained.step("train")
    trained.step("evaluate")
    first = acme.job(trained.event, run=trained.run)
    trained.hand_over(first)
    acme.git_server.tokens.clear()
    first.step("compare", code=4)
    acme.git_server.tokens.update({JOB: frozenset({"read", "write"}), READER: frozenset({"read"})})
    again = second_attempt(trained)
    trained.hand_over(again)
    again.step("compare", code=1)
    assert again.report["head"]["run"] == trained.record["id"]
    assert again.report["attempt"] == 2
    [body] = acme.github.bodies(7)
    assert "no verdict" not in body
    assert "−6.0 pp" in body


def test_without_the_artifact_it_says_that_nothing_ran(acme: Team) -> None:
    """Its days of keeping are over, say."""
    trained = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
    trained.step("train")
    trained.step("evaluate")
    again = second_attempt(trained)
    again.step("compare", code=2)
    assert again.report["error"]["name"] == "no-run"


def test_a_recorded_run_is_found_in_the_history_by_its_workflow_run(acme: Team) -> None:
    """One job judged it, and a later one of the same workflow run (another attempt) asks again, with nothing handed over."""
    first = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
    first.step("review", code=1)
    again = second_attempt(first)
    again.step("compare", code=1)
    assert again.report["head"]["run"] == first.record["id"]
    assert len([run for run in acme.index() if run["r"] == str(first.run)]) == 1


@pytest.mark.parametrize("cleaned", [False, True], ids=["workspace kept", "workspace cleaned"])
def test_a_second_attempt_of_the_one_job_does_not_train_again(tmp_path: Path, cleaned: bool) -> None:
    """Self-hosted, so that models are kept: the gate failed, and somebody presses "re-run". It is no second try at luck."""
    with team(tmp_path, {"mlops.yaml": CONFIG + QUIET + STORE}) as acme:
        acme.reviewed(acme.push())
        first = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        first.step("review", code=1)
        again = second_attempt(first)
        if not cleaned:
            shutil.copytree(first.root / "model", again.root / "model")
        done = again.step("review", code=1)
        assert "training with" not in done.log
        assert (again.record["status"], again.record["source"]) == ("reused", first.record["id"])
        assert "2nd training" not in acme.github.bodies(7)[0]
        assert again.report["baseline"]["commit"] == acme.project.git("rev-parse", "main")


FLAKY = 'import os\nif not os.path.exists(os.environ["SERVICE"]): raise SystemExit("the service does not answer")\n'


def test_an_evaluation_that_failed_does_not_cost_the_training_on_the_same_machine(tmp_path: Path) -> None:
    """The service that it asks was away; the second attempt finds the model of the first, whose record is on this machine."""
    service = tmp_path / "service"
    with team(tmp_path, {"mlops.yaml": CONFIG + QUIET + STORE, "evaluate.py": FLAKY + EVALUATE.partition('"""\n')[2]}) as acme:
        first = acme.job(acme.push())
        first.env["SERVICE"] = str(service)
        done = first.step("review", code=5)
        assert "the service does not answer" in done.err
        service.touch()
        again = second_attempt(first, checkout=False)  # type: ignore[arg-type]
        shutil.copytree(first.workspace, again.workspace, symlinks=True, dirs_exist_ok=True)
        again.env["SERVICE"] = str(service)
        done = again.step("review")
        assert "training with" not in done.log
        assert again.record["status"] == "reused"


# ── forgotten ─────────────────────────────────────────────────────────

SECRET = "4111-1111-1111-1111"
LEAKED = next(i for i in range(1000) if i * 7919 % 1000 == 50)  # a row that the worse model gets wrong
LEAKING = f"name = {{{LEAKED}: {SECRET!r}}}\n" + EVALUATE.partition('"""\n')[2].replace('f"mail-{i},', 'f"{name.get(i, i)},')


def laptop(job: Job, *arguments: str) -> str:
    """The command line of somebody who may push, in that checkout."""
    env = {**job._machine(), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-m", "mlops_toolkit", *arguments], cwd=job.root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def holding(folder: Path, text: str) -> list[str]:
    """Files below that hold a text (git's own packs apart)."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return [path.relative_to(folder).as_posix() for path in files if text.encode() in path.read_bytes()]


def reachable(acme: Team) -> str:
    """Every path that any commit of the history branch holds."""
    return acme.history("log", "--format=%H", "--name-only", "-r", "--root", "mlops-history")


def test_a_leaked_prediction_is_forgotten_everywhere_we_can_reach(tmp_path: Path) -> None:
    """An id that is a card's number, recorded in plain text by two runs: gone from the branch with all its commits, from this machine's
    copies, caches and reports; and what we cannot reach is named."""
    with team(tmp_path, {"mlops.yaml": CONFIG + QUIET + "history: {ids: plain}\n", "evaluate.py": LEAKING}) as acme:
        main = acme.reviewed(acme.push())
        bad = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        bad.step("review", code=1)
        later = changed(acme, {"src/wrong.txt": f"{HARMLESS}\n", "evaluate.py": EVALUATE}, 8, "other")
        later.step("review", code=None)
        leaked = [main.record["id"], bad.record["id"]]
        assert all(run in reachable(acme) for run in leaked)
        mine = acme.job(bad.event, checkout=False)  # somebody's own clone, with what that review left in it
        shutil.copytree(bad.workspace, mine.workspace, symlinks=True, dirs_exist_ok=True)
        mine.git("remote", "set-url", "origin", acme.project.remote.as_uri())
        assert {"report.json", "report.html"} <= set(holding(mine.state, SECRET))
        told = "".join(laptop(mine, "history", "forget", run) for run in leaked)
        assert "the comment of pull request #7" in told
        assert bad.record["ci"]["url"] in told
        assert holding(mine.state, SECRET) == []
        assert acme.history("rev-list", "--count", "mlops-history") == "1"
        for run in leaked:
            assert run not in reachable(acme)
            assert run not in acme.history("show", "mlops-history:index.jsonl") + acme.history("show", "mlops-history:README.md")
            assert holding(mine.state, run) == []
        assert later.record["id"] in {line["i"] for line in acme.index()}
        after = changed(acme, {"src/wrong.txt": f"{HARMLESS}\n"}, 9, "third")
        after.step("review")
        assert after.report["baseline"]["state"] == "first-run"
        assert not set(leaked) & {line["i"] for line in acme.index()}
