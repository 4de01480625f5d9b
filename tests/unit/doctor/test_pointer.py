"""What doctor says of a model that was trained elsewhere: well, and each way it is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.world.repository import Repository, make

REPORTED = "name: spam\nmodel: spam.lock\nevaluate: {task: classification, metrics: [accuracy]}\ngate: {accuracy: {min: 0.5}}\n"
COMPUTED = REPORTED.replace("{task", "{run: python3 evaluate.py, task")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A model with a prompt that was recorded from a file beside the repository."""
    made = make(tmp_path, config=REPORTED)
    (tmp_path / "m.bin").write_bytes(b"weights")
    (tmp_path / "rows.csv").write_text("id,target,prediction\n" + "".join(f"{i},a,a\n" for i in range(30)) + "b,b,b\n")
    made.write(prompt_txt="Be brief.")
    made.mlops("record", str(tmp_path / "m.bin"), "--predictions", str(tmp_path / "rows.csv"), "--prompt", "prompt.txt")
    return made


def said(repository: Repository, code: int | None = 0, **env: str) -> str:
    """The lines about the pointer."""
    lines = repository.mlops("doctor", code=code, **env).stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if " pointer: " in line)
    return "\n".join(line for line in lines[start : start + 4])


def test_one_that_is_well(repository: Repository) -> None:
    assert "✓ pointer: spam: spam.lock points to file:sha256/" in said(repository)


def test_of_a_model_that_is_trained_here_nothing_is_said(tmp_path: Path) -> None:
    assert "pointer" not in make(tmp_path).mlops("doctor").stdout


def test_a_missing_one_and_a_broken_one_with_the_way_out(repository: Repository) -> None:
    lock = repository.root / "spam.lock"
    lock.write_text(lock.read_text().replace("kind: file", "kind: heap"))
    assert "✗ pointer: spam.lock:" in said(repository, 2)
    lock.unlink()
    assert "mlops record URI --predictions FILE" in said(repository, 2)


def test_a_prompt_that_changed_matters_where_the_numbers_were_recorded(repository: Repository) -> None:
    repository.write(prompt_txt="Be long.")
    assert "✗ pointer: spam: prompt.txt changed since the model was recorded, and its recorded numbers are of the old one" in said(
        repository, 2
    )
    repository.write(mlops_yaml=COMPUTED)
    assert "· pointer: spam: prompt.txt changed since the model was recorded: it is evaluated as it is now" in said(repository)
    (repository.root / "prompt.txt").unlink()
    assert "✗ pointer: spam: the prompt prompt.txt" in said(repository, 2)


def test_a_model_that_cannot_be_had_from_here(repository: Repository, tmp_path: Path) -> None:
    away = {"XDG_DATA_HOME": str(tmp_path / "another machine")}
    repository.write(mlops_yaml=COMPUTED)
    assert "✓ pointer" in said(repository)
    assert "· pointer: spam: the model cannot be had from here" in said(repository, **away)
    repository.write(mlops_yaml=COMPUTED + "self-reported: refuse\n")
    assert "✗ pointer: spam: the model cannot be had from here" in said(repository, 4, **away)


def test_a_run_that_is_not_in_the_history_and_numbers_that_are_refused(repository: Repository) -> None:
    shutil.rmtree(repository.root / ".mlops")
    assert "which recorded its numbers, is not in the history" in said(repository, 2)
    repository.write(mlops_yaml=REPORTED + "self-reported: refuse\n")
    assert "nothing computes its numbers" in said(repository, 2)


def test_a_model_in_the_repository_that_is_another_one(repository: Repository, tmp_path: Path) -> None:
    (repository.root / "in.bin").write_bytes(b"one")
    repository.git("add", "in.bin")
    repository.mlops("record", "in.bin", "--predictions", str(tmp_path / "rows.csv"))
    assert "✓ pointer: spam: spam.lock points to in.bin" in said(repository)
    (repository.root / "in.bin").write_bytes(b"two")
    assert "✗ pointer: spam: in.bin is not the model" in said(repository, 2)
