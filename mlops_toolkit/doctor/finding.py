"""What a check finds, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor import files
from mlops_toolkit.doctor.workflow.flow import Flow
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.world import World

Level = Literal["fine", "note", "problem"]
LONGEST = 1_000  # characters of a line


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

    def __post_init__(self) -> None:
        """What files of strangers say is in these texts: nothing of it may move the cursor of a terminal, or end a line."""
        object.__setattr__(self, "message", _printable(self.message))
        object.__setattr__(self, "where", _printable(self.where) if self.where else None)
        object.__setattr__(self, "hint", "\n".join(map(_printable, self.hint.split("\n"))) if self.hint else None)

    @property
    def said(self) -> str:
        """The sentence, behind its place."""
        return f"{self.where}: {self.message}" if self.where else self.message


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST]) + ("…" if len(text) > LONGEST else "")


@dataclass(frozen=True)
class Patient:
    """The world, and the configurations as far as they could be read (`trouble`: why not)."""

    world: World
    configs: tuple[Loaded, ...] = ()
    trouble: MlopsError | None = None

    @cached_property
    def workflows(self) -> tuple[tuple[Flow, ...], Mapping[str, MlopsError]]:
        """The workflows of the work tree and, by its path, why one cannot be read: several checks ask, and they are read once."""
        return files.read(self.world.root)
