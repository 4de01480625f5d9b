"""What a check finds, and what it is given to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.world import World

Level = Literal["fine", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """fine: nothing to do. note: works, but know this. problem: a verb would fail, or what it says would not arrive.

    message  what, in one sentence; hint: what to do, or the lines to paste
    code     the exit code of a verb that fails of it
    where    the place it was found at, `.github/workflows/model.yml:12`
    sure     whether every run on this machine would fail of it: then none is begun
    """

    level: Level
    message: str
    hint: str | None = None
    code: int = 4
    where: str | None = None
    sure: bool = False

    @property
    def said(self) -> str:
        """The sentence, behind its place."""
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass(frozen=True)
class Patient:
    """The world, and the configurations as far as they could be read (`trouble`: why not)."""

    world: World
    configs: tuple[Loaded, ...] = ()
    trouble: MlopsError | None = None
