"""Models in cloud storage, on fsspec's in-memory file system."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models import remote
from mlops_toolkit.models.base import Setting, below
from mlops_toolkit.models.digest import digest
from mlops_toolkit.models.remote import RemoteStore, open_store
from tests.unit.models import stores

BASE = "memory://bucket/models"


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def store(tmp_path: Path) -> RemoteStore:
    return open_store(BASE + "/", Setting({"XDG_CACHE_HOME": str(tmp_path / "cache")}, "repository"))


def test_it_is_a_store(tmp_path: Path, memory: Any) -> None:
    stores.keeps_what_it_is_given(store(tmp_path), tmp_path)
    assert memory.find("bucket/models") == []


def test_it_refuses_what_changed(tmp_path: Path, memory: Any) -> None:
    stores.refuses_what_changed_since_its_digest_was_taken(store(tmp_path), tmp_path)


@pytest.mark.parametrize("how", ["another content", "a lost file", "a list of nonsense", "a path that leads out", "another model's list"])
def test_it_gives_nothing_back_that_was_damaged(tmp_path: Path, memory: Any, how: str) -> None:
    def damage(address: str) -> None:
        place = address.removeprefix("memory:/")
        if how == "another content":
            memory.pipe_file(f"{place}/files/twin", b"[]")
        elif how == "a lost file":
            memory.rm_file(f"{place}/files/twin")
        elif how == "a list of nonsense":
            memory.pipe_file(f"{place}/model.json", b"[1]")
        else:
            listed = json.loads(memory.cat_file(f"{place}/model.json"))
            listed["files"][0 if how == "a path that leads out" else 1]["path"] = (
                "../out" if how == "a path that leads out" else "elsewhere"
            )
            memory.pipe_file(f"{place}/files/../out", b"")
            memory.pipe_file(f"{place}/model.json", json.dumps(listed).encode())

    stores.gives_nothing_back_that_was_damaged(store(tmp_path), tmp_path, damage)
    assert not (tmp_path / "out").exists()


def test_a_half_upload_is_no_model(tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the list is written, there is nothing; the next try completes it."""
    model = stores.model(tmp_path / "model")
    known = digest(model).digest

    def die(_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(remote, "_list", die)
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path).put(model, known)
    assert len(memory.find("bucket/models")) == 6
    assert not store(tmp_path).has(f"{BASE}/{below(known)}", known)
    assert store(tmp_path).put(model, known) == f"{BASE}/{below(known)}"


def test_a_full_disk_is_told_from_a_store_out_of_reach(tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = stores.model(tmp_path / "model")
    known = digest(model).digest
    address = store(tmp_path).put(model, known)

    def full(self: object, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("io.FileIO", type("Full", (io.FileIO,), {"write": full}))
    with pytest.raises(EnvironmentFailure, match="the model cannot be written: No space left on device") as caught:
        store(tmp_path).get(address, known, tmp_path / "back")
    assert caught.value.name == "model-not-written"


def test_a_missing_backend_says_what_to_install(tmp_path: Path) -> None:
    opened = open_store("gs://bucket/models", Setting({}, "r"))
    with pytest.raises(EnvironmentFailure) as caught:
        opened.get("gs://bucket/models/x", stores.ABSENT, tmp_path / "to")
    assert caught.value.name == "package-missing"
    assert caught.value.hint == "pip install gcsfs"
    assert not opened.has("gs://bucket/models/x", stores.ABSENT)


def test_a_store_needs_a_place() -> None:
    with pytest.raises(UsageError, match="names no place"):
        open_store("s3:///", Setting({}, "r"))
