"""Lines of the journal are whole or not there, after power cuts, on full disks, and with several who write."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.journal import FileJournal


def test_every_way_of_tearing_the_last_line_leaves_the_others(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    for n in range(3):
        journal.add({"what": "did", "n": n, "text": "größer"})
    whole = journal.path.read_bytes()
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for end in range(second, len(whole)):
        journal.path.write_bytes(whole[:end])
        found = journal.read()
        assert [one["n"] for one in found[:2]] == [0, 1]
        assert len(found) == (3 if end == len(whole) - 1 else 2)
        assert journal.torn == (1 if second < end < len(whole) - 1 else 0)
        journal.add({"what": "did", "n": 9})
        assert [one["n"] for one in journal.read()][-1] == 9
    journal.path.write_bytes(whole + b"\0" * 4096)  # what a file system leaves of blocks that were never written
    assert len(journal.read()) == 3
    journal.add({"what": "did", "n": 9})
    assert [one["n"] for one in journal.read()] == [0, 1, 2, 9]


def test_it_is_read_again_only_where_somebody_wrote(tmp_path: Path) -> None:
    """Whoever waits looks at it every second, and all deployments of years are in it."""
    here, elsewhere = FileJournal(tmp_path), FileJournal(tmp_path)
    elsewhere.add({"what": "did", "n": 1})
    found = here.read()
    assert here.read() is found
    elsewhere.add({"what": "did", "n": 2})
    assert [one["n"] for one in here.read()] == [1, 2]


def test_several_who_write_at_once(tmp_path: Path) -> None:
    def write(who: int) -> None:
        for n in range(30):
            FileJournal(tmp_path).add({"what": "asked", "who": who, "n": n, "pad": "x" * 5000})

    crowd = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    journal = FileJournal(tmp_path)
    found = journal.read()
    assert (len(found), journal.torn) == (120, 0)
    assert all([one["n"] for one in found if one["who"] == who] == list(range(30)) for who in range(4))


FULL = """
import resource, signal, sys
from pathlib import Path
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.journal import FileJournal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = FileJournal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 20, resource.RLIM_INFINITY))
try:
    journal.add({"what": "did", "text": "x" * 100})
except EnvironmentFailure as error:
    print(error.name, error.hint)
"""


def test_a_line_that_does_not_fit_is_not_there_at_all(tmp_path: Path) -> None:
    """The system takes 20 bytes of it, and no more."""
    journal = FileJournal(tmp_path)
    journal.add({"what": "did", "n": 1})
    before = journal.path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("journal-unwritable make room")
    assert journal.path.read_bytes() == before


def test_a_full_disk_has_room_for_the_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is kept free while there is some, and used when there is none."""
    journal = FileJournal(tmp_path)
    journal.add({"what": "did", "n": 1})
    reserve = tmp_path / "reserve"
    assert reserve.stat().st_size == 65536
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if reserve.exists() or len(data) > 5000:
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    journal.add({"what": "back", "n": 2})
    assert [one["n"] for one in journal.read()] == [1, 2]
    with pytest.raises(EnvironmentFailure, match="No space left on device"):
        journal.add({"what": "did", "n": 3, "pad": "x" * 6000})
    assert [one["n"] for one in journal.read()] == [1, 2]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFailure) as caught:
        FileJournal(tmp_path / "file").add({"what": "did"})
    assert caught.value.name == "journal-unwritable"
    assert FileJournal(tmp_path / "not-there").read() == ()
