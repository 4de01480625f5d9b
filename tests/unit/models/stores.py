"""What every store must do, written once; each store's tests call it with theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.models.base import Store
from mlops_toolkit.models.digest import digest

ABSENT = "sha256:" + "0" * 64


def model(folder: Path) -> Path:
    """A model with everything awkward: folders, odd names, an executable, an empty file, two equal files, a link."""
    (folder / "sub dir" / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "sub dir" / "a 'quoted' ü, #1?.json").write_text("{}")
    (folder / "sub dir" / "deep" / "empty").write_bytes(b"")
    (folder / "twin").write_text("{}")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "last").symlink_to("weights.bin")
    return folder


def keeps_what_it_is_given(store: Store, tmp_path: Path) -> None:
    folder, file = model(tmp_path / "model"), tmp_path / "model.onnx"
    file.write_bytes(b"onnx" * 1000)
    for path in (folder, file):
        known = digest(path)
        address = store.put(path, known.digest)
        assert store.has(address, known.digest)
        assert store.put(path, known.digest) == address
        back = tmp_path / "back" / path.name
        store.get(address, known.digest, back)
        assert digest(back) == known if path is folder else digest(back).digest == known.digest
        (back / "weights.bin" if path is folder else back).write_bytes(b"mine now")
        again = tmp_path / "again" / path.name
        store.get(address, known.digest, again)
        assert digest(again).digest == known.digest
        store.delete(address)
        assert not store.has(address, known.digest)
        store.delete(address)
        with pytest.raises(EnvironmentFailure) as caught:
            store.get(address, known.digest, tmp_path / "never")
        assert (caught.value.name, caught.value.code) == ("model-unreachable", 4)
        assert not (tmp_path / "never").exists()


def refuses_what_changed_since_its_digest_was_taken(store: Store, tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    known = digest(folder).digest
    (folder / "twin").write_text("[]")
    with pytest.raises(EnvironmentFailure) as caught:
        store.put(folder, known)
    assert caught.value.name == "model-changed"


def gives_nothing_back_that_was_damaged(store: Store, tmp_path: Path, damage: Callable[[str], None]) -> None:
    folder = model(tmp_path / "model")
    known = digest(folder).digest
    address = store.put(folder, known)
    damage(address)
    with pytest.raises(EnvironmentFailure) as caught:
        store.get(address, known, tmp_path / "back")
    assert caught.value.name in ("model-damaged", "model-unreachable")
    assert list(tmp_path.glob("**/.back*")) == []
    assert not (tmp_path / "back").exists()
