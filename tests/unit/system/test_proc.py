"""Programs that are called for their answer."""

from __future__ import annotations

import os

import pytest

from mlops_toolkit.system import proc


@pytest.mark.parametrize("whole", [False, True])
def test_no_program_is_told_what_is_said_to_us_alone(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's password and the signing key stay here, in our own environment as in one that is given; the rest goes along."""
    for name in proc.OURS:
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("ELSE", "told")
    for env in (None, dict(os.environ)):
        said = proc.run(["env"], env=env, whole=whole).text
        assert "hush" not in said
        assert "ELSE=told" in said
