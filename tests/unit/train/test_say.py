"""The lines that people read."""

from __future__ import annotations

import pytest

from mlops_toolkit.records.run import Model, Resources, Run
from mlops_toolkit.train import say

HEX = "sha256:" + "1a2b3c4d5e6f" * 6


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ((), "training, because its inputs are new"),
        (("a.py changed",), "training, because a.py changed since run R"),
        (("a changed", "b changed", "c added"), "training, because a changed, b changed, c added since run R"),
        (("a changed", "b changed", "c added", "d added"), "training, because a changed, b changed and 2 more since run R"),
    ],
)
def test_why_it_trains(changed: tuple[str, ...], line: str) -> None:
    assert say.because("its inputs are new", changed, "R") == line


def test_what_is_reused() -> None:
    assert (
        say.reused(Run(id="R", model="m", commit="a1b2c3d4" * 5, branch="main"))
        == "nothing to train: run R (main, a1b2c3d) trained the same"
    )
    assert say.reused(Run(id="R", model="m")) == "nothing to train: run R trained the same"


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            Model(HEX, 14_230_000, "model/", stores=("file:sha256/1a/1a2b",)),
            "model/ is sha256:1a2b3c4d5e6f (14.2 MB), kept on this machine",
        ),
        (
            Model(HEX, 999, "m", stores=("s3://bucket/models/sha256/1a/1a2b",)),
            "m is sha256:1a2b3c4d5e6f (999 B), kept in s3://bucket/models",
        ),
        (
            Model(HEX, 8_100_000_000, "m", stores=("oci://ghcr.io/o/r:sha256-1a",)),
            "m is sha256:1a2b3c4d5e6f (8.1 GB), kept in oci://ghcr.io/o/r",
        ),
        (Model(HEX, 0, "m", reason="`models.store` is none"), "m is sha256:1a2b3c4d5e6f (0 B), kept nowhere: `models.store` is none"),
    ],
)
def test_what_is_left(model: Model, line: str) -> None:
    assert say.left(model) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 m 0 s"), (192, "3 m 12 s"), (21900, "6 h 5 m")]
)
def test_how_long(seconds: float, text: str) -> None:
    assert say.lasted(seconds) == text


def test_what_it_took() -> None:
    assert say.took(Resources(wall_seconds=192.3, peak_memory=1_234_000_000)) == "trained in 3 m 12 s, at most 1.2 GB of memory"
    assert say.took(Resources(wall_seconds=0.8)) == "trained in 0.8 s"
