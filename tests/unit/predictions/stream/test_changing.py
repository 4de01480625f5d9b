"""A large file that changes while it is read is refused with one sentence: nothing is said of a mixture of two states."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.compare import sides
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.predictions import sized
from mlops_toolkit.predictions.stream import admit, align, source, text
from mlops_toolkit.records.run import Artifact
from mlops_toolkit.system.files import sha256
from tests.unit.gate.drawn import request
from tests.unit.predictions.stream import small

N = 2000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(source, "ROWS", 100)
    monkeypatch.setattr(source, "BYTES", 1000)
    with small.blocks(monkeypatch, 100, 500):
        yield


def write(path: Path, *, right: float, n: int = N) -> None:
    rng = np.random.default_rng(5)
    target = rng.integers(0, 2, n)
    answers = np.where(rng.random(n) < right, target, 1 - target)
    frame = pl.DataFrame({"id": np.arange(n), "target": target.astype(str), "prediction": answers.astype(str)})
    frame.write_parquet(path, row_group_size=100, compression="uncompressed") if path.suffix == ".parquet" else frame.write_csv(path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"7777,1,1\n")


def replaced(path: Path) -> None:
    new = path.with_name(f"new{path.suffix}")
    write(new, right=1.0)
    new.replace(path)


def rewritten(path: Path) -> None:
    """The same size, and the time of change put back: better answers in place."""
    before = path.stat()
    write(path, right=1.0)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def removed(path: Path) -> None:
    path.unlink()


WAYS = [truncated, appended, replaced, rewritten, removed]


def compared(base: Path, head: Path) -> Any:
    about: dict[str, Any] = {"task": "classification", "positive": None}
    both = [Loaded(path.stem, tables={"": sized.answers(path, name=path.name, **about)}) for path in (base, head)]
    return assemble(request("gate: {accuracy: {max-drop: 1pp}}"), *both)


def _then(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, change: Callable[[], None], *, after: bool) -> None:
    """Let the change happen once, before or after a step."""
    real, done = getattr(where, name), []

    def step(*args: Any, **kwargs: Any) -> Any:
        if not done and not after:
            done.append(change())
        found = real(*args, **kwargs)
        if not done:
            done.append(change())
        return found

    monkeypatch.setattr(where, name, step)


@pytest.mark.parametrize("change", WAYS)
@pytest.mark.parametrize(
    ("where", "name", "after"),
    [(admit._Admission, "_take", False), (align, "_side_by_side", False), (align.Extras, "slices", True)],
    ids=["in the first pass", "between the passes", "in the second pass"],
)
def test_a_parquet_file_that_changes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], where: Any, name: str, after: bool
) -> None:
    base, head = tmp_path / "main.parquet", tmp_path / "mine.parquet"
    write(base, right=0.9)
    write(head, right=0.8)
    assert compared(base, head).verdict == "fail"
    _then(monkeypatch, where, name, lambda: change(head if where is not admit._Admission else base), after=after)
    with pytest.raises(EnvironmentFailure) as refused:
        compared(base, head)
    assert refused.value.name == "file-changed"
    assert "nothing is said of a mixture" in str(refused.value)


@pytest.mark.parametrize("change", WAYS)
@pytest.mark.parametrize("name", ["_text", "_why"])
def test_text_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], name: str
) -> None:
    base, head = tmp_path / "main.csv", tmp_path / "mine.csv"
    write(base, right=0.9)
    write(head, right=0.8)
    if name == "_why":  # while it is looked for what is wrong with it
        head.write_text(head.read_text() + "1,2,3,4,5\n")
    _then(monkeypatch, text, name, lambda: change(base if name == "_text" else head), after=True)
    with pytest.raises(EnvironmentFailure) as refused:
        compared(base, head)
    assert refused.value.name == "file-changed"


def test_text_that_changes_later_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, head = tmp_path / "main.csv", tmp_path / "mine.csv"
    write(base, right=0.9)
    write(head, right=0.8)
    _then(monkeypatch, align, "_side_by_side", lambda: replaced(head), after=False)
    assert compared(base, head).verdict == "fail"


def test_a_file_is_held_to_the_state_in_which_its_digest_was_taken(tmp_path: Path) -> None:
    head = tmp_path / "mine.parquet"
    write(head, right=0.8)
    artifact = Artifact("mine.parquet", sha256(head), head.stat().st_size)
    since = sides._intact(head, artifact, "the predictions")
    rewritten(head)
    with pytest.raises(EnvironmentFailure, match="nothing is said of a mixture"):
        sized.answers(head, task="classification", positive=None, name="mine", since=since)
    with pytest.raises(InvalidFile, match="sha256 differs"):
        sides._intact(head, artifact, "the predictions")
