"""Words, names and files that no verb expects: each is one clear error, or the right answer; never a defect, never a half-written file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.world import ready
from tests.world.repository import Repository, clean_environment, make

ROWS = "".join(f"r{i},{'ab'[i % 2]},{'ab'[(i + (i % 7 == 0)) % 2]}\n" for i in range(300))
FILES = {
    "ok.csv": "id,target,prediction\n" + ROWS,
    "empty.csv": "",
    "head.csv": "id,target,prediction\n",
    "one.csv": "id,target,prediction\nx,a,a\n",
    "hole.csv": "id,target,prediction\n" + ROWS.replace("r5,b,b", "r5,,b"),
    "broken.parquet": "PAR1 and no more PAR1",
    "names.csv": "id,target,prediction,group\n" + ROWS.replace("\n", ',"<img src=x>|**b** @team `x`"\n'),
}
# file -> exit code and what is said; against ok.csv
SAID = {
    "empty.csv": (5, "the file is empty (0 bytes)"),
    "head.csv": (5, "there is a header but not one row"),
    "hole.csv": (5, "hole.csv row 7, column target: there is no target here"),
    "broken.parquet": (5, "the Parquet file is damaged"),
    "nothing.csv": (2, "there is no file nothing.csv"),
}


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = ready.mlops(words, cwd=folder, env=clean_environment(folder))
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode != 70, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (made / name).write_text(text)
    (made / "folder").mkdir()
    return made


@pytest.mark.parametrize("name", SAID)
def test_a_file_that_is_none_is_refused_by_compare_and_power_alike(folder: Path, name: str) -> None:
    code, said = SAID[name]
    for words in (("compare", name, "ok.csv"), ("power", name, "ok.csv", "--margin", "1pp")):
        done = asked(folder, *words)
        if words[0] == "power" and not (folder / name).exists():
            assert done.returncode == 2
            continue
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr


def test_a_folder_or_one_file_alone_is_said_to_be_that(folder: Path) -> None:
    assert "folder is a folder" in asked(folder, "compare", "folder", "ok.csv").stderr
    assert "name both: mlops compare ok.csv OTHER" in asked(folder, "compare", "ok.csv").stderr


def test_one_row_decides_nothing_and_hostile_names_stay_text(folder: Path) -> None:
    gate = ("--task", "classification", "--gate", "accuracy:max-drop=1pp")
    assert asked(folder, "compare", "one.csv", "one.csv", *gate).returncode in (0, 3)
    done = asked(folder, "compare", "names.csv", "names.csv", "--slice", "group", *gate)
    assert done.returncode == 0
    comment = (folder / ".mlops" / "comment.md").read_text()
    assert "\\<img src=x>" in comment
    assert re.search(r"(?<!\\)<img|(?<!\\)\*\*b|@team", comment) is None


def test_names_that_measure_and_release_cannot_give(tmp_path: Path) -> None:
    repository: Repository = make(tmp_path)
    repository.mlops("review")
    before = (repository.root / ".mlops" / "run.json").read_bytes()
    run, quick = repository.record["id"], ("--rounds", "2", "--warm-up", "0", "--")
    for words, said in {
        ("measure", "latency", "--name", "accuracy", *quick, "true"): "accuracy is computed from the predictions already",
        ("measure", "latency", "--name", "a\nb", *quick, "true"): "is not a name for a measure",
        ("measure", "latency", "--from-output", *quick, "echo '{\"f1-macro\": 1}'"): "f1-macro is computed from the predictions already",
        ("measure", "latency", "--from-output", *quick, "echo 1e400"): "compares with nothing",
        ("history", "release", run, "--as", "v1\nv2"): "is no name for a release",
        ("history", "release", "nope", "--as", "v1"): '"nope" is no run id',
        ("bisect", "nope"): 'there is no metric "nope"',
        ("bisect", "accuracy", "--since", "nope"): '"nope" is no commit, branch or tag',
    }.items():
        done = repository.mlops(*words, code=None)
        assert done.returncode in (2, 5), done.stderr
        assert said in done.stderr
        assert (repository.root / ".mlops" / "run.json").read_bytes() == before
