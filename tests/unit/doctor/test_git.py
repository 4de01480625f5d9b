"""The check of git: an old one, none, another user's repository, and files of which only a stand-in is here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.git import LEAST, check
from tests.unit.doctor.places import MODEL, environment, git, job, of, patient, repository

POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
DATA = MODEL.replace("evaluate.py], metrics", "evaluate.py], data: [data/], metrics")


def with_git(folder: Path, script: str) -> str:
    """A PATH on which `git` is this script; the real one is $REAL."""
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    path = folder / "bin" / "git"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    path.chmod(0o755)
    return f"{path.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("said", "old"),
    [
        ("git version 2.30.2", True),
        ("git version 1.8.3.1", True),
        ("git version 2.31.0", False),
        ("git version 3.0.1", False),
        ("git version 2.39.5 (Apple Git-154)", False),
    ],
)
def test_the_oldest_git_that_does(tmp_path: Path, said: str, old: bool) -> None:
    path = with_git(tmp_path, f'[ "$1" = --version ] && {{ echo "{said}"; exit 0; }}\nexec "$REAL" "$@"')
    found = list(check(patient(repository(tmp_path), environment(tmp_path, PATH=path))))
    problems = [finding for finding in found if finding.level == "problem"]
    assert [(finding.message, finding.sure) for finding in problems] == ([(f"{said} is too old", True)] if old else [])


def test_the_oldest_git_that_does_is_the_first_that_takes_settings_from_its_environment() -> None:
    """With an older one the remote's address and token, which are only ever given so, would be unknown."""
    done = subprocess.run(
        ["git", "config", "--get", "a.b"], env={"PATH": os.environ["PATH"], "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "c\n"
    assert LEAST == (2, 31)


def test_a_container_without_git_is_told_to_install_it_before_the_checkout(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "mlops.yaml").write_text(MODEL)
    (tmp_path / "empty").mkdir()
    (finding,) = check(patient(root, environment(tmp_path, PATH=str(tmp_path / "empty")), context=job()))
    assert (finding.level, finding.message) == ("problem", "git is not installed")
    assert "a step before actions/checkout: without git it brings files and no repository" in (finding.hint or "")


def test_a_repository_of_another_user_is_ours_to_read_and_not_the_commands(tmp_path: Path) -> None:
    root = repository(tmp_path)
    env = environment(tmp_path, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert subprocess.run(["git", "-C", root, "status"], env=env, capture_output=True, check=False).returncode == 128
    found = list(check(patient(root, env)))
    assert of(found) == []
    (note,) = [finding for finding in found if "belongs to another user" in finding.message]
    assert "safe.directory" in (note.hint or "")
    mended = environment(
        tmp_path, GIT_TEST_ASSUME_DIFFERENT_OWNER="1", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0=str(root)
    )
    assert not any("another user" in finding.message for finding in check(patient(root, mended)))


def test_a_repository_that_is_broken_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / ".git" / "HEAD").write_text("nonsense\n")
    (said,) = of(list(check(patient(root, environment(tmp_path)))))
    assert said.startswith(f"git cannot read the repository at {root}: ")


@pytest.mark.parametrize(
    ("config", "level"),
    [
        (DATA, "problem"),
        (MODEL, "note"),
        (MODEL.replace("train.py]", "'*.csv']"), "problem"),
        (DATA.replace("data/]", "data/, '!data/*.csv']"), "note"),
    ],
)
def test_pointers_of_large_files_are_named_and_a_problem_where_they_are_watched(tmp_path: Path, config: str, level: str) -> None:
    root = repository(
        tmp_path,
        {
            "mlops.yaml": config,
            ".gitattributes": "*.csv filter=lfs diff=lfs merge=lfs -text\n",
            "data/a.csv": POINTER,
            "data/b.csv": POINTER,
            "data/c.csv": "id,target\n",
        },
    )
    (finding,) = [f for f in check(patient(root, environment(tmp_path))) if "Git LFS" in f.message]
    assert finding.level == level
    assert "2 paths, data/a.csv among them, are each Git LFS's pointer" in finding.message
    assert "git lfs pull" in (finding.hint or "")
    assert "lfs: true" in (finding.hint or "")
    for name in ("a", "b"):
        (root / f"data/{name}.csv").write_text("id,target\n1,2\n")
    assert not any("Git LFS" in f.message for f in check(patient(root, environment(tmp_path))))


@pytest.mark.parametrize(
    ("inputs", "level"),
    [
        ("[train.py, vendor/lib/]", "problem"),
        ("[train.py, 'vendor/lib/*.py']", "problem"),
        ("[train.py, vendor/]", "problem"),
        ("[train.py]", "note"),
    ],
)
def test_a_submodule_that_is_an_empty_folder(tmp_path: Path, inputs: str, level: str) -> None:
    library = repository(tmp_path / "library", {"mlops.yaml": MODEL.replace("spam-filter", "library"), "code.py": "x = 1\n"})
    root = repository(tmp_path, {"mlops.yaml": MODEL.replace("[train.py]", inputs)})
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/lib")
    git(root, "commit", "-q", "-m", "a library")
    assert not any("submodule" in f.message for f in check(patient(root, environment(tmp_path))))
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(root), str(clone))
    (finding,) = [f for f in check(patient(clone, environment(tmp_path))) if "submodule" in f.message]
    assert finding.level == level
    assert finding.message.startswith("vendor/lib is an empty folder, a submodule")
    assert "submodules: recursive" in (finding.hint or "")


def test_a_shallow_and_a_partial_clone_are_told(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    git(root, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--filter=blob:none", root.as_uri(), str(clone))
    notes = of(list(check(patient(clone, environment(tmp_path)))), "note")
    assert any("a shallow clone" in note for note in notes)
    assert any("a partial clone" in note for note in notes)
