"""`mlops plan` as a workflow's first job runs it: a checkout of one commit, no data, no model, no GPU."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.check import ROOT
from tests.engine.events import Event
from tests.world.github import Token
from tests.world.monorepo import CONFIG, GLOB, NAMES, change, configuration, monorepo, planned
from tests.world.project import EVALUATE, HARMLESS, WORSE
from tests.world.team import JOB, READER, Job, Team, team


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Three models in one repository, recorded on main. Each test has its own pull request; what moves main has its own team."""
    with monorepo(tmp_path_factory.mktemp("acme")) as made:
        made.job(made.push()).within("review", config=GLOB)
        yield made


@pytest.fixture
def cats(tmp_path: Path) -> Iterator[Team]:
    """The same of one model, for one test."""
    with monorepo(tmp_path, names=("cats",)) as made:
        made.job(made.push()).within("review", config=GLOB)
        yield made


NUMBERS = itertools.count(10)


def proposed(acme: Team, files: dict[str, str], **options: Any) -> Event:
    """A pull request of its own."""
    number = next(NUMBERS)
    return change(acme, files, number=number, branch=f"feature-{number}", **options)


def number_of(event: Event) -> int:
    return int(event.payload["number"])


def pending(acme: Team, event: Event) -> dict[str, str]:
    pull = event.payload.get("pull_request")
    return acme.status(pull["head"]["sha"] if pull else event.sha)


def test_of_three_models_the_one_that_was_touched_runs(acme: Team) -> None:
    event = proposed(acme, {"models/dogs/src/wrong.txt": f"{HARMLESS}\n", "README.md": "dogs\n"})
    step = acme.job(event).within("plan", config=GLOB)
    assert list(planned(step)) == ["dogs"]
    assert planned(step)["dogs"]["config"] == "models/dogs/mlops.yaml"
    assert step.outputs["head"] == event.payload["pull_request"]["head"]["sha"]
    assert "cats: unchanged since run" in step.out
    assert "(main " in step.out
    assert pending(acme, event) == {"mlops/dogs": "pending"}


def test_the_plan_is_one_document(acme: Team) -> None:
    job = acme.job(proposed(acme, {"models/cats/train.py": "raise SystemExit(1)\n"}))
    environment = job.environment("plan", {"config": GLOB})
    done = subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", "plan", "--json"],
        cwd=job.workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert (document["schema"], [m["name"] for m in document["models"]]) == (1, list(NAMES))
    jsonschema.validate(document, json.loads((ROOT / "schema" / "plan.schema.json").read_text()))
    assert {m["name"]: m["decision"] for m in document["models"]} == {"birds": "recorded", "cats": "run", "dogs": "recorded"}
    assert len({m["id"] for m in document["models"]}) == 3
    assert all(m["run"] for m in document["models"] if m["decision"] == "recorded")


def test_documentation_alone_starts_nothing_and_is_judged_without_a_run(acme: Team) -> None:
    event = proposed(acme, {"docs/cats.md": "They purr.\n", "models/cats/README.md": "See docs.\n"})
    step = acme.job(event).within("plan", config=GLOB)
    assert step.outputs["models"] == "[]"
    assert pending(acme, event) == {}
    judge = acme.job(event)
    judge.within("compare", config=GLOB, run="runs")
    assert pending(acme, event) == dict.fromkeys((f"mlops/{name}" for name in NAMES), "success")
    (comment,) = acme.github.bodies(number_of(event))
    assert comment.count("✅") >= 3
    assert comment.count("nothing was trained or evaluated: ") == 3
    of_the_pull_request = [line for line in acme.index() if line.get("p") == number_of(event)]
    assert [line["s"] for line in of_the_pull_request] == ["reused"] * 3


def merged(acme: Team, event: Event, *how: str) -> Event:
    """The pull request's branch merged into main, and pushed."""
    acme.project.git("checkout", "-q", "main")
    acme.project.git("merge", "-q", *how, event.payload["pull_request"]["head"]["ref"])
    if "--squash" in how:
        acme.project.commit("merged", {})
    acme.project.git("push", "-q", "origin", "main")
    return acme.push()


