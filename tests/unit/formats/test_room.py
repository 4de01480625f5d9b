"""Frameworks that unpack what they load find a place in a container that can be written nowhere else."""

from __future__ import annotations

import tempfile

import pytest

from mlops_toolkit.formats import base


def nowhere() -> str:
    raise FileNotFoundError


def test_shared_memory_is_the_temporary_folder_only_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/before")
    base.room()
    assert tempfile.tempdir == "/before"
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(base.os, "access", lambda place, mode: False)
    base.room()
    assert tempfile.tempdir == "/before"
    monkeypatch.setattr(base.os, "access", lambda place, mode: True)
    base.room()
    assert str(tempfile.tempdir).endswith("shm")
