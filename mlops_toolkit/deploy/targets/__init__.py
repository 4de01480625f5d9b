"""Where releases run. A target is one file beside this one and a row in `TARGETS`; contract tests run over all of them.

A target gives an order to what carries it out (`rollout`, where the model runs; Helm; a repository that is watched) and tells what happens.
It decides nothing: which image may run was decided before it, and what becomes of it is decided where it runs. Failures:
EnvironmentFailure where the target cannot be reached (`target-unreachable`, `no-docker`, …), UsageError where it is configured wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_toolkit import plug
from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.tell import Event, Outcome, Standing
from mlops_toolkit.system.clock import Clock

# `deploy.ENVIRONMENT.target` -> its `open_target(place: Place) -> Target`, which reaches nothing yet
TARGETS: dict[str, str] = {
    "docker": "mlops_toolkit.deploy.targets.docker:open_target",
    "gitops": "mlops_toolkit.deploy.targets.gitops:open_target",
    "helm": "mlops_toolkit.deploy.targets.helm:open_target",
    "kubernetes": "mlops_toolkit.deploy.targets.kubernetes:open_target",
}

__all__ = ["TARGETS", "Event", "Outcome", "Place", "Standing", "Target", "open_target", "over"]


@dataclass(frozen=True)
class Place:
    """All that a target is opened with.

    name     what is deployed, unique there: `options.name`, else the model's name made fit
    at       a key below this environment (`host`) -> where it stands (`mlops.yaml:12`), for errors
    folder   of the configuration: paths in `options` are relative to it; state: its `.mlops`
    env      our environment, without the forge's token: credentials are read there, and given to nobody in argv, files that stay, or logs
    secrets  the values of `options.env`: they are for the model's server alone, and stand in no order, journal or log
    login    a registry's host -> who pulls there, None for nobody
    say      a line for people
    """

    environment: str
    name: str
    options: Deploy
    at: Callable[[str], str]
    folder: Path
    state: Path
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    clock: Clock
    login: Callable[[str], Login | None]
    forge: Forge
    say: Callable[[str], None]


class Target(Protocol):
    """One name in one environment. It is opened without a connection, and asked from one thread."""

    def spec(self, image: str) -> Mapping[str, Any]:
        """How this image is to be run here, as `Release.spec` keeps it: enough to run it again without mlops.yaml. No secret."""
        ...

    def give(self, order: Order) -> Iterator[Event]:
        """Have an order carried out (a deployment or a rollback) and tell how it goes; the last event is `over`.

        The same order given again is followed from where it is. Whoever stops reading changes nothing about it, but for `runs: here`.
        """
        ...

    def status(self) -> Standing:
        """What is there now; an empty Standing where nothing ever was."""
        ...

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        """Write what would be sent (manifests, configuration, the order) below `to`, reaching nobody; the files."""
        ...

    def close(self) -> None:
        """Let go of connections and temporary files."""
        ...


def over(outcome: Outcome) -> Event:
    """The last event of a target that carries an order out by itself."""
    return Event("end", "over", outcome.reason, outcome=outcome)


def open_target(place: Place) -> Target:
    """The target of `deploy.ENVIRONMENT.target`."""
    made: Target = plug.load("target", TARGETS, place.options.target, where=place.at("target"))(place)
    return made
