"""Where releases run. A target is one file beside this one and a row in `TARGETS`; contract tests run over all of them.

A target gives an order to what carries it out (`rollout`, where the model runs; Helm; a repository that is watched) and tells what happens.
It decides nothing: which image may run was decided before it, and what becomes of it is decided where it runs. Failures:
EnvironmentFailure where the target cannot be reached (`target-unreachable`, `no-docker`, …), UsageError where it is configured wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from mlops_toolkit import plug
from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.system.clock import Clock

# `deploy.ENVIRONMENT.target` -> its `open_target(place: Place) -> Target`, which reaches nothing yet
TARGETS: dict[str, str] = {
    "docker": "mlops_toolkit.deploy.targets.docker:open_target",
    "helm": "mlops_toolkit.deploy.targets.helm:open_target",
    "kubernetes": "mlops_toolkit.deploy.targets.kubernetes:open_target",
}

# deployed: it has all traffic and was watched · rolled-back: it was worse, or would not run, and the one before it has the traffic ·
# refused: nothing was changed (another order is under way, it is older than what runs, …) · same: it runs already, nothing was done ·
# proposed: others carry it out (a pull request in the repository that is watched)
Result = Literal["deployed", "rolled-back", "refused", "same", "proposed"]


@dataclass(frozen=True)
class Outcome:
    """What became of an order.

    live    what has the traffic now, None where nothing has
    before  what had it before, None where nothing had
    name    of what went wrong (`wrong-answers`, `does-not-start`, `worse`, `busy`, `older`, …), "" where nothing did
    reason  in words for people; hint: what to do
    url     a page about it (the pull request of `proposed`)
    """

    result: Result
    live: Release | None = None
    before: Release | None = None
    name: str = ""
    reason: str = ""
    hint: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Event:
    """A line of what an order does.

    step   of the plan: `bring`, `start`, `golden`, `share`, `judge`, `switch`, `drain`, `watch`, `stop`, …
    state  begins, goes on (a note about it), done, failed (what comes next is the way back), over: the last one, with the outcome
    text   a sentence for people; data: the same for programs
    at     seconds since 1970 where it happened, None: unknown
    """

    step: str
    state: Literal["begins", "goes-on", "done", "failed", "over"]
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Standing:
    """What a target says of one name.

    live    what has the traffic; since: when it got all of it, ISO 8601 in UTC, "" unknown; final: it was watched to the end
    good    what can be gone back to, the latest first; withdrawn: (release, why) of those that were taken back
    under_way, step, text, who  an order that is being carried out, how far it is, and who gave it
    shares  release id -> its part of the traffic, where several have some
    trouble what is not as it should be, as sentences
    """

    live: Release | None = None
    since: str = ""
    final: bool = True
    good: tuple[Release, ...] = ()
    withdrawn: tuple[tuple[Release, str], ...] = ()
    under_way: str | None = None
    step: str = ""
    text: str = ""
    who: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()


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


def open_target(place: Place) -> Target:
    """The target of `deploy.ENVIRONMENT.target`."""
    made: Target = plug.load("target", TARGETS, place.options.target, where=place.at("target"))(place)
    return made
