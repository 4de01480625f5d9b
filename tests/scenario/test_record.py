"""`mlops record` with the real command line, git and HTTP: what it keeps, what it refuses, and how its run comes to the others."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_toolkit.config import pointer
from tests.check import ROOT
from tests.scenario.recording import LOCK, REPORTED, Team, at_work, on_main, rows, weights


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with at_work(tmp_path) as made:
        yield made


def test_everything_wrong_in_a_pointer_is_said_at_once(team: Team) -> None:
    (team.laptop.root / "models").mkdir()
    (team.laptop.root / LOCK).write_text("uri: ftp://host/m\nrun: yesterday\ntried: 0\ncolour: red\n")
    said = team.laptop.mlops("evaluate", code=2).stderr
    for place in (f"{LOCK}:1: uri", f"{LOCK}:2: run", f"{LOCK}:3: tried", f"{LOCK}:4: there is no key"):
        assert place in said
    assert f"{LOCK}:2" in team.laptop.mlops("validate", code=2).stderr
    assert f"{LOCK}:" in team.laptop.mlops("doctor", code=2).stdout


def test_without_a_pointer_the_command_that_writes_it_is_named(team: Team) -> None:
    assert "mlops record URI --predictions FILE" in team.laptop.mlops("review", code=2).stderr
    assert "mlops record URI" in team.laptop.mlops("doctor", code=2).stdout
    assert "mlops record URI" in team.laptop.mlops("validate").stdout


def test_without_the_key_the_two_lines_to_paste_are_shown_and_they_work(team: Team) -> None:
    team.configure(REPORTED.replace("model: models/spam.lock\n", ""))
    (team.laptop.root / "mlops.yaml").write_text(
        REPORTED.replace("model: models/spam.lock\n", "").replace("evaluate: {", "evaluate: {run: 'true', ")
    )
    said = team.record(weights(team, 100), 100, code=2).stderr
    pasted = next(line.strip() for line in said.splitlines() if line.strip().startswith("model: "))
    team.configure(REPORTED.replace("model: models/spam.lock", pasted))
    team.record(weights(team, 100), 100)
    assert pointer.loads((team.laptop.root / "models/spam-filter.lock").read_bytes(), where=LOCK).metrics == {"accuracy": 0.95}


def test_a_cluster_in_a_ci_records_and_its_run_is_there_at_once(team: Team) -> None:
    answers = team.folder / "answers.csv"
    answers.write_text(rows(100))
    ci = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_RUN_ID": "5",
        "GITHUB_REF_NAME": "main",
        "GITHUB_API_URL": "http://127.0.0.1:9",
    }
    team.laptop.mlops("record", weights(team, 100), "--predictions", str(answers), **ci)
    team.laptop.commit("A pointer")
    team.laptop.git("push", "-q", "origin", "HEAD:main")
    assert team.ci().report["checks"][0]["head"] == 0.95


def test_where_the_history_cannot_be_written_the_week_was_not_in_vain(team: Team) -> None:
    """The run is on this machine, the pointer written, the exit code says that nobody else has it; the next one sends it."""
    origin = team.laptop.git("remote", "get-url", "origin")
    hooks = Path(origin) / "hooks" / "pre-receive"
    hooks.write_text("#!/bin/sh\nexit 1\n")
    hooks.chmod(0o755)
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_RUN_ID": "5", "GITHUB_REF_NAME": "main"}
    done = team.record("vendor:a", 100, code=4, GITHUB_API_URL="http://127.0.0.1:9", **ci)
    assert "`mlops history push` from here" in done.stderr
    assert team.pointer.metrics == {"accuracy": 0.95}
    hooks.unlink()
    team.push("A pointer")
    result = team.ci().report
    assert (result["checks"][0]["head"], result["checks"][0]["n"]) == (0.95, 2000)


def test_a_laptop_writes_to_the_remote_only_when_told(team: Team) -> None:
    said = team.record(weights(team, 100), 100).stderr
    assert "mlops history push" in said
    assert team.laptop.git("ls-remote", "origin", "mlops-history") == ""
    team.laptop.commit("A pointer")
    team.laptop.git("push", "-q", "origin", "HEAD:main")
    assert team.ci(code=2).report["error"]["name"] == "not-recorded"
    team.laptop.mlops("history", "push")
    assert team.ci().report["checks"][0]["head"] == 0.95


def test_recorded_offline_it_says_that_its_predictions_may_have_to_be_recorded_again(team: Team) -> None:
    """Ids are hashed by the history's own salt, which a node without a network cannot read: never sent hashed by two."""
    on_main(team)
    team.laptop.git("switch", "-q", "-c", "next")
    origin = team.laptop.git("remote", "get-url", "origin")
    team.laptop.git("remote", "set-url", "origin", "file:///nowhere.git")
    subprocess.run(["rm", "-rf", str(team.laptop.root / ".mlops")], check=True)
    assert "record again where that can be read" in team.record(weights(team, 200, "200.json"), 200).stderr
    team.laptop.git("remote", "set-url", "origin", origin)
    team.push("Recorded offline", "next")
    result = team.ci(branch="next", code=None).report
    assert (result["checks"][0]["baseline"], result["checks"][0]["head"]) == (0.95, 0.9)
    team.record(weights(team, 200, "200.json"), 200)
    team.push("Recorded again", "next")
    assert team.ci(branch="next", code=1).report["checks"][0]["n"] == 2000


