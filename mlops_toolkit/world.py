"""What a verb may touch: everything outside pure functions comes in through here, built by `cli`, faked in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.history.base import History
from mlops_toolkit.models.base import Store
from mlops_toolkit.system.clock import Clock
from mlops_toolkit.system.git import Git

if TYPE_CHECKING:
    from mlops_toolkit.oci.auth import Login
    from mlops_toolkit.oci.reference import Reference
    from mlops_toolkit.oci.registry import Registry

ORIGIN = "refs/remotes/origin/"
USUAL = ("main", "master", "trunk", "develop")


def _nobody(reference: Reference) -> Registry:
    raise EnvironmentFailure("no-registry", f"nothing here speaks to {reference.host}")


def _anonymous(_host: str) -> Login | None:
    return None


@dataclass(frozen=True)
class World:
    """The outside, as a value.

    cwd        the folder the command was given in; root: the work tree's top, or cwd outside of git
    env        our environment without the token and MLOPS_INPUTS: fit to be given to the user's commands
    apart      where nothing is checked out, the workspace: root holds the configurations alone, and outcomes go there; else None
    models     address or store word (`auto`, `file:`, `oci://…`) -> Store
    wrong      what is wrong with the action's inputs: raised once there is a world to tell it those who wait for the outcome
    registry   an image's reference -> its repository at its registry, logged in as this user or CI; to be closed
    login      a registry's host -> who this user or CI is there, None for nobody
    out, err   standard output (only what was asked for: JSON with --json) and error (progress, hints)
    """

    cwd: Path
    root: Path
    env: Mapping[str, str]
    clock: Clock
    git: Git | None
    context: Context
    forge: Forge
    history: Callable[[Path, str], History]  # (.mlops folder, `history.at`) -> History
    models: Callable[[str], Store]
    out: TextIO
    err: TextIO
    wrong: MlopsError | None = None
    apart: Path | None = None
    registry: Callable[[Reference], Registry] = _nobody
    login: Callable[[str], Login | None] = _anonymous

    def default_branch(self) -> str:
        """What pull requests go to: as the CI says, else as the clone does, else by the names that are usual."""
        if self.context.default_branch or self.git is None:
            return self.context.default_branch or USUAL[0]
        told = self.git.lines("symbolic-ref", "--quiet", f"{ORIGIN}HEAD")
        name = told[0] if told else self.git.first([f"{ORIGIN}{name}" for name in USUAL])
        if name is not None:
            return name.removeprefix(ORIGIN)
        here = self.git.branch()
        return here if here in USUAL else USUAL[0]

    def state(self, folder: Path) -> Path:
        """The `.mlops` folder in which the outcome of the configuration in `folder` is left for the next steps."""
        return (self.apart / folder.relative_to(self.root) if self.apart else folder) / ".mlops"
