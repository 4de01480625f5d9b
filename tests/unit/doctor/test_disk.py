"""The check of disks: one that is really full, one without file entries, and the last model's size beside what is free."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_toolkit.doctor.checks import disk
from mlops_toolkit.doctor.checks.disk import check
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Model, Run
from tests import needs
from tests.unit.doctor.places import environment, patient, repository


def free(monkeypatch: pytest.MonkeyPatch, size: float, *, files: int = 10**6) -> None:
    """A disk with so many bytes and file entries left."""
    made = SimpleNamespace(f_bavail=int(size) // 512, f_frsize=512, f_files=10**7, f_favail=files)
    monkeypatch.setattr(disk.os, "statvfs", lambda _: made)


@pytest.mark.parametrize(
    ("size", "files", "level", "sure", "said"),
    [
        (10e9, 10**6, "fine", False, "10.0 GB free for the work"),
        (2e9, 10**6, "note", False, "only 2.0 GB free"),
        (50e6, 10**6, "problem", True, "only 50 MB free"),
        (0, 10**6, "problem", True, "only 0 MB free"),
        (10e9, 12, "problem", True, "only 12 more files fit"),
    ],
)
def test_how_much_is_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: float, files: int, level: str, sure: bool, said: str
) -> None:
    root = repository(tmp_path)
    free(monkeypatch, size, files=files)
    finding = next(iter(check(patient(root, environment(tmp_path)))))
    assert (finding.level, finding.sure) == (level, sure)
    assert said in finding.message


@pytest.mark.parametrize(("size", "level"), [(7e9, "problem"), (15e9, "problem"), (17e9, "fine")])
def test_a_model_like_the_last_one_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: float, level: str) -> None:
    """Not surely: the one before may go first. So a run is begun all the same."""
    root = repository(tmp_path)
    (root / ".mlops").mkdir()
    trained = Model("sha256:" + "a" * 64, int(8e9), "model", "folder", ())
    (root / ".mlops" / "run.json").write_text(records.dumps(Run("20260301-120000-a1b2c3", "spam-filter", trained=trained)))
    free(monkeypatch, size)
    finding = next(iter(check(patient(root, environment(tmp_path)))))
    assert (finding.level, finding.sure) == (level, False)
    if level == "problem":
        assert "the last model takes 8.0 GB, and a run writes it twice" in finding.message


def test_a_disk_that_is_really_full_is_told_by_the_command_line(tmp_path: Path) -> None:
    """A file system of 8 MB in a name space of our own, filled; the temporary folder on another of few file entries."""
    unshare = needs.require("mount", "unshare", "mount")["unshare"]
    root = repository(tmp_path / "disk")
    places = {name: tmp_path / name for name in ("full", "few")}
    for place in places.values():
        place.mkdir()
    script = (
        f"mount -t tmpfs -o size=8m none {places['full']} && mount -t tmpfs -o nr_inodes=20 none {places['few']} && cp -r {root} {places['full']}/work && "
        f"cd {places['full']}/work && exec {sys.executable} -m mlops_toolkit doctor"
    )
    env = environment(tmp_path, TMPDIR=str(places["few"]), PYTHONPATH=str(Path.cwd()))
    done = subprocess.run([unshare, "--map-root-user", "--mount", "sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        needs.missing("mount", "file systems cannot be mounted here")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "✗ disk: only 8 MB free for the work" in done.stdout
    assert "✗ disk: only " in done.stdout.split("the work", 1)[1]
    assert "more files fit for temporary files" in done.stdout
