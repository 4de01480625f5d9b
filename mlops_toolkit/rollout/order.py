"""What a target is told to do: which release, and how it takes over. Plain JSON on the way there, and in the target's journal ever after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Strategy = Literal["canary", "blue-green", "all-at-once", "shadow"]
Kind = Literal["deploy", "rollback"]


@dataclass(frozen=True)
class Release:
    """A published image, and all that it takes to run it again without asking anybody.

    id      what it is called on the target, 12 hexadecimal digits: `identified(image, spec)`
    image   NAME@sha256:…; version: git's tag (`v1.2.3`), None where it had none
    model, run, commit, pull_request, verdict, sentence   where it comes from, as its record has it
    spec    how the target runs it, as its own target makes and reads it (ports, resources, environment's names, manifests): no secret
    """

    id: str
    image: str
    version: str | None = None
    model: str = ""
    run: str | None = None
    commit: str | None = None
    pull_request: int | None = None
    verdict: str | None = None
    sentence: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A part of the traffic for a while. share: of requests, 0 to 1; hold: seconds at least; most: seconds at most, while it is undecided."""

    share: float
    hold: float = 120.0
    most: float = 600.0


@dataclass(frozen=True)
class Limits:
    """How much worse the new release may be than the old one in the same minutes, and at all. None: not looked at.

    errors       rise of the share of failed requests (0.005: half a percentage point)
    latency      rise of the 95th percentile, relative (0.2: a fifth)
    most_latency seconds that the 95th percentile may be at most
    predictions  effect size (as serve.drift has it) by which the distribution of answers may differ
    memory       bytes that an instance may have resident; it is also worse where it is killed for it
    confidence   of every interval, two-sided
    """

    errors: float | None = 0.005
    latency: float | None = 0.2
    most_latency: float | None = None
    predictions: float | None = 0.02
    memory: int | None = None
    confidence: float = 0.95


@dataclass(frozen=True)
class Order:
    """One deployment or rollback.

    id        unique, and the same where the same order is given again: whoever repeats it finds what became of it
    name      what is deployed, unique on the target: one name has one live release
    release   None of a rollback to "the last good one", which the target knows
    watch     seconds after the switch in which a worse release goes back by itself
    start     seconds in which an instance must answer, with its golden examples right; drain: that an old one may take to end its requests
    uncertain what an undecided step does when its time is over: go on, or go back
    older     whether the release may be older than the live one
    by, reason, url  who asked, why, and the page of the job that did
    """

    id: str
    name: str
    environment: str
    kind: Kind = "deploy"
    release: Release | None = None
    strategy: Strategy = "canary"
    steps: tuple[Step, ...] = ()
    limits: Limits = field(default_factory=Limits)
    watch: float = 600.0
    start: float = 120.0
    drain: float = 30.0
    uncertain: Literal["go-on", "go-back"] = "go-on"
    older: bool = False
    keep: int = 3
    by: str = ""
    reason: str = ""
    url: str | None = None
    at: str = ""


def identified(image: str, spec: Mapping[str, Any]) -> str:
    """The id of a release: seven digits of its image's digest, as people know it from git, and five of the settings that it is run with.

    The same image with other settings is another release: it starts beside the old one, takes over, and can be gone back from.
    """
    settings = hashlib.sha256(json.dumps(spec, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
    return image.partition("@sha256:")[2][:7] + settings[:5]
