"""What executes a training command. A launcher is one file here and a row in `LAUNCHERS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from mlops_toolkit.system.supervise import Ended

LAUNCHERS: dict[str, str] = {
    "local": "mlops_toolkit.train.launchers.local:launch",
}


@dataclass(frozen=True)
class Launch:
    """A command and what it is given. env: its whole environment; log: where its output is kept."""

    command: str
    cwd: Path
    env: Mapping[str, str]
    log: Path
    timeout_seconds: float | None = None
    gpus: int | None = None


class Launcher(Protocol):
    """Executes to the end. A cancel must reach whatever runs, wherever it runs, and leave nothing behind."""

    def __call__(self, launch: Launch, *, echo: TextIO | None) -> Ended: ...
