"""Every check of `mlops doctor`: well, and each way it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit import plug
from mlops_toolkit.doctor import CHECKS
from mlops_toolkit.doctor.checks.commands import first_word
from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path)


def test_every_row_of_the_table_is_a_check() -> None:
    for name in CHECKS:
        assert callable(plug.load("check", CHECKS, name))


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
