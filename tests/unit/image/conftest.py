"""Models, bases and a store for images, small enough to build many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import mlops_toolkit as mlops
from mlops_toolkit.image import runtime
from mlops_toolkit.image.packages import Resolved, Wheels
from mlops_toolkit.image.wanted import Package, Wanted
from mlops_toolkit.oci.reference import Reference
from tests.world import images, wheels
from tests.world.registry import Running, open_registry

__all__ = ["open_registry"]
HANDLER = "class Model:\n    def load(self, folder):\n        pass\n    def predict(self, inputs):\n        return {{'y': inputs['x'] * {factor}}}\n"


def save(folder: Path, factor: int = 2, files: Sequence[Path] = ()) -> Path:
    """A model that multiplies, in a folder of its own. files: beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predict.py").write_text(HANDLER.format(factor=factor))
    return mlops.save(str(folder / "predict.py"), folder / "model", example={"x": np.arange(6.0)}, files=list(files))


@pytest.fixture
def wanted(
    tmp_path: Path, open_registry: Running, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Wanted]:
    """An image of a small model, on a base of a few bytes, with a package of a few bytes, in a repository of the test's own."""
    sha = wheels.wheel(tmp_path / "index", "numpy", np.__version__)
    package = Package("numpy", np.__version__, sha, "BSD-3-Clause")  # what pip finds is test_packages.py's to show, and takes seconds
    monkeypatch.setattr(runtime.pip, "resolve", lambda *_, **__: Resolved((package,)))
    monkeypatch.setattr(runtime.pip, "fetch", lambda *_: Wheels(tuple((tmp_path / "index").glob("*.whl")), (package,)))
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:60]
    images.put(images.client(open_registry.host, f"{name}/base"), "1", {"amd64": [images.PYTHON_LAYER], "arm64": [images.PYTHON_LAYER]})

    def make(**more: object) -> Wanted:
        return Wanted(
            **{  # type: ignore[arg-type]
                "model": tmp_path / "m" / "model" if (tmp_path / "m").exists() else save(tmp_path / "m"),
                "name": "double",
                "repository": Reference.parse(f"{open_registry.host}/{name}/double"),
                "base": Reference.parse(f"{open_registry.host}/{name}/base:1"),
                "cache": tmp_path / "cache",
                "epoch": 1_700_000_000,
                "annotations": {"vnd.mlops.run": "r1"},
                **more,
            }
        )

    return make
