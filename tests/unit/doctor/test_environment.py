"""The check of what the actions need of a machine: a Python that can make a virtual environment, folders that can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.environment import check, unwritable
from mlops_toolkit.doctor.finding import Finding
from tests.unit.doctor.places import environment, job, of, patient, repository

FLOW = "on: pull_request\njobs: {a: {steps: [{uses: acme/mlops-actions@v1, with: {python: %s}}]}}\n"


def stand_in(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def found(tmp_path: Path, *, files: dict[str, str] | None = None, ci: bool = True, **env: str) -> list[Finding]:
    there = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **env}
    return list(check(patient(repository(tmp_path, files), environment(tmp_path, **there), context=job() if ci else None)))


@pytest.mark.parametrize(("ci", "level"), [(True, "problem"), (False, "note")])
@pytest.mark.parametrize(
    ("script", "said", "hint"),
    [
        (
            "echo 3.11; echo ensurepip",
            "has no module ensurepip: the actions could not make their environment",
            "apt-get install python3-venv",
        ),
        ("echo 3.11; echo venv", "has no module venv", "python3.11-venv"),
        ("echo 3.9; echo whole", "is Python 3.9; the actions need 3.10 or newer", "input `python`"),
        ("echo nonsense >&2; exit 1", "does not run Python: nonsense", "input `python`"),
        ("exit 0", "does not run Python", "input `python`"),
    ],
)
def test_a_python_that_cannot_make_the_actions_environment(tmp_path: Path, script: str, said: str, hint: str, ci: bool, level: str) -> None:
    stand_in(tmp_path, "python3", script)
    (finding,) = [f for f in found(tmp_path, ci=ci) if "python3" in f.message]
    assert finding.level == level
    assert said in finding.message
    assert hint in (finding.hint or "")


def test_a_python_that_is_whole_is_fine(tmp_path: Path) -> None:
    stand_in(tmp_path, "python3", f'exec {sys.executable} "$@"')
    (said,) = of(found(tmp_path), "fine")
    assert f"(Python {sys.version_info[0]}.{sys.version_info[1]})" in said


def test_a_real_python_whose_ensurepip_was_taken_out_is_found(tmp_path: Path) -> None:
    """As Debian packages it: the module is not there until python3-venv is installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    stand_in(tmp_path, "python3", f'shift; PYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"')
    (said,) = of(found(tmp_path))
    assert "has no module ensurepip" in said


def test_the_python_that_a_step_names_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    (said,) = of(found(tmp_path, files={".github/workflows/model.yml": FLOW % "python9.9"}))
    assert said == ".github/workflows/model.yml:2: there is no python9.9: the actions could not run on this machine"
    assert not any(
        "matrix" in f.message for f in found(tmp_path / "other", files={".github/workflows/model.yml": FLOW % "'${{ matrix.python }}'"})
    )


def test_a_store_that_cannot_be_written_is_named_before_a_model_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = found(tmp_path, ci=False, XDG_DATA_HOME=str(tmp_path / "file" / "data"))
    (problem,) = [f for f in findings if f.level == "problem"]
    assert problem.message.startswith(f"the models' store would be kept in {tmp_path}/file/data/mlops/models/")
    assert problem.message.endswith(f", and {tmp_path}/file is no folder")
    assert "XDG_DATA_HOME" in (problem.hint or "")
    assert not of(found(tmp_path / "hosted", XDG_DATA_HOME=str(tmp_path / "file" / "data")))  # its models go elsewhere


def test_a_home_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    notes = of(found(tmp_path, HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path / "file")), "note")
    assert notes == [
        f"HOME is {tmp_path}/file, which is no folder: programs that keep a cache there may fail",
        f"TMPDIR is {tmp_path}/file, which is no folder: programs that need temporary files may fail",
    ]


@pytest.mark.parametrize(
    ("fine", "level"), [((), "problem"), (("RUNNER_TEMP",), "note"), (("XDG_CACHE_HOME",), "note"), (("RUNNER_TOOL_CACHE",), None)]
)
def test_the_actions_environment_needs_one_folder_of_four(tmp_path: Path, fine: tuple[str, ...], level: str | None) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "good").mkdir()
    names = ("RUNNER_TOOL_CACHE", "RUNNER_TEMP", "XDG_CACHE_HOME", "HOME")
    env = {name: str(tmp_path / ("good" if name in fine else "file")) for name in names}
    findings = [f for f in found(tmp_path, **env) if "RUNNER_TOOL_CACHE" in f.message]
    assert [f.level for f in findings] == ([level] if level else [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_another_user_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    assert unwritable(tmp_path / "closed" / "below") == f"and this user may not write to {tmp_path}/closed"


def test_a_folder_on_a_disk_that_is_mounted_read_only_or_starts_nothing(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o ro none {tmp_path} && exec {sys.executable} -c \"from pathlib import Path; from mlops_toolkit.doctor.checks.environment import unwritable; print(unwritable(Path('{tmp_path}')))\""
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "not permitted" in done.stderr:
        pytest.skip("file systems cannot be mounted here")
    assert done.stdout.strip() in ("which is mounted read-only", "which this user may not write to"), done.stderr


def test_without_a_home_it_says_so(tmp_path: Path) -> None:
    root = repository(tmp_path)
    env = {name: value for name, value in environment(tmp_path).items() if name != "HOME" and not name.startswith("XDG")}
    notes = of(list(check(patient(root, env))), "note")
    assert any(note.startswith("HOME is not set") for note in notes)