def test_what_was_reused_is_a_whole_record_that_answers_for_the_next_one(cats: Team) -> None:
    """Its predictions are those of the history, hashed once: a worse model is still told from it, example by example."""
    acme = cats
    pushed = merged(acme, proposed(acme, {"docs/a.md": "a\n"}), "--ff-only")
    assert acme.job(pushed).within("plan", config=GLOB).outputs["models"] == "[]"
    acme.job(pushed).within("compare", config=GLOB)
    newest = acme.index()[-1]
    assert newest["s"] == "reused"
    files = acme.history("ls-tree", "-r", "--name-only", "mlops-history", f"runs/{newest['i'][:4]}-{newest['i'][4:6]}/{newest['i']}/")
    assert files.count("predictions/main.hashed.parquet") == 1
    job = acme.job(proposed(acme, {"models/cats/src/wrong.txt": f"{WORSE}\n"}))
    job.within("review", config=GLOB, code=1)
    report = json.loads((job.root / "models/cats/.mlops/report.json").read_text())
    assert report["examples"]["broken_total"] == 120
    assert report["checks"][0]["n"] == 2000


def test_a_squash_merge_is_planned_as_recorded(cats: Team) -> None:
    event = proposed(cats, {"models/cats/src/wrong.txt": f"{HARMLESS}\n"})
    cats.job(event).within("review", config=GLOB)
    step = cats.job(merged(cats, event, "--squash")).within("plan", config=GLOB)
    assert step.outputs["models"] == "[]"
    assert "cats: unchanged since run" in step.out
    assert "(feature-" in step.out


DATA = CONFIG.replace("inputs: [src/, train.py]", "inputs: [src/, train.py]\n  data: [untracked/train.csv]")


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Team]:
    """A model whose training data lies on the training machine alone; recorded on main."""
    with team(tmp_path, {"mlops.yaml": configuration("spam-filter", DATA), ".gitignore": "model/\nuntracked/\n"}) as made:
        reviewed(made, made.push())
        yield made


def reviewed(acme: Team, event: Event, data: str = "1,2\n") -> Job:
    job = acme.job(event)
    (job.root / "untracked").mkdir()
    (job.root / "untracked" / "train.csv").write_text(data)
    job.within("review")
    return job


def test_data_that_is_not_here_was_not_touched_by_a_pull_request_that_touches_nothing(apart: Team) -> None:
    event = change(apart, {"README.md": "words\n"})
    step = apart.job(event).within("plan")
    assert step.outputs["models"] == "[]"
    assert "spam-filter: untouched since run" in step.out
    assert '"untracked/train.csv" is not there' in step.out
    judge = apart.job(event)
    judge.within("compare")
    assert pending(apart, event) == {"mlops/spam-filter": "success"}
    assert (
        judge.record["fingerprints"]["train"]
        == json.loads(apart.history("show", f"mlops-history:{record_of(apart, 0)}"))["fingerprints"]["train"]
    )
    # Its own last run answers for its next push, as the baseline did for it.
    again = change(apart, {"README.md": "other words\n"}, branch="feature-2")
    assert "untouched since" in apart.job(again).within("plan").out


def record_of(acme: Team, number: int) -> str:
    run = acme.index()[number]["i"]
    return f"runs/{run[:4]}-{run[4:6]}/{run}/run.json"


def test_code_that_changed_runs_though_the_data_is_not_here(apart: Team) -> None:
    step = apart.job(change(apart, {"src/wrong.txt": f"{HARMLESS}\n"})).within("plan")
    assert "spam-filter" in planned(step)
    judge = apart.job(change(apart, {"src/wrong.txt": f"{HARMLESS}\n"}, number=8, branch="other"))
    assert "there is no run of this checkout" in judge.within("compare", code=2).err


def test_on_main_whether_new_data_is_there_cannot_be_told(apart: Team) -> None:
    apart.project.git("checkout", "-q", "main")
    apart.project.commit("words", {"README.md": "words\n"})
    step = apart.job(apart.push()).within("plan")
    assert "cannot be told here" in planned(step)["spam-filter"]["reason"]


