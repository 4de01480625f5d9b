"""Every check of `mlops doctor`: well, and each way it is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlops_toolkit import plug
from mlops_toolkit.doctor import CHECKS
from mlops_toolkit.doctor.checks.commands import first_word
from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.run import examined
from tests.unit.doctor import places
from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path)


def test_every_row_of_the_table_is_a_check() -> None:
    for name in CHECKS:
        assert callable(plug.load("check", CHECKS, name))


def test_the_page_about_the_doctor_names_every_check_in_its_order() -> None:
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| (\w+) \| ", page)[1:] == list(CHECKS)


def test_a_repository_that_is_well_has_no_problem(repository: Repository) -> None:
    said = repository.mlops("doctor").stdout
    assert "✗" not in said
    assert "✓ configuration: mlops.yaml: spam-filter, 1 gated" in said
    assert "there is no remote" in said


def test_a_broken_configuration_is_named_with_its_line_and_code_2(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("max-drop: 1pp", "max-dorp: 1pp"))
    said = repository.mlops("doctor", code=2).stdout
    assert "✗ configuration: mlops.yaml:" in said
    assert "max-drop" in said


def test_an_improvement_that_is_asked_for_is_taken_out_before_it_is_merged_or_said_to_stop_the_next_change(repository: Repository) -> None:
    asks = CONFIG.replace("max-drop: 1pp", "improve-by: 1pp")
    repository.git("switch", "-q", "-c", "better")
    repository.write(mlops_yaml=asks)
    repository.commit("Better")
    said = repository.mlops("doctor").stdout
    assert "· configuration: mlops.yaml: `improve-by` of accuracy is asked of every change for as long as it stands" in said
    assert "before this is merged" in said
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "better")
    repository.git("switch", "-q", "-c", "next")
    said = repository.mlops("doctor").stdout
    assert "`improve-by` of accuracy was merged: every change is asked for that improvement anew" in said
    assert "accepted: [{check: gate" in said


def test_a_program_that_is_not_there_is_named(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("run: python3 train.py", "run: LR=0.1 pythno train.py"))
    said = repository.mlops("doctor", code=5).stdout
    assert "there is no program pythno" in said


def test_a_gpu_that_is_asked_for_and_not_there_is_a_problem(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("output: model/,", "output: model/, gpus: 1,"))
    said = repository.mlops("doctor", code=None, PATH="/usr/bin:/bin", CUDA_VISIBLE_DEVICES="-1").stdout
    assert "✗ gpu: train.gpus asks for 1, found 0" in said


def test_outside_of_git_it_says_what_is_missing_and_goes_on(tmp_path: Path) -> None:
    repository = make(tmp_path)
    (repository.root / ".git").rename(tmp_path / "elsewhere")
    said = repository.mlops("doctor").stdout
    assert "no git repository" in said
    assert "✓ configuration" in said


def test_without_any_configuration_it_points_to_init(repository: Repository) -> None:
    (repository.root / "mlops.yaml").unlink()
    assert "mlops init" in repository.mlops("doctor", code=2).stdout


def test_runs_that_are_recorded_are_counted(repository: Repository) -> None:
    repository.mlops("review")
    assert "✓ history: spam-filter: 1 run recorded" in repository.mlops("doctor").stdout


def test_json_is_one_list_of_what_was_found_and_nothing_else(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("run: python3 train.py", "run: pythno train.py"))
    done = repository.mlops("doctor", "--json", code=5)
    rows = json.loads(done.stdout)
    assert {tuple(row) for row in rows} == {("check", "level", "message", "hint")}
    assert {row["check"] for row in rows} <= set(CHECKS)
    (row,) = [row for row in rows if row["level"] == "problem"]
    assert (row["check"], row["message"]) == ("commands", "mlops.yaml:2: there is no program pythno")
    plain = repository.mlops("doctor", code=5).stdout
    assert len(rows) == len([line for line in plain.splitlines() if line[0] in "✓·✗"])


def test_a_check_that_fails_itself_is_a_finding_and_the_others_go_on(repository: Repository) -> None:
    """A folder stands where a file should: no check may end the others."""
    (repository.root / ".github" / "workflows" / "model.yml").mkdir(parents=True)
    (repository.root / ".mlops" / "run.json").mkdir(parents=True)
    assert "✓ configuration" in repository.mlops("doctor", code=None).stdout


def test_a_defect_in_one_check_is_told_as_ours_and_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("mlops_toolkit.doctor.checks.disk.check", broken)
    asked = places.patient(places.repository(tmp_path), places.environment(tmp_path))
    (finding,) = examined("disk", asked)
    assert (finding.code, finding.message) == (70, "a defect of ours: ZeroDivisionError: by zero")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2Jgone", "\r\x00", "\u202eabc", "x" * 5000])
def test_what_a_file_says_neither_ends_a_line_nor_moves_a_cursor(text: str) -> None:
    finding = Finding("note", f"job {text}", f"first\n  {text}", where=f"{text}:3")
    for line in (finding.said, *(finding.hint or "").split("\n")):
        assert line.isprintable()
        assert len(line) < 2_100
    assert (finding.hint or "").startswith("first\n  ")


def test_after_init_there_are_notes_at_most(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.root / "mlops.yaml").unlink()
    made.mlops("init")
    made.commit("as init wrote it")
    made.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    made.git("init", "-q", "--bare", str(tmp_path / "origin.git"))
    made.git("push", "-q", "origin", "main")
    rows = json.loads(made.mlops("doctor", "--json").stdout)
    assert [row for row in rows if row["level"] == "problem"] == []
    assert [row["level"] for row in rows if row["check"] == "workflow"] == ["fine"]
    config = made.root / "mlops.yaml"
    for job, verb in (("train", "train"), ("model", "review")):
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_WORKFLOW": "model",
            "GITHUB_JOB": job,
            "GITHUB_REPOSITORY": "a/b",
        }
        assert "::warning" not in made.mlops(verb, code=None, **env).stderr
    assert config.exists()


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("python train.py", "python"),
        ("A=1 B='x y' uv run train.py", "uv"),
        ("$PYTHON train.py", None),
        ("bash -c 'a | b'", "bash"),
        ("'unclosed", None),
        ("", None),
        ("./train.sh --fast", "./train.sh"),
    ],
)
def test_the_program_of_a_command(command: str, word: str | None) -> None:
    assert first_word(command) == word
