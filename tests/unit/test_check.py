"""The checks of `make check` pass."""

from __future__ import annotations

import pytest

from tests.check import CHECKS, check


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "layers"])
def test_the_check_passes(name: str) -> None:
    """Style, types, generated files and workflows are in order; the layers have their own test."""
    passed, output = check(name)
    assert passed, output
