"""Models trained elsewhere: recorded on one machine, reviewed on another, with the real command line, git and HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlops_toolkit.config import pointer
from tests.check import ROOT
from tests.world.repository import Repository, clean_environment

LOCK = "models/spam.lock"
REPORTED = """\
name: spam-filter
model: models/spam.lock
evaluate: {task: classification, metrics: [accuracy], slices: [language]}
gate: {accuracy: {max-drop: 1pp}}
comment: {charts: false}
"""
COMPUTED = REPORTED.replace("evaluate: {", "evaluate: {run: python3 evaluate.py, inputs: [evaluate.py], ")
EVALUATE = """\
import json, os, pathlib
said = os.environ["MLOPS_MODEL"]
pathlib.Path(os.environ["MLOPS_RUN_DIR"], "seen.txt").write_text(said)
wrong = json.loads(pathlib.Path(said).read_text())["wrong"] if not said.startswith("vendor:") else len(pathlib.Path("prompt.txt").read_text())
rows = [f"m{i},{'ab'[i % 2]},{'ab'[(i + (i < wrong)) % 2]},{'de' if i % 4 == 0 else 'en'}" for i in range(2000)]
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(["id,target,prediction,language", *rows]) + "\\n")
"""


def rows(wrong: int) -> str:
    """What a model answers that gets the first so many of 2,000 wrong."""
    lines = [f"m{i},{'ab'[i % 2]},{'ab'[(i + (i < wrong)) % 2]},{'de' if i % 4 == 0 else 'en'}" for i in range(2000)]
    return "\n".join(["id,target,prediction,language", *lines]) + "\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Team:
    """A laptop (or cluster) that records, and a CI on another machine that reviews; `models` is a folder of the web at `url`."""

    folder: Path
    laptop: Repository
    models: Path
    url: str
    machines: list[Repository] = field(default_factory=list)
    last: subprocess.CompletedProcess[str] | None = None

    def record(self, model: str, wrong: int | None, *options: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Record a model that gets so many wrong."""
        answers = []
        if wrong is not None:
            (self.folder / f"{wrong}.csv").write_text(rows(wrong))
            answers = ["--predictions", str(self.folder / f"{wrong}.csv")]
        return self.laptop.mlops("record", model, *answers, *options, code=code, **env)

    def push(self, message: str, branch: str = "main") -> str:
        """Commit everything on the laptop and push it, history included."""
        made = self.laptop.commit(message)
        self.laptop.git("push", "-q", "origin", f"HEAD:{branch}")
        self.laptop.mlops("history", "push")
        return made

    def ci(self, verb: str = "review", *, branch: str = "main", code: int | None = 0, number: int | None = None) -> Repository:
        """A job on a machine of its own that checks a branch out; of a pull request into main where it is another."""
        root = self.folder / f"machine{len(self.machines)}"
        subprocess.run(
            ["git", "clone", "-q", "--branch", branch, self.laptop.git("remote", "get-url", "origin"), str(root / "work")], check=True
        )
        made = Repository(root / "work", clean_environment(root / "home"))
        (root / "home").mkdir()
        self.machines.append(made)
        self.again(made, verb, branch=branch, code=code, number=number)
        return made

    def again(
        self, machine: Repository, verb: str = "review", *, branch: str = "main", code: int | None = 0, number: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A job on a machine that is there already."""
        sha = machine.git("rev-parse", "HEAD")
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": "http://127.0.0.1:9",
            "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": str(number or len(self.machines) * 10),
            "GITHUB_SHA": sha,
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": f"refs/heads/{branch}",
            "GITHUB_REF_NAME": branch,
            "RUNNER_ENVIRONMENT": "self-hosted",
        }
        if branch != "main":
            pull = {
                "number": 7,
                "head": {"sha": sha, "ref": branch, "repo": {"full_name": "owner/repository"}},
                "base": {"ref": "main", "repo": {"full_name": "owner/repository"}},
            }
            event = self.folder / "event.json"
            event.write_text(
                json.dumps({"number": 7, "pull_request": pull, "repository": {"full_name": "owner/repository", "default_branch": "main"}})
            )
            env |= {
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_BASE_REF": "main",
                "GITHUB_HEAD_REF": branch,
                "GITHUB_REF": "refs/pull/7/merge",
                "GITHUB_REF_NAME": "7/merge",
            }
        self.last = done = machine.mlops(verb, code=code, **env)
        return done

    def configure(self, text: str) -> None:
        (self.laptop.root / "mlops.yaml").write_text(text)

    @property
    def said(self) -> str:
        """What the last job said."""
        assert self.last is not None
        return self.last.stdout + self.last.stderr

    @property
    def pointer(self) -> pointer.Pointer:
        return pointer.loads((self.laptop.root / LOCK).read_bytes(), where=LOCK)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """A repository that is pushed, without any pointer yet."""
    remote, root, models = tmp_path / "remote.git", tmp_path / "laptop" / "work", tmp_path / "web"
    root.mkdir(parents=True)
    models.mkdir()
    laptop = Repository(root, clean_environment(tmp_path / "laptop" / "home"))
    laptop.git("init", "-q", "-b", "main")
    laptop.git("init", "-q", "--bare", "-b", "main", str(remote))
    laptop.git("remote", "add", "origin", str(remote))
    (root / "evaluate.py").write_text(EVALUATE)
    (root / "mlops.yaml").write_text(REPORTED)
    laptop.commit("An evaluation")
    laptop.git("push", "-q", "origin", "main")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(models)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Team(tmp_path, laptop, models, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def weights(team: Team, wrong: int, name: str = "spam.json") -> str:
    """A model on the web; its address."""
    (team.models / name).write_text(json.dumps({"wrong": wrong}))
    return f"{team.url}/{name}"


def on_main(team: Team, wrong: int = 100, *options: str) -> None:
    """A model recorded on main, and main's own run of it."""
    team.record(weights(team, wrong, f"{wrong}.json"), wrong, *options)
    team.push("The first model")
    team.ci()


def proposed(team: Team, wrong: int, *options: str, model: str = "") -> None:
    """Another model recorded on a branch."""
    team.laptop.git("switch", "-q", "-c", "next")
    team.record(model or weights(team, wrong, f"{wrong}.json"), wrong, *options)
    team.push("Another model", "next")


def test_recorded_on_one_machine_it_is_judged_on_another_and_marked_as_self_reported(team: Team) -> None:
    on_main(team)
    proposed(team, 200)
    machine = team.ci(branch="next", code=1)
    result = machine.report
    assert (result["verdict"], result["baseline"]["state"]) == ("fail", "ok")
    assert result["head"]["self-reported"]
    assert result["baseline"]["self-reported"]
    check = result["checks"][0]
    assert (check["baseline"], check["head"], check["n"]) == (0.95, 0.9, 2000)
    assert check["low"] < check["change"] < check["high"] < -0.01  # paired, example by example, though the ids are hashed
    comment = (machine.root / ".mlops" / "comment.md").read_text()
    assert comment.splitlines()[0].endswith("· self\\-reported") or comment.splitlines()[0].endswith("· self-reported")
    assert "as recorded by whoever trained it, not computed here" in comment
    assert machine.record["self-reported"]
    assert machine.record["source"] == team.pointer.run
    assert any(row["section"] == "model" for row in result["differences"])


def test_a_recorded_run_is_never_anybodys_baseline(team: Team) -> None:
    """It is of the commit before the one that its pointer comes with, and would be compared with itself."""
    team.record(weights(team, 100), 100)
    team.push("The first model")
    result = team.ci().report
    assert result["baseline"]["state"] == "first-run"


def test_a_model_that_can_be_had_is_evaluated_here_and_nothing_is_self_reported(team: Team) -> None:
    team.configure(COMPUTED)
    on_main(team)
    proposed(team, 200)
    machine = team.ci(branch="next", code=1)
    assert not machine.report["head"]["self-reported"]
    assert not machine.record["self-reported"]
    seen = Path(next((machine.root / ".mlops" / "runs").glob("*/seen.txt")).read_text())
    assert (seen.name, json.loads(seen.read_text())) == ("200.json", {"wrong": 200})
    assert seen.is_relative_to(machine.root / ".mlops" / "cache")
    assert machine.git("status", "--porcelain") == ""


def test_the_numbers_computed_here_count_not_those_that_were_claimed(team: Team) -> None:
    team.configure(COMPUTED)
    on_main(team)
    team.laptop.git("switch", "-q", "-c", "next")
    team.record(weights(team, 300, "bad.json"), 10)
    team.push("A model that claims much", "next")
    assert team.ci(branch="next", code=1).report["checks"][0]["head"] == 0.85


def test_a_model_that_only_the_other_machine_has_comes_with_its_recorded_numbers_and_says_why(team: Team) -> None:
    team.configure(COMPUTED)
    on_main(team)
    (team.folder / "week.json").write_text('{"wrong": 101}')
    proposed(team, 101, model=str(team.folder / "week.json"))
    assert team.pointer.uri.startswith("file:sha256/")
    assert team.pointer.name == "week.json"
    machine = team.ci(branch="next")
    assert machine.report["head"]["self-reported"]
    assert any("not computed here: the model" in note for note in machine.report["notes"])
    assert not machine.report["baseline"]["self-reported"]


def test_where_self_reported_numbers_are_refused_the_way_out_is_said(team: Team) -> None:
    team.configure(COMPUTED + "self-reported: refuse\n")
    (team.folder / "week.json").write_text('{"wrong": 101}')
    team.record(str(team.folder / "week.json"), 101)
    team.push("A model")
    machine = team.ci(code=4)
    assert machine.report["error"]["name"] == "self-reported"
    assert "self-reported: allow" in team.said
    team.configure(REPORTED + "self-reported: refuse\n")
    team.push("No evaluation of its own")
    assert team.ci(code=2).report["error"]["name"] == "self-reported"
    assert "evaluate: {run: python evaluate.py}" in team.said


def test_a_pull_request_does_not_allow_itself_what_main_refuses(team: Team) -> None:
    team.configure(COMPUTED + "self-reported: refuse\n")
    on_main(team)
    team.configure(REPORTED + "self-reported: allow\n")
    proposed(team, 50)
    machine = team.ci(branch="next", code=2)
    assert machine.report["error"]["name"] == "self-reported"
    assert "the base branch" in machine.report["error"]["message"]


@pytest.mark.parametrize("config", [COMPUTED, REPORTED], ids=["evaluated here", "as recorded"])
def test_a_model_that_is_not_what_the_pointer_says_is_an_error(team: Team, config: str) -> None:
    """Bytes at an address are looked at where they are used; in the repository always."""
    team.configure(config)
    (team.laptop.root / "models").mkdir()
    (team.laptop.root / "models" / "spam.json").write_text('{"wrong": 100}')
    team.laptop.commit("A model in git")
    team.record("models/spam.json", 100)
    assert team.pointer.uri == "models/spam.json"
    team.push("Its pointer")
    machine = team.ci()
    assert machine.record["trained-model"]["stores"] == []
    (team.laptop.root / "models" / "spam.json").write_text('{"wrong": 1}')
    team.push("Another model under the old pointer")
    assert team.ci(code=2).report["error"]["name"] == "wrong-model"


def test_a_model_that_was_exchanged_at_its_address_is_damaged_and_not_taken_as_recorded(team: Team) -> None:
    team.configure(COMPUTED)
    team.record(weights(team, 100), 100)
    team.push("A model")
    weights(team, 1)
    assert team.ci(code=4).report["error"]["name"] == "model-damaged"


def test_a_pointer_that_was_edited_borrows_nobodys_numbers(team: Team) -> None:
    team.record(weights(team, 100), 100)
    text = (team.laptop.root / LOCK).read_text()
    (team.laptop.root / LOCK).write_text(text.replace(team.pointer.digest or "", "sha256:" + "0" * 64))
    team.push("A forged pointer")
    assert team.ci(code=2).report["error"]["name"] == "not-recorded"


def test_a_pointer_borrows_no_numbers_of_another_model_that_has_the_same_weights(team: Team) -> None:
    """Two models of a monorepo may share weights and be judged on different examples."""
    weak = team.laptop.root / "weak"
    weak.mkdir()
    (weak / "mlops.yaml").write_text(REPORTED.replace("spam-filter", "weak").replace(LOCK, "weak.lock"))
    team.record(weights(team, 100), 100)
    team.record(weights(team, 100), 10, "--config", "weak/mlops.yaml")
    better = pointer.loads((weak / "weak.lock").read_bytes(), where="weak.lock")
    assert better.digest == team.pointer.digest
    text = (team.laptop.root / LOCK).read_text()
    (team.laptop.root / LOCK).write_text(text.replace(team.pointer.run, better.run))
    team.laptop.mlops("history", "push", "--config", "weak/mlops.yaml", code=None)
    team.push("Borrowed numbers")
    assert team.ci(code=2).report["error"]["name"] == "not-recorded"


def test_a_run_that_was_withdrawn_gives_no_numbers(team: Team) -> None:
    team.record("vendor:a", 100)
    team.push("A model")
    team.laptop.mlops("history", "withdraw", team.pointer.run, "--reason", "labels were shifted")
    assert team.ci(code=2).report["error"]["name"] == "run-withdrawn"


def test_where_the_recorded_run_was_forgotten_a_later_one_still_has_its_numbers(team: Team) -> None:
    on_main(team)
    team.laptop.mlops("history", "forget", team.pointer.run)
    team.laptop.commit("Nothing of the model")
    team.laptop.git("push", "-q", "origin", "HEAD:main")
    machine = team.ci()
    assert machine.report["checks"][0]["head"] == 0.95
    assert machine.record["source"] == team.pointer.run


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


def test_a_changed_prompt_runs_the_evaluation_again_and_an_equal_one_does_not(team: Team) -> None:
    team.configure(COMPUTED)
    (team.laptop.root / "prompt.txt").write_text("x" * 100)
    team.record("vendor:acme/chat-4@2026-08-01", None, "--prompt", "prompt.txt")
    team.push("A vendor's model")
    machine = team.ci()
    assert machine.report["checks"][0]["head"] == 0.95
    assert next((machine.root / ".mlops" / "runs").glob("*/seen.txt")).read_text() == "vendor:acme/chat-4@2026-08-01"
    assert "nothing to evaluate" in team.again(machine, number=777).stderr
    (machine.root / "prompt.txt").write_text("x" * 104)
    machine.commit("Another prompt")
    done = team.again(machine, number=778)
    assert "nothing to evaluate" not in done.stderr
    assert machine.report["checks"][0]["head"] == 0.948
    assert [row["name"] for row in machine.report["differences"] if row["section"] == "model"] == ["prompt.txt"]


def test_recorded_numbers_are_of_the_prompt_that_was_recorded(team: Team) -> None:
    (team.laptop.root / "prompt.txt").write_text("Be brief.")
    team.record("vendor:acme/chat-4@2026-08-01", 100, "--prompt", "prompt.txt")
    team.push("A vendor's model")
    assert team.ci().report["head"]["self-reported"]
    (team.laptop.root / "prompt.txt").write_text("Be long.")
    team.push("Another prompt")
    assert team.ci(code=2).report["error"]["name"] == "pointer-stale"
    assert "prompt.txt changed" in team.laptop.mlops("doctor", code=2).stdout
    (team.laptop.root / "prompt.txt").unlink()
    team.push("No prompt")
    assert team.ci(code=2).report["error"]["name"] == "prompt-gone"


def test_the_best_of_fifty_is_said_with_what_that_alone_is_worth(team: Team) -> None:
    on_main(team)
    proposed(team, 90, "--tried", "50")
    notes = " ".join(team.ci(branch="next").report["notes"])
    # 2.249 standard errors of √(0.955 · 0.045 / 2000)
    assert "the best of 50 was chosen: if these examples chose it, that alone flatters accuracy by up to about 1.0 pp" in notes


def test_that_it_was_the_best_of_fifty_is_said_though_its_evaluation_is_recorded_without(team: Team) -> None:
    team.configure(COMPUTED)
    on_main(team)
    proposed(team, 90)
    team.ci(branch="next")
    team.record(f"{team.url}/90.json", 90, "--tried", "50")
    team.push("To be honest", "next")
    machine = team.ci("plan", branch="next")
    assert "unchanged" in team.said
    team.again(machine, "compare", branch="next")
    assert "the best of 50 was chosen" in " ".join(machine.report["notes"])


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


DYING = """\
import os, sys
from pathlib import Path
left, real = [int(sys.argv.pop(1))], {}
def dying(name):
    real[name] = getattr(Path, name)
    def step(self, *args):
        left[0] -= 1
        if left[0] < 0:
            os._exit(137)
        return real[name](self, *args)
    setattr(Path, name, step)
for name in ("replace", "rename"):
    dying(name)
from mlops_toolkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_killed_before_any_step_it_leaves_a_whole_state(team: Team) -> None:
    """Every step ends in a file or folder that takes its place at once; it dies before the first, the second, … until none is left."""
    (team.folder / "m.json").write_text('{"wrong": 100}')
    (team.folder / "n.json").write_text('{"wrong": 110}')
    team.record(str(team.folder / "m.json"), 100)
    team.push("The first model")
    old, answers = (team.laptop.root / LOCK).read_bytes(), team.folder / "110.csv"
    answers.write_text(rows(110))
    for step in range(100):
        command = [sys.executable, "-c", DYING, str(step), "record", str(team.folder / "n.json"), "--predictions", str(answers)]
        done = subprocess.run(
            command, cwd=team.laptop.root, env={**team.laptop.env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 137), done.stderr
        listed = json.loads(team.laptop.mlops("history", "list", "--json").stdout)
        assert listed["notes"] == []
        if done.returncode == 0:
            break
        assert (team.laptop.root / LOCK).read_bytes() == old
        assert all(run["status"] == "succeeded" for run in listed["runs"])
    assert step > 3
    assert team.pointer.metrics == {"accuracy": 0.945}
    team.push("Another model")
    assert team.ci().report["checks"][0]["head"] == 0.945


def test_an_evaluation_that_was_killed_at_any_step_is_made_up_for_by_the_next(team: Team) -> None:
    """Fetching the model, keeping the predictions, recording: whatever was left behind, the next one ends with the same numbers."""
    team.configure(COMPUTED)
    (team.folder / "week.json").write_text('{"wrong": 100}')
    team.record(str(team.folder / "week.json"), 10)
    for step in range(100):
        subprocess.run(["rm", "-rf", str(team.laptop.root / ".mlops" / "cache" / "models")], check=True)
        command = [sys.executable, "-c", DYING, str(step), "evaluate"]
        env = {**team.laptop.env, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=team.laptop.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 137), done.stderr
        if done.returncode == 0:
            break
        team.laptop.mlops("evaluate")
        assert team.laptop.record["metrics"]["accuracy"]["value"] == 0.95
        assert team.laptop.record["status"] == "succeeded"
    assert step > 3


@pytest.mark.parametrize("config", [REPORTED, COMPUTED], ids=["as recorded", "evaluated here"])
def test_a_change_of_documents_is_answered_at_once_and_stays_marked(team: Team, config: str) -> None:
    team.configure(config)
    on_main(team)
    team.laptop.git("switch", "-q", "-c", "docs")
    (team.laptop.root / "README.md").write_text("Of spam.\n")
    team.push("A page", "docs")
    machine = team.ci("plan", branch="docs")
    assert "unchanged" in team.said
    team.again(machine, "compare", branch="docs")
    assert machine.report["head"]["self-reported"] is (config == REPORTED)
    assert machine.report["baseline"]["state"] == "same-model"


@pytest.mark.parametrize("config", [REPORTED, COMPUTED], ids=["as recorded", "evaluated there"])
def test_one_job_evaluates_and_another_compares(team: Team, config: str) -> None:
    """As the shipped workflow has it: `.mlops/run.json` and `.mlops/runs` travel as an artifact."""
    team.configure(config)
    on_main(team)
    proposed(team, 200)
    trains = team.ci("train", branch="next", number=99)
    assert "there is nothing to train" in team.said
    team.again(trains, "evaluate", branch="next", number=99)
    compares = team.ci("doctor", branch="next", code=None)
    (compares.root / ".mlops").mkdir(exist_ok=True)
    for name in ("run.json", "runs"):
        subprocess.run(["cp", "-r", str(trains.root / ".mlops" / name), str(compares.root / ".mlops")], check=True)
    team.again(compares, "compare", branch="next", code=1, number=99)
    assert compares.report["head"]["self-reported"] is (config == REPORTED)
    assert (compares.report["checks"][0]["head"], compares.report["checks"][0]["n"]) == (0.9, 2000)


@pytest.mark.parametrize("where", ["at an address", "in git"])
def test_where_the_examples_changed_too_the_baselines_model_is_had_by_its_own_pointer(team: Team, where: str) -> None:
    team.configure(COMPUTED.replace("inputs: [evaluate.py]", "inputs: [evaluate.py], data: [size.txt]"))
    (team.laptop.root / "evaluate.py").write_text(EVALUATE.replace("range(2000)", 'range(int(pathlib.Path("size.txt").read_text()))'))
    (team.laptop.root / "size.txt").write_text("2000")

    def model(wrong: int) -> str:
        if where == "at an address":
            return weights(team, wrong, f"{wrong}.json")
        (team.laptop.root / "models").mkdir(exist_ok=True)
        (team.laptop.root / "models" / "spam.json").write_text(json.dumps({"wrong": wrong}))
        team.laptop.git("add", "models")
        return "models/spam.json"

    team.record(model(100), None)
    team.push("The first model")
    team.ci()
    (team.laptop.root / "size.txt").write_text("4000")
    team.laptop.git("switch", "-q", "-c", "next")
    team.record(model(400), None)
    team.push("Another model and twice the examples", "next")
    machine = team.ci(branch="next", code=1)
    check = machine.report["checks"][0]
    assert machine.report["baseline"]["state"] == "data-changed", team.said
    assert (check["n"], check["baseline"], check["head"]) == (4000, 0.975, 0.9), team.said
    assert machine.git("status", "--porcelain") == ""


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