def test_who_recorded_it_is_nowhere(team: Team) -> None:
    import socket

    (team.folder / "m.json").write_text("{}")
    team.record(str(team.folder / "m.json"), 100, USER="ada", LOGNAME="ada")
    text = (team.laptop.root / LOCK).read_text()
    assert not any(word in text for word in ("ada", "Ada", "laptop", str(team.folder), socket.gethostname()))


def test_metrics_alone_are_recorded_where_there_are_no_predictions(team: Team) -> None:
    (team.folder / "metrics.json").write_text('{"accuracy": 0.93, "notes": "fine"}')
    team.record("vendor:acme/chat-4", None, "--metrics", str(team.folder / "metrics.json"))
    team.push("Numbers")
    result = team.ci().report
    assert (result["checks"][0]["head"], result["head"]["self-reported"]) == (0.93, True)


def test_there_is_nothing_to_train_and_train_says_so(team: Team) -> None:
    assert f"it was trained elsewhere ({LOCK}): there is nothing to train" in team.laptop.mlops("train").stderr


HOSTILE = "<!-- mlops --> @everyone [x](http://evil) | `$(id)` \u202e"


def test_hostile_texts_stay_texts(team: Team) -> None:
    """In metrics, parameters and addresses: nothing mentions, links, breaks a table or ends a comment's marker."""
    (team.folder / "metrics.json").write_text(json.dumps({"accuracy": 0.9, HOSTILE: 0.9, "a\nb": 0.5, "x" * 5000: 0.1, "<<": 0.2}))
    (team.folder / "params.yaml").write_text(
        json.dumps({HOSTILE: HOSTILE, "dsn": "postgres://me:secret@host/db", "nan": "NaN", "deep": [1, "a: b"]})
    )
    vendor = "vendor:<script>@here|`x`"
    team.record(vendor, None, "--metrics", str(team.folder / "metrics.json"), "--params", str(team.folder / "params.yaml"))
    assert team.pointer.uri == vendor
    assert "secret" not in (team.laptop.root / LOCK).read_text()
    assert team.pointer.metrics["<<"] == 0.2
    team.push("Hostile")
    machine = team.ci()
    comment = (machine.root / ".mlops" / "comment.md").read_text()
    assert "<!-- mlops -->" not in comment
    assert "<script>" not in comment
    assert " @everyone" not in comment


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://me:secret@host/m", "secret-in-address"),
        ("https://host/m?X-Amz-Signature=abc", "secret-in-address"),
        ("ftp://host/m", "unknown-address"),
        ("vendor:", "unknown-address"),
        ("nowhere.bin", "no-model"),
        ("file:/nowhere", "no-model"),
    ],
)
def test_an_address_that_cannot_be_kept_is_refused_and_the_old_pointer_stands(team: Team, uri: str, name: str) -> None:
    team.record("vendor:acme/chat-4", 100)
    before = (team.laptop.root / LOCK).read_bytes()
    done = team.record(uri, 100, code=2)
    assert "secret@" not in done.stdout + done.stderr
    assert "=abc" not in done.stdout + done.stderr
    assert (team.laptop.root / LOCK).read_bytes() == before
    assert name in (ROOT / "docs/reference/errors.md").read_text()


def test_of_several_evaluations_each_has_its_predictions(team: Team) -> None:
    suites = (
        "evaluate: {suites: {quality: {task: classification, metrics: [accuracy]}, safety: {task: classification, metrics: [accuracy]}}}\n"
    )
    team.configure(
        f"name: spam-filter\nmodel: {LOCK}\n{suites}accepted: [{{check: gate, reason: two evaluations}}]\ncomment: {{charts: false}}\n"
    )
    for wrong in (100, 10):
        (team.folder / f"{wrong}.csv").write_text(rows(wrong))
    both = [f"--predictions=quality={team.folder}/100.csv", f"--predictions=safety={team.folder}/10.csv"]
    assert "say of which" in team.record("vendor:a", 100, code=2).stderr
    assert "safety" in team.record("vendor:a", None, both[0], code=2).stderr
    team.record("vendor:a", None, *both)
    team.push("Two evaluations")
    found = {check["metric"]: check["head"] for check in team.ci().report["checks"]}
    assert found == {"quality/accuracy": 0.95, "safety/accuracy": 0.995}


def test_the_commit_that_trained_it_may_be_one_that_is_not_here(team: Team) -> None:
    team.record("vendor:a", 100, "--commit", "f" * 40)
    listed = json.loads(team.laptop.mlops("history", "list", "--json").stdout)["runs"]
    assert listed[-1]["commit"] == "f" * 40
    assert "is no commit" in team.record("vendor:a", 100, "--commit", "elsewhere", code=2).stderr
    assert "cannot be chosen from 0" in team.record("vendor:a", 100, "--tried", "0", code=2).stderr


def test_predictions_are_refused_as_those_of_an_evaluation(team: Team) -> None:
    (team.folder / "twice.csv").write_text("id,target,prediction\na,x,x\na,x,y\n")
    done = team.laptop.mlops("record", "vendor:a", "--predictions", str(team.folder / "twice.csv"), code=5)
    assert "twice.csv" in done.stderr
    assert not (team.laptop.root / LOCK).exists()
    assert not os.path.exists(team.laptop.root / ".mlops" / "runs")  # noqa: PTH110
