"""Where the model of a run was published, and where it ran: parts of the run's record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Publication:
    """Where a run's model was published.

    image     the repository, as host/name; digest: of what lies there, `sha256:…`; tags: those that were put on it
    at        when, ISO 8601 in UTC
    by, reason, against  who decided to publish it against its gate, why, and what stood against it
    """

    image: str
    digest: str
    tags: tuple[str, ...] = ()
    form: Literal["image", "artifact"] = field(default="image", metadata={"key": "as"})
    at: str = ""
    by: str | None = None
    reason: str | None = None
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deployed:
    """Where and when a release of a run's model had the traffic.

    environment  as mlops.yaml names it; name: what it is called there
    digest       of the image, `sha256:…`
    at, until    when it got it, and when another one did (null: as far as is recorded it has it), ISO 8601 in UTC
    """

    environment: str
    name: str
    digest: str
    at: str
    until: str | None = None
