"""What is to be watched: the models of this repository in one environment, and how each is found there. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.monitoring import Mail, Watchers
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import ConfigErrors, Problem, UsageError

Target = Literal["docker", "kubernetes"]
ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Model:
    """One model in the environment.

    availability  share of requests that must be answered; latency: seconds that 95 of 100 must stay below, None: not asked for
    without       names of alarms that are not wanted; scrape: HOST:PORT of each instance, empty: found by the target
    called        its name at the target, where it has another there; namespace: in a cluster
    """

    name: str
    availability: float = 0.995
    latency: float | None = None
    without: tuple[str, ...] = ()
    scrape: tuple[str, ...] = ()
    called: str = ""
    namespace: str = "default"

    @property
    def deployed(self) -> str:
        """What it is called at the target: by its own name where nobody says another."""
        return self.called or self.name

    @property
    def network(self) -> str:
        """On a Docker host the network of its instances, where each answers to `deployed`."""
        return f"mlops-{self.deployed}"

    @property
    def job(self) -> str:
        """The label `job` of all that is scraped of it: what rules and panels find it by."""
        return f"mlops-{self.name}"


@dataclass(frozen=True)
class Wanted:
    """Models in an environment, and those who watch them."""

    environment: str
    target: Target
    models: tuple[Model, ...]
    webhook: str | None = None
    email: Mail | None = None
    images: Watchers = field(default_factory=Watchers)


def wanted(configurations: Sequence[Loaded], *, environment: str, target: Target) -> Wanted:
    """The configurations as one set. UsageError `no-such-environment` for what is no name; ConfigErrors `monitor-differs` where they disagree."""
    if not ENVIRONMENT.fullmatch(environment):
        message = f"an environment cannot be called {environment[:80]!r}"
        raise UsageError("no-such-environment", message, where="--environment", hint="letters, digits, `.`, `_` and `-`, at most 63")
    first = configurations[0]
    problems = []
    for other in configurations[1:]:
        for key in ("webhook", "email", "images"):
            if getattr(other.config.monitor, key) != getattr(first.config.monitor, key):
                message = f"monitor.{key} is not that of {first.at(f'monitor.{key}')}, and one set of files has one"
                hint = "say the same in both, or write each its own files with --config and --out"
                problems.append(Problem("monitor-differs", message, other.at(f"monitor.{key}"), hint))
    if problems:
        raise ConfigErrors(problems)
    told = first.config.monitor
    models = tuple(sorted((_model(one) for one in configurations), key=lambda model: model.name))
    return Wanted(environment, target, models, told.webhook, told.email, told.images)


def _model(loaded: Loaded) -> Model:
    asked = loaded.config.monitor
    latency = asked.latency.seconds if asked.latency else None
    return Model(loaded.config.name, asked.availability, latency, asked.without, asked.scrape)
