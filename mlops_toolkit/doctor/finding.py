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
    """fine: nothing to do. note: works, but know this. problem: a verb would fail; `code` is the exit code it would have."""

    level: Level
    message: str
    hint: str | None = None
    code: int = 4


@dataclass(frozen=True)
class Patient:
    """The world, and the configurations as far as they could be read (`trouble`: why not)."""

    world: World
    configs: tuple[Loaded, ...] = ()
    trouble: MlopsError | None = None
