"""A package index of wheels made by hand, in a folder: what pip resolves and brings, without a network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    files: Mapping[str, str | bytes] | None = None,
    requires: Sequence[str] = (),
    licence: str | None = None,
) -> str:
    """Put one there; its sha256 in hex."""
    base = name.replace("-", "_")
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    metadata += [f"License: {licence}"] if licence else []
    info = f"{base}-{version}.dist-info"
    contents = {
        **(files if files is not None else {f"{base}/__init__.py": f"VERSION = {version!r}\n"}),
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in contents.items():
            archive.writestr(zipfile.ZipInfo(place), content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip know this folder alone."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
