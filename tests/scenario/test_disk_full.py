"""A disk that is full, for real: a few megabytes of memory as a file system, filled to the last kilobytes while a verb writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def with_room(repository: Repository, disk: Path, room: int, *words: str) -> subprocess.CompletedProcess[str]:
    """The verb on a disk on which only `room` bytes are free."""
    status, ballast = os.statvfs(disk), disk / "ballast"
    with ballast.open("wb") as out:
        out.write(bytes(max(status.f_bavail * status.f_frsize - room, 0)))
    command = [sys.executable, "-m", "mlops_toolkit", *words]
    try:
        return subprocess.run(command, cwd=repository.root, env=repository.env, capture_output=True, text=True, check=False, timeout=120)
    finally:
        ballast.unlink()


def test_every_verb_says_so_once_loses_nothing_and_is_whole_the_next_time(disk: Path) -> None:
    repository = make(disk / "project", config=CONFIG)
    repository.env |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(disk)}
    repository.mlops("review")
    first = repository.record["id"]
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(40)
    for verb, rooms in {"train": (0, 8192, 16384), "evaluate": (0, 20480, 40960), "compare": (0, 20480)}.items():
        for room in rooms:
            done = with_room(repository, disk, room, verb)
            assert "mlops_toolkit/" not in done.stderr, done.stderr
            said = [line for line in done.stderr.splitlines() if line.startswith(f"mlops {verb}: ")]
            if verb == "compare":  # what cannot be kept changes no verdict
                assert done.returncode == 0, done.stderr
                assert "shown not worse" in done.stdout
                assert any("No space left on device" in line for line in said)
                continue
            assert done.returncode in (0, 4, 5), done.stderr  # 5: it was the user's own command that met it
            assert done.returncode == 0 or len(said) == 1, done.stderr
            if room == 0:
                assert (done.returncode, "No space left on device" in said[0]) == (4, True)
                assert "make room" in done.stderr
        repository.mlops(verb)
    assert repository.report["verdict"] == "pass"
    listed = repository.mlops("history", "list", "--json").stdout
    assert '"notes": []' in listed
    assert first in listed
    repository.mlops("review")
    assert repository.report["verdict"] == "pass"
