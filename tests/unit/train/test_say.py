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
            "m is sha256:1a2b3c4d5e6f (999 bytes), kept in s3://bucket/models",
        ),
        (
            Model(HEX, 8_100_000_000, "m", stores=("oci://ghcr.io/o/r:sha256-1a",)),
            "m is sha256:1a2b3c4d5e6f (8.10 GB), kept in oci://ghcr.io/o/r",
        ),
        (Model(HEX, 0, "m", reason="`models.store` is none"), "m is sha256:1a2b3c4d5e6f (0 bytes), kept nowhere: `models.store` is none"),
    ],
)
def test_what_is_left(model: Model, line: str) -> None:
    assert say.left(model) == line


def test_what_it_took() -> None:
    assert say.took(Resources(wall_seconds=192.3, peak_memory=1_234_000_000)) == "trained in 3 min 12 s, at most 1.23 GB of memory"
    assert say.took(Resources(wall_seconds=0.8)) == "trained in 0.8 s"
