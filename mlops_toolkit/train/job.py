"""One model to train: what is configured, and where its records lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.config.schema import Train
from mlops_toolkit.home import Home


@dataclass(frozen=True)
class Job(Home):
    """A configuration with a `train:`, and the world it is trained in."""

    config: Train

    @property
    def output(self) -> Path:
        return self.loaded.folder / self.config.output
