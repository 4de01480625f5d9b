"""Where a name's releases run, as the executor is given it: a driver with its journal, its lock and its time. A driver's file has a row here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_toolkit.errors import UsageError
from mlops_toolkit.rollout.clock import Clock, SystemClock
from mlops_toolkit.rollout.driver import Driver, Journal, Lock

# name -> `module:function`; function(name: str, settings: Mapping[str, Any]) -> Place, which reaches nothing yet.
# settings are those of `--settings FILE`: plain JSON without secrets, which each driver reads strictly.
DRIVERS: dict[str, str] = {
    "docker": "mlops_toolkit.rollout.docker_agent:place",
    "kubernetes": "mlops_toolkit.rollout.kubernetes_driver:opened",
}


@dataclass(frozen=True)
class Place:
    """One name on one target."""

    driver: Driver
    journal: Journal
    lock: Lock
    clock: Clock = field(default_factory=SystemClock)


def opened(driver: str, name: str, settings: Mapping[str, Any]) -> Place:
    """The place of a row of `DRIVERS`. UsageError `unknown-driver`."""
    if driver not in DRIVERS:
        known = ", ".join(sorted(DRIVERS)) or "none"
        raise UsageError("unknown-driver", f"there is no driver {driver!r}", where="--driver", hint=f"known are: {known}")
    module, _, function = DRIVERS[driver].partition(":")
    made: Callable[[str, Mapping[str, Any]], Place] = getattr(importlib.import_module(module), function)
    return made(name, settings)
