"""What another job handed over is found whatever lies beside it, and nothing that lies there is followed, run or believed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.history import handed
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Artifact, Evaluation, MetricValue, Run

ROWS = b"id,target\n1,a\n"
RUN = Run(
    id="20261124-092057-3f9a1c",
    model="cats",
    config="models/cats/mlops.yaml",
    commit="a" * 40,
    status="succeeded",
    evaluations={"": Evaluation(predictions=Artifact("predictions/main.parquet", hashlib.sha256(ROWS).hexdigest(), len(ROWS)))},
    metrics={"accuracy": MetricValue(0.9, 100, "accuracy", "higher")},
)


def lay(folder: Path, run: Run = RUN, *, rows: bytes = ROWS) -> Path:
    """A `.mlops` folder as a job leaves it."""
    own = folder / "runs" / run.id
    (own / "predictions").mkdir(parents=True)
    (own / "predictions" / "main.parquet").write_bytes(rows)
    (own / "log-train.txt").write_text("not named by the record")
    for place in (own / "run.json", folder / "run.json"):
        place.write_text(records.dumps(run))
    return folder


@pytest.mark.parametrize(
    "place", [".", "artifact", "artifact/models/cats/.mlops", "a/b/c/d/e/f/g/h", "ü ß/'\"$(id)", "runs/20261124-092057-3f9a1c"]
)
def test_a_run_is_found_at_any_depth_once(tmp_path: Path, place: str) -> None:
    lay(tmp_path / place)
    found = handed.find(tmp_path)
    assert [one.run for one in found.runs] == [RUN]
    assert found.refused == ()
    found.runs[0].take(tmp_path / "ours")
    kept = tmp_path / "ours" / "runs" / RUN.id
    assert (kept / "predictions" / "main.parquet").read_bytes() == ROWS
    assert records.loads((kept / "run.json").read_bytes(), where="x") == RUN
    assert not (kept / "log-train.txt").exists()


def test_files_beside_a_record_alone_are_its_own(tmp_path: Path) -> None:
    (lay(tmp_path / "x") / "runs" / RUN.id).rename(tmp_path / "flat")
    (tmp_path / "x" / "run.json").unlink()
    (one,) = handed.find(tmp_path).runs
    assert one.folder == tmp_path / "flat"


def test_several_models_legs_and_attempts_are_all_found(tmp_path: Path) -> None:
    runs = [
        RUN,
        replace(RUN, id="20261124-092057-000001", matrix="large"),
        replace(RUN, id="20261124-092057-000002", model="dogs", config="models/dogs/mlops.yaml"),
        replace(RUN, id="20261124-092057-000003"),
    ]
    for number, run in enumerate(runs):
        lay(tmp_path / str(number), run)
    assert {one.run.id for one in handed.find(tmp_path).runs} == {run.id for run in runs}


Spoil = Callable[[Path], None]


def _link(state: Path) -> None:
    place = state / "runs" / RUN.id / "predictions"
    place.rename(state / "elsewhere")
    place.symlink_to(state / "elsewhere")


def _absolute(state: Path) -> None:
    place = state / "runs" / RUN.id / "predictions" / "main.parquet"
    place.unlink()
    place.symlink_to("/etc/hostname")


CHANGED: dict[str, Spoil] = {
    "other bytes": lambda s: (s / "runs" / RUN.id / "predictions" / "main.parquet").write_bytes(ROWS[::-1]) and None,
    "more bytes": lambda s: (s / "runs" / RUN.id / "predictions" / "main.parquet").write_bytes(ROWS * 2) and None,
    "a folder that is a link": _link,
    "a file that is a link": _absolute,
}


@pytest.mark.parametrize("what", CHANGED)
def test_files_that_are_not_what_the_record_names_are_not_taken(tmp_path: Path, what: str) -> None:
    CHANGED[what](lay(tmp_path / "theirs"))
    (one,) = handed.find(tmp_path / "theirs").runs
    with pytest.raises(InvalidFile) as caught:
        one.take(tmp_path / "ours")
    assert caught.value.name == "changed-file"
    assert not list((tmp_path / "ours").rglob("*.parquet"))
    assert not list((tmp_path / "ours").rglob("run.json"))


def test_a_runs_folder_that_is_a_link_is_not_looked_into(tmp_path: Path) -> None:
    state = lay(tmp_path / "theirs")
    (state / "runs").rename(tmp_path / "secret")
    (state / "runs").symlink_to(tmp_path / "secret")
    (one,) = handed.find(state).runs
    assert one.folder == state
    assert one.file(one.named()[0]) is None


def test_a_file_that_was_not_handed_over_is_none_and_the_record_is_taken(tmp_path: Path) -> None:
    (lay(tmp_path / "theirs") / "runs" / RUN.id / "predictions" / "main.parquet").unlink()
    (one,) = handed.find(tmp_path / "theirs").runs
    assert one.file(one.named()[0]) is None
    one.take(tmp_path / "ours")
    assert (tmp_path / "ours" / "runs" / RUN.id / "run.json").is_file()


def test_a_store_is_not_named_by_what_was_handed_over(tmp_path: Path) -> None:
    kept = replace(RUN.evaluations[""], predictions=Artifact("s3://theirs/x#main.parquet", "0" * 64, 1))
    lay(tmp_path, replace(RUN, evaluations={"": kept}))
    (one,) = handed.find(tmp_path).runs
    assert one.named() == ()


def test_another_run_of_ours_is_not_written_over(tmp_path: Path) -> None:
    lay(tmp_path / "ours", replace(RUN, model="dogs"))
    lay(tmp_path / "theirs")
    (one,) = handed.find(tmp_path / "theirs").runs
    with pytest.raises(InvalidFile) as caught:
        one.take(tmp_path / "ours")
    assert caught.value.name == "id-taken"
    assert json.loads((tmp_path / "ours" / "runs" / RUN.id / "run.json").read_text())["model"] == "dogs"
    lay(tmp_path / "again")
    (one,) = handed.find(tmp_path / "again").runs
    one.take(tmp_path / "third")
    one.take(tmp_path / "third")  # the same run, a second time


REFUSED: dict[str, str | bytes] = {
    "no JSON": "hello",
    "no text": b"\xff\xfe\x00",
    "half of a character": records.dumps(RUN).replace('"cats"', '"\\ud800"', 1),
    "another document": "{}",
    "of a later version": records.dumps(RUN).replace('"schema": 1', '"schema": 99'),
    "a path that leads out": records.dumps(RUN).replace("predictions/main.parquet", "../../../etc/passwd"),
    "a leg that is none": records.dumps(RUN).replace('"matrix": null', '"matrix": "a|b"'),
    "brackets without end": "[" * 500_000,
    "a number without end": records.dumps(RUN).replace("0.9", "1e999"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_record_is_passed_over_and_named(tmp_path: Path, what: str) -> None:
    content = REFUSED[what]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    lay(tmp_path / "good")
    found = handed.find(tmp_path)
    assert [one.run.id for one in found.runs] == [RUN.id]
    assert len(found.refused) == 1
    assert found.refused[0].startswith("bad/run.json")
    assert "\n" not in found.refused[0]


def test_links_pipes_and_folders_in_a_records_place_are_no_records(tmp_path: Path) -> None:
    lay(tmp_path / "good")
    for name in ("link", "pipe", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "link" / "run.json").symlink_to(tmp_path / "good" / "run.json")
    os.mkfifo(tmp_path / "pipe" / "run.json")
    (tmp_path / "folder" / "run.json").mkdir()
    (tmp_path / "round").symlink_to(tmp_path)
    found = handed.find(tmp_path)
    assert [one.where for one in found.runs] != []
    assert len(found.runs) == 1
    assert len(found.refused) == 3


def test_too_many_or_too_large_records_are_named_and_the_latest_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(records.dumps(RUN))
    monkeypatch.setattr(handed, "MOST_BYTES", 5 * size)
    for number in range(8):
        place = tmp_path / "runs" / f"20261124-092057-00000{number}"
        place.mkdir(parents=True)
        (place / "run.json").write_text(records.dumps(replace(RUN, id=place.name)))
    found = handed.find(tmp_path)
    assert [one.run.id[-1] for one in found.runs] == list("34567")
    assert len(found.refused) == 3
    monkeypatch.setattr(handed, "MOST_PLACES", 3)
    assert "the rest was not looked at" in handed.find(tmp_path).refused[0]


def test_a_name_cannot_move_the_cursor_or_end_the_line(tmp_path: Path) -> None:
    place = tmp_path / "a\x1b[31m\n::error::b"
    place.mkdir()
    (place / "run.json").write_text("no")
    (said,) = handed.find(tmp_path).refused
    assert said.isprintable()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert handed.find(tmp_path / "nowhere") == handed.Found()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_it_is_a_record_or_is_named(data: st.DataObject) -> None:
    """A record with some of its bytes changed: never an exception, never a file out of its folder."""
    raw = bytearray(records.dumps(RUN).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        state = lay(Path(folder) / "theirs")
        for place in (state / "run.json", state / "runs" / RUN.id / "run.json"):
            place.write_bytes(raw)
        found = handed.find(state)
        assert found.runs or found.refused
        for one in found.runs:
            for artifact in one.named():
                try:
                    path = one.file(artifact)
                except InvalidFile:
                    continue
                assert path is None or path.resolve().is_relative_to(state.resolve())