def test_in_the_merge_queue_what_the_pull_request_ran_answers(apart: Team) -> None:
    event = change(apart, {"src/wrong.txt": f"{HARMLESS}\n"})
    reviewed(apart, event)
    queued = apart.queue(7, event.payload["pull_request"]["head"]["sha"])
    step = apart.job(queued).within("plan")
    assert step.outputs["models"] == "[]", step.out
    apart.job(queued).within("compare")
    assert apart.status(queued.sha) == {"mlops/spam-filter": "success"}


def test_a_schedule_that_declares_no_data_always_runs(acme: Team) -> None:
    acme.project.git("checkout", "-q", "main")
    step = acme.job(acme.schedule()).within("plan", config=GLOB)
    assert sorted(planned(step)) == list(NAMES)
    assert "a schedule looks for new data" in planned(step)["cats"]["reason"]


def test_a_slice_of_a_column_that_was_not_kept_runs_again(tmp_path: Path) -> None:
    """The gate is in no fingerprint; what it needs of the predictions has to be there all the same."""
    narrow = CONFIG.replace("  slices: [language]\n", "")
    with monorepo(tmp_path, names=("cats",), config=narrow) as acme:
        acme.job(acme.push()).within("review", config=GLOB)
        _sliced(acme, narrow)


def _sliced(acme: Team, narrow: str) -> None:
    event = proposed(acme, {"models/cats/mlops.yaml": configuration("cats")})
    step = acme.job(event).within("plan", config=GLOB)
    assert list(planned(step)) == ["cats"]
    assert "kept without the column language" in planned(step)["cats"]["reason"]
    gate = proposed(acme, {"models/cats/mlops.yaml": configuration("cats", narrow.replace("max-drop: 1pp", "max-drop: 0.5pp"))})
    assert acme.job(gate).within("plan", config=GLOB).outputs["models"] == "[]"


def test_a_withdrawn_run_answers_for_none(cats: Team) -> None:
    acme = cats
    event = proposed(acme, {"README.md": "x\n"})
    (line,) = acme.index()
    job = acme.job(event)
    place = ["--config", "models/cats/mlops.yaml"]
    command = [sys.executable, "-m", "mlops_toolkit", "history", *place, "withdraw", line["i"], "--reason", "wrong labels"]
    subprocess.run(command, cwd=job.workspace, env={**job.environment("plan", {}), "MLOPS_TOKEN": JOB}, check=True, capture_output=True)
    step = acme.job(event).within("plan", config=GLOB)
    assert list(planned(step)) == ["cats"]
    assert "was withdrawn" in planned(step)["cats"]["reason"]


def test_a_fork_is_planned_with_a_token_that_only_reads(acme: Team) -> None:
    event = proposed(acme, {"models/dogs/src/wrong.txt": f"{WORSE}\n"}, fork=True)
    step = acme.job(event, token=READER).within("plan", config=GLOB)
    assert list(planned(step)) == ["dogs"]
    assert pending(acme, event) == {}


