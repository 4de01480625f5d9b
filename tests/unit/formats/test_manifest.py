"""A model's folder says what it holds; one that says what cannot be meant, or that is not as it was saved, is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_toolkit as mlops
from mlops_toolkit.errors import InvalidFile, MlopsError
from mlops_toolkit.formats import manifest
from tests.unit.formats.saved import save


def test_what_is_written_is_read_again_byte_for_byte(tmp_path: Path) -> None:
    folder = save(tmp_path)
    read = manifest.read(folder)
    assert manifest.written(read) == (folder / manifest.NAME).read_bytes()
    manifest.verify(folder, read)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(schema=2), "schema 2"),
        (lambda m: m["files"].update({"../outside": {"sha256": "0" * 64, "size": 1}}), "no path below"),
        (lambda m: m["files"].update({"/etc/passwd": {"sha256": "0" * 64, "size": 1}}), "no path below"),
        (lambda m: m["native"].update(file="../../etc"), "none of its files"),
        (lambda m: m["served"].update(file="golden.np"), "none of its files"),
        (lambda m: m["inputs"][0].update(dtype="FP128"), "no type"),
        (lambda m: m["inputs"][0].update(shape=[-2]), "shape"),
        (lambda m: m.pop("outputs"), "outputs"),
        (lambda m: m.update(files=[]), "items"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    folder = save(tmp_path)
    data = json.loads((folder / manifest.NAME).read_text())
    change(data)
    (folder / manifest.NAME).write_text(json.dumps(data))
    with pytest.raises(InvalidFile, match=said) as raised:
        mlops.load(folder)
    assert raised.value.name == "bad-model"


def damage(folder: Path, how: str) -> None:
    weights = folder / "code/weights.json"
    if how == "changed":
        weights.write_text("[9, 9, 9, 9]")
    elif how == "missing":
        weights.unlink()
    elif how == "new":
        (folder / "code/json.py").write_text("raise SystemExit('ran')")
    elif how == "link":
        weights.rename(folder.parent / "elsewhere.json")
        weights.symlink_to(folder.parent / "elsewhere.json")


@pytest.mark.parametrize(
    ("how", "name"), [("changed", "model-damaged"), ("missing", "model-damaged"), ("new", "model-damaged"), ("link", "bad-model")]
)
def test_a_folder_that_is_not_as_it_was_saved_is_not_loaded(how: str, name: str, tmp_path: Path) -> None:
    folder = save(tmp_path)
    damage(folder, how)
    with pytest.raises(InvalidFile) as raised:
        mlops.load(folder)
    assert raised.value.name == name


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["schema", "native", "served", "inputs", "outputs", "files", "format", "file", "options", "name", "dtype", "shape"]
                ),
                inner,
                max_size=6,
            )
        ),
    )
)
def test_no_json_makes_it_fail_otherwise(data: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / manifest.NAME).write_text(json.dumps(data if not isinstance(data, dict) else {"schema": 1, **data}))
        with pytest.raises(MlopsError):
            manifest.read(Path(folder))


def test_paths() -> None:
    assert all(manifest.safe(name) for name in ("a", "a/b.txt", "…/ü"))
    assert not any(manifest.safe(name) for name in ("", "/a", "../a", "a/../b", "a\\b", "a//b", "./a", "a\0b"))
