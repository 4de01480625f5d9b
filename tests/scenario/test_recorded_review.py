"""Models trained elsewhere: recorded on one machine, reviewed on another, with the real command line, git and HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_toolkit.config import pointer
from tests.scenario.recording import COMPUTED, EVALUATE, LOCK, REPORTED, Team, at_work, on_main, proposed, weights


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with at_work(tmp_path) as made:
        yield made


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
