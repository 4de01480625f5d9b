"""What is asked of a comparison. Light: the shell that finds it out loads no numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.acceptance import accepts_gate
from mlops_toolkit.models.evaluation import Change
from mlops_toolkit.records.result import Side
from mlops_toolkit.records.run import Run


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison, besides the two sides.

    base_config  the base branch's configuration, whose gate counts where the head's is looser; None: the head's alone
    forks_gate   only the base branch's gate counts (the head comes from a fork)
    baseline     as found: commit, run, state (ok, behind, still-running, first-run), note
    spread       the newest run on the baseline's line that was trained with several seeds
    looks        how many models of this pull request were judged, this one included; look: the how-manieth this one was
    configured   there is a mlops.yaml, to which lines may be added
    options      what the command line needs besides BASE to ask the same again
    evaluation   by suite, what of its evaluation changed since the baseline: command, declared inputs, examples
    """

    config: Config
    baseline: Side
    head: Side
    today: date
    base_config: Config | None = None
    forks_gate: bool = False
    notes: tuple[str, ...] = ()
    looks: int = 1
    look: int = 1
    evaluation: Mapping[str, Change] = field(default_factory=dict)
    spread: Run | None = None
    configured: bool = True
    options: str = ""

    @property
    def lets_go(self) -> bool:
        """Whether somebody said yes to a gate that is looser than the base branch's; of a fork that is not for its head to say."""
        standing = self.base_config.accepted if self.base_config is not None else ()
        return not self.forks_gate and accepts_gate(self.config.accepted, self.today, standing)
