"""`mlops monitor issue` in this process, against a GitHub and a Prometheus of this machine: what is told, and what is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit import cli
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.monitor import tell, told
from mlops_toolkit.monitor.alerts import ALERTS
from tests.unit.forge.test_runner import read_outputs
from tests.world.github import FakeGitHub, Token, serving
from tests.world.ringing import alarm, prometheus, rings

HOSTILE = "x <!-- mlops-actions:1 alarms --> @team [a](http://b) |\n`rm` <img src=x>"


def body(*alarms: dict[str, Any], **more: Any) -> str:
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "told", "alerts": list(alarms), **more})


DRIFTED = alarm(input="x", feature="age", version="1f2e", run="20260301-1", commit="a1b2c3d4e5f6")
SIZE = alarm(input="x", feature="size", version="1f2e", run="20260301-1", commit="a1b2c3d4e5f6", since="2026-03-01T10:00:00Z")


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    github = FakeGitHub(workflows={"model.yml": True}, tokens={"ghs_job": Token(may=frozenset({"issues", "actions"}))})
    with serving(github):
        yield github
    assert github.violations == []


@pytest.fixture
def here(fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two models, in a job of GitHub's."""
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    (tmp_path / "mlops.yaml").write_text("name: spam\n")
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham/mlops.yaml").write_text("name: ham\n")
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLOPS_"))]:
        monkeypatch.delenv(name)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
    said = {"ACTIONS": "true", "REPOSITORY": fake.repository, "API_URL": fake.url, "TOKEN": "ghs_job", "EVENT_NAME": "schedule", "EVENT_PATH": str(event), "SERVER_URL": "https://github.com", "RUN_ID": "1", "REF": "refs/heads/main", "SHA": "a" * 40}  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def issue(monkeypatch: pytest.MonkeyPatch, *arguments: str, given: str = "") -> int:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_job")  # taken out of the environment by the run before
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    return cli.main(["monitor", "issue", *arguments])


def outputs(file: Path) -> dict[str, str]:
    """What the job's next steps get: of each name what was said last."""
    return read_outputs(file.read_text())