def test_a_check_that_cannot_be_set_is_said_and_the_plan_stands(acme: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(acme.github.tokens, JOB, Token(may=frozenset()))
    event = proposed(acme, {"models/dogs/src/wrong.txt": f"{WORSE}\n"})
    step = acme.job(event).within("plan", config=GLOB)
    assert list(planned(step)) == ["dogs"]
    assert "statuses: write" in step.err


def test_one_broken_configuration_does_not_keep_the_others_from_running(acme: Team) -> None:
    event = proposed(acme, {"models/cats/mlops.yaml": "name: cats\ntrain: [\n", "models/dogs/src/wrong.txt": f"{HARMLESS}\n"})
    step = acme.job(event).within("plan", config=GLOB)
    assert list(planned(step)) == ["dogs"]
    assert "models/cats/mlops.yaml" in step.err


def test_a_history_that_cannot_be_read_fails_the_plan(acme: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning everything would look like a slow day; planning nothing like a pass."""
    event = proposed(acme, {"README.md": "x\n"})
    job = acme.job(event)
    monkeypatch.setattr(acme.git_server, "tokens", {})
    step = job.within("plan", code=4, config=GLOB)
    assert step.outputs["models"] == "[]"


def test_a_laptop_is_told_the_same(acme: Team) -> None:
    """`mlops plan` without a CI: nothing is set, nothing is put out."""

    acme.project.git("checkout", "-q", "main")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MLOPS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", "plan", "--config", GLOB],
        cwd=acme.project.root,
        env={**env, "HOME": str(acme.folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("unchanged since run") == 3, done.stdout + done.stderr


def allow(acme: Team, *logins: str) -> None:
    for login in logins:
        acme.github.people[login] = "write"


def test_a_maintainers_comment_lets_the_head_run_that_is_there_now(acme: Team) -> None:
    event = proposed(acme, {"models/dogs/src/wrong.txt": f"{WORSE}\n"}, fork=True)
    head = event.payload["pull_request"]["head"]["sha"]
    allow(acme, "maintainer")
    acme.project.git("checkout", "-q", "main")
    step = acme.job(acme.commented(number_of(event), f"/evaluate {head}", by="maintainer")).within("plan", config=GLOB)
    assert sorted(planned(step)) == list(NAMES)
    assert step.outputs["head"] == head
    assert acme.status(head) == dict.fromkeys((f"mlops/{name}" for name in NAMES), "pending")


@pytest.mark.parametrize(("text", "by"), [("/evaluate", "stranger"), ("nice work", "maintainer"), ("/evaluate 1234567", "maintainer")])
def test_anybody_or_anything_else_runs_nothing(acme: Team, text: str, by: str) -> None:
    event = proposed(acme, {"models/dogs/src/wrong.txt": f"{WORSE}\n"}, fork=True)
    allow(acme, "maintainer")
    acme.project.git("checkout", "-q", "main")
    step = acme.job(acme.commented(number_of(event), text, by=by)).within("plan", config=GLOB)
    assert (step.outputs["models"], step.outputs["head"]) == ("[]", "")
    assert "::notice" in step.log
    assert acme.status(event.payload["pull_request"]["head"]["sha"]) == {}


def test_inputs_that_nobody_named_are_said_to_be_all_files(tmp_path: Path) -> None:
    everything = CONFIG.replace("  inputs: [evaluate.py]\n", "")
    with monorepo(tmp_path, names=("cats", "dogs"), config=everything) as acme:
        acme.job(acme.push()).within("review", config=GLOB)
        step = acme.job(change(acme, {"models/dogs/src/wrong.txt": f"{HARMLESS}\n"})).within("plan", config=GLOB)
        assert sorted(planned(step)) == ["cats", "dogs"]
        assert "evaluate.inputs is not set" in planned(step)["cats"]["reason"]


def test_a_changed_evaluation_runs_again_where_the_baseline_has_to_answer_anew(cats: Team) -> None:
    """A second push of documentation on top of it is equal to the first run; what main's model answers to the new questions is with no run."""
    event = proposed(cats, {"models/cats/evaluate.py": EVALUATE + "# asked otherwise\n"})
    cats.job(event).within("review", config=GLOB)
    branch = event.payload["pull_request"]["head"]["ref"]
    cats.project.git("checkout", "-q", branch)
    head = cats.project.commit("words", {"README.md": "words\n"})
    step = cats.job(cats.pull_request(number_of(event), head, branch)).within("plan", config=GLOB)
    assert "the baseline has to be evaluated again: models/cats/evaluate.py changed" in planned(step)["cats"]["reason"]


def test_code_alone_that_changed_is_answered_for_by_the_pull_requests_own_run(cats: Team) -> None:
    event = proposed(cats, {"models/cats/src/wrong.txt": f"{HARMLESS}\n"})
    cats.job(event).within("review", config=GLOB)
    branch = event.payload["pull_request"]["head"]["ref"]
    cats.project.git("checkout", "-q", branch)
    head = cats.project.commit("words", {"README.md": "words\n"})
    second = cats.pull_request(number_of(event), head, branch)
    step = cats.job(second).within("plan", config=GLOB)
    assert step.outputs["models"] == "[]", step.out
    cats.job(second).within("compare", config=GLOB)
    (comment,) = cats.github.bodies(number_of(event))
    assert "accuracy −0.10" in comment
    assert f"({branch} " in comment
