"""What is to be watched: the models of this repository in one environment, and how each is found there. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mlops_toolkit.config.deploying import fit
from mlops_toolkit.config.monitoring import Mail, Watchers
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import ConfigErrors, Problem, UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.rollout import docker_spec

Target = Literal["docker", "kubernetes"]
USUAL = "production"
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
        return self.called or fit(self.name)

    @property
    def network(self) -> str:
        """On a Docker host the network of its instances, where each answers to `deployed`."""
        return docker_spec.names(self.deployed)["network"]

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


def wanted(configurations: Sequence[Loaded], *, environment: str = "", target: Target | None = None) -> Wanted:
    """The configurations as one set.

    environment  as `deploy:` names it; without one the only one that it names, else `production`
    target       where `deploy:` does not say it

    UsageErrors `no-such-environment` for what is no name or not one of `deploy:`, `which-environment` where it names several; ConfigErrors
    `monitor-differs` where the files disagree on what a set has once.
    """
    environment = chosen(configurations, environment)
    here = [one for one in configurations if not one.config.deploy or environment in one.config.deploy]
    first, told = here[0], here[0].config.monitor
    problems = []
    for other in here[1:]:
        for key in ("webhook", "email", "images"):
            if getattr(other.config.monitor, key) != getattr(told, key):
                message = f"monitor.{key} is not that of {first.at(f'monitor.{key}')}, and one set of files has one"
                hint = "say the same in both, or write each its own files with --config and --out"
                problems.append(Problem("monitor-differs", message, other.at(f"monitor.{key}"), hint))
    kinds = {one.where: _target(one, environment) for one in here}
    for where, kind in kinds.items():
        if kind != kinds[first.where]:
            message = f"{environment} is at a {kind} target here, and at a {kinds[first.where]} target in {first.where}"
            problems.append(Problem("monitor-differs", message, where, "write each its own files with --config and --out"))
    if problems:
        raise ConfigErrors(problems)
    models = tuple(sorted((_model(one, environment) for one in here), key=lambda model: model.name))
    return Wanted(environment, target or kinds[first.where] or "docker", models, told.webhook, told.email, told.images)


def chosen(configurations: Sequence[Loaded], asked: str) -> str:
    """The environment that is meant. UsageErrors as of `wanted`."""
    named = sorted({name for one in configurations for name in one.config.deploy})
    if not asked and len(named) > 1:
        message = f"mlops.yaml deploys to {', '.join(named)}"
        raise UsageError(
            "which-environment", message, where="--environment", hint=f"--environment {named[0]}, each into a folder of its own"
        )
    environment = asked or (named[0] if named else USUAL)
    if not ENVIRONMENT.fullmatch(environment):
        message = f"an environment cannot be called {environment[:80]!r}"
        raise UsageError("no-such-environment", message, where="--environment", hint="letters, digits, `.`, `_` and `-`, at most 63")
    if environment not in named and all(one.config.deploy for one in configurations):
        message = f"`deploy:` of mlops.yaml does not name {environment}"
        raise UsageError(
            "no-such-environment", message, where="--environment", hint=did_you_mean(environment, named) or f"it names {', '.join(named)}"
        )
    return environment


def _target(loaded: Loaded, environment: str) -> Target | None:
    """Where its instances are found; None where `deploy:` does not say."""
    place = loaded.config.deploy.get(environment)
    return None if place is None else "docker" if place.target == "docker" else "kubernetes"


def _model(loaded: Loaded, environment: str) -> Model:
    asked, place = loaded.config.monitor, loaded.config.deploy.get(environment)
    latency = asked.latency.seconds if asked.latency else None
    made = Model(loaded.config.name, asked.availability, latency, asked.without, asked.scrape)
    return made if place is None else replace(made, called=place.name or "", namespace=place.namespace)
