"""One model to evaluate: what is configured, which run it is, where its files lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_toolkit.config.schema import Evaluate, Suite
from mlops_toolkit.home import Home


@dataclass(frozen=True)
class Job(Home):
    """A configuration with an `evaluate:`, and the world it is evaluated in."""

    config: Evaluate

    @property
    def suites(self) -> Mapping[str, Suite]:
        """Suite by name; the only one's name is ""."""
        return self.config.suites or {"": self.config}

    def place(self, suite: str, key: str = "") -> str:
        """The dotted key of a suite's setting: `evaluate.run`, `evaluate.suites.safety.data[0]`."""
        return ".".join(part for part in (f"evaluate.suites.{suite}" if suite else "evaluate", key) if part)