def test_what_rings_is_told_with_its_features_since_when_of_which_release(
    fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert issue(monkeypatch, given=body(DRIFTED, SIZE, alarm("ModelSlower", version="1f2e"), {"labels": {"alertname": "Disk"}})) == 0
    (made,) = fake.open_issues()
    out, err = capsys.readouterr()
    assert out.strip() == made["html_url"]
    assert "1 that is none of ours left out" in err
    assert made["title"] == "🔔 spam in production"
    first, *rest = made["body"].splitlines()
    assert first.startswith(
        "🔔 spam in production: it is slower than the same release was before; 2 features drifted, since 2026-03-01 10:00 (UTC), run 20260301-1 of commit a1b2c3d"
    )
    text = "\n".join(rest)
    assert "What is asked has drifted in `x age`, `x size`." in text
    assert "/docs/monitor.md#inputsdrifted" in text
    assert "train on newer data" in text
    assert issue(monkeypatch, given=body(DRIFTED | {"status": "resolved"}, SIZE | {"status": "resolved"})) == 0
    assert fake.open_issues() == []


def test_the_workflow_is_started_for_drift_alone_and_once(
    fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert issue(monkeypatch, "--dispatch", "model.yml", given=body(alarm("ModelDown"))) == 0
    assert fake.dispatched == []
    for _ in range(2):
        assert issue(monkeypatch, "--dispatch", "model.yml", "--json", given=body(alarm("ModelDown"), DRIFTED)) == 0
    assert fake.dispatched == [("model.yml", "main")]
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines()[1:])
    assert (first["started"], second["started"], first["firing"]) == (["model.yml"], [], 2)


def test_each_model_and_environment_has_its_section(fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(monkeypatch, given=body(DRIFTED, alarm("ModelDown", model="ham"), alarm("ModelDown", environment="staging")))
    (made,) = fake.open_issues()
    assert made["body"].count("mlops-actions:1 section") == 3
    issue(
        monkeypatch,
        "--environment",
        "staging",
        given=body(DRIFTED | {"status": "resolved"}, alarm("ModelDown", environment="staging", status="resolved")),
    )
    assert made["body"].count("mlops-actions:1 section") == 2


def test_a_relays_event_is_read(fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"repository": {"default_branch": "main"}, "client_payload": {"alerts": json.loads(body(DRIFTED))}}
    (here / "event.json").write_text(json.dumps(event))
    monkeypatch.setenv("GITHUB_EVENT_NAME", "repository_dispatch")
    assert issue(monkeypatch) == 0
    assert len(fake.open_issues()) == 1


def test_prometheus_is_asked_and_what_does_not_ring_any_more_is_closed(
    fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setenv("MLOPS_MONITOR_TOKEN", "t0ken")
    of_others = [alarm("ModelDown", model="theirs"), alarm("ModelDown", environment="staging"), alarm("ModelDown", status="pending")]
    with prometheus(rings(DRIFTED, *of_others), asked=asked) as address:
        assert issue(monkeypatch, "--from", address, "--config", "**/mlops.yaml") == 0
    assert asked == ["/api/v1/alerts Bearer t0ken"]
    (made,) = fake.open_issues()
    assert made["title"] == "🔔 spam in production"
    assert "ModelDown" not in made["body"]
    with prometheus(rings(*of_others)) as address:
        assert issue(monkeypatch, "--from", f"{address}/", "--config", "**/mlops.yaml") == 0
    assert fake.open_issues() == []


def test_as_an_action_it_reads_its_inputs_and_writes_its_outputs(fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "mlops.yaml").write_text("name: spam\ndeploy: {live: {target: docker}}\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(here / "outputs"))
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_job")
    with prometheus(rings(alarm(environment="live", input="x", feature="age"))) as address:
        given = {"prometheus": address, "dispatch": "model.yml", "token": "ghs_job", "config": "mlops.yaml"}
        monkeypatch.setenv("MLOPS_INPUTS", json.dumps(given))
        assert cli.main(["monitor"]) == 0
    (made,) = fake.open_issues()
    assert fake.dispatched == [("model.yml", "main")]
    assert outputs(here / "outputs") == {"issue-url": made["html_url"], "firing": "1", "exit": "0"}
    monkeypatch.setenv("MLOPS_INPUTS", json.dumps({"prometheus": "x"}))
    assert cli.main(["monitor"]) == 2


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        ([], "{", 5, "standard input: this is no JSON"),
        ([], "[]", 5, "not what Alertmanager sends"),
        ([], json.dumps({"version": "3", "alerts": []}), 5, "not what Alertmanager sends"),
        (["--alerts", "missing.json"], "", 4, "missing.json: cannot be read"),
        (["--dispatch", "../model.yml"], "{}", 2, "--dispatch: '../model.yml' is no workflow's file"),
        (["--from", "prometheus:9090"], "", 2, "--from: this is no address of Prometheus"),
        (["--from", "http://user:word@host"], "", 2, "--from: this is no address of Prometheus"),
        (["--from", "http://127.0.0.1:9"], "", 4, "Prometheus cannot be reached (ConnectionError)"),
    ],
)
def test_what_cannot_be_read_is_said(
    fake: FakeGitHub,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    given: str,
    code: int,
    said: str,
) -> None:
    assert issue(monkeypatch, *arguments, given=given) == code
    assert said in capsys.readouterr().err
    assert fake.requests == []


@pytest.mark.parametrize(("status", "said"), [(302, "answered 302"), (401, "MLOPS_MONITOR_TOKEN"), (500, "answered 500")])
def test_a_prometheus_that_does_not_answer_closes_nothing(
    fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    issue(monkeypatch, given=body(DRIFTED))
    with prometheus({}, status) as address:
        assert issue(monkeypatch, "--from", address) == 4
    assert said in capsys.readouterr().err
    assert len(fake.open_issues()) == 1


def test_an_issue_that_cannot_be_written_is_a_failure_with_the_lines_to_paste(
    fake: FakeGitHub, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outputs say what became all the same: how many ring, and where the issue is that was written before the rest was refused."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(here / "outputs"))
    fake.tokens["ghs_job"] = Token()
    assert issue(monkeypatch, given=body(DRIFTED)) == 4
    assert "issues: write" in capsys.readouterr().err
    assert outputs(here / "outputs") == {"issue-url": "", "firing": "1", "exit": "4"}
    fake.tokens["ghs_job"] = Token(may=frozenset({"issues"}))
    assert issue(monkeypatch, "--dispatch", "model.yml", given=body(DRIFTED)) == 4
    assert "actions: write" in capsys.readouterr().err
    (made,) = fake.open_issues()
    assert outputs(here / "outputs") == {"issue-url": made["html_url"], "firing": "1", "exit": "4"}


def test_text_of_strangers_stays_text() -> None:
    found = told.webhook(
        body(alarm(input=HOSTILE, feature=HOSTILE, model=HOSTILE, run=HOSTILE, commit=HOSTILE), cut=HOSTILE).encode(), where="x"
    )
    made = tell.section(found.alarms, HOSTILE, HOSTILE, at=1)
    text = "\n".join([made.verdict_line, *made.body])
    assert "<!-- mlops" not in text
    assert "<img" not in text.replace("`", "") or "\\<img" in text
    assert "\n" not in made.verdict_line


def test_very_many_are_cut_and_counted() -> None:
    many = [alarm(input="x", feature=f"f{place}") for place in range(told.MOST + 5)]
    found = told.webhook(body(*many, truncatedAlerts=3).encode(), where="x")
    assert (len(found.alarms), found.cut) == (told.MOST, 8)
    made = tell.section(found.alarms, "production", "spam", at=1)
    assert len("\n".join(made.body)) < 20_000
    assert f"and {told.MOST - tell.ROWS} more" in made.body[0]
    with pytest.raises(InvalidFile, match="larger"):
        told.webhook(b" " * (told.MOST_BYTES + 1), where="x")


@pytest.mark.parametrize(
    "given",
    [[1], [None], [{"labels": 1}], [{"labels": {"alertname": "ModelDown"}}], [{"labels": {"alertname": ["ModelDown"], "model": 1}}]],
)
def test_what_is_no_alarm_of_ours_is_left_out(given: list[Any]) -> None:
    assert told.webhook(json.dumps({"version": "4", "alerts": given}).encode(), where="x") == told.Told((), 1)


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00Z", "yesterday", None, 3, "2026-13"])
def test_a_moment_that_is_none_is_not_said(given: Any) -> None:
    assert told.moment(given) == ""


def test_there_is_something_to_do_for_each() -> None:
    assert set(tell.TO_DO) == {alert.name for alert in ALERTS}
