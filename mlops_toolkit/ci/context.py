"""The one value that says where we run, and the table of the functions that make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_toolkit import plug

Event = Literal["laptop", "pull_request", "push", "merge_group", "schedule", "tag", "dispatch", "workflow_run", "comment", "other"]


@dataclass(frozen=True)
class Source:
    """The run that a `workflow_run` event reports the end of: its artifacts are what we are given.

    event: what started it; concluded: success, failure, cancelled, …; owner: of the repository that its head comes from
    """

    run: str | None = None
    attempt: int = 1
    event: str | None = None
    concluded: str | None = None
    owner: str | None = None


@dataclass(frozen=True)
class Context:
    """Where this process runs. Everything not known is None; a laptop knows almost nothing, and that is fine.

    head       the commit whose model is judged: the pull request's head, not the CI's test merge
    checkout   the commit that is checked out (on GitHub's pull_request event the test merge)
    base       commit given by the event where it is authoritative, which is a merge queue's; a pull request's base.sha is stale, a push's `before`
               need not be an ancestor
    actor      who started the run
    asked_by   the person who asked for this very run of a pull request, by a comment or a label; whether they may is not known yet
    request    what they wrote (the comment's first line), or the label's name
    source     of a `workflow_run`: the run that ended
    self_hosted  the machine is somebody's own: what runs on it stays there
    matrix     which leg of a matrix this job is, where one configuration runs in several
    """

    provider: str = "laptop"
    event: Event = "laptop"
    repository: str | None = None
    head: str | None = None
    checkout: str | None = None
    base: str | None = None
    branch: str | None = None
    base_branch: str | None = None
    default_branch: str | None = None
    tag: str | None = None
    pull_request: int | None = None
    fork: bool = False
    private: bool | None = None
    read_only_token: bool = field(
        default=False, metadata={"doc": "fork or Dependabot: the token cannot write, whatever `permissions:` says"}
    )
    dependabot: bool = False
    actor: str | None = None
    asked_by: str | None = None
    request: str | None = None
    asked_at: str | None = field(default=None, metadata={"doc": "when they did, ISO 8601 in UTC"})
    source: Source | None = None
    matrix: str | None = None
    run: str | None = None
    attempt: int = 1
    job: str | None = None
    url: str | None = None
    server_url: str | None = None
    api_url: str | None = None
    self_hosted: bool = False

    @property
    def ci(self) -> bool:
        """Whether a CI runs us: only then do we write to a remote or post."""
        return self.provider != "laptop"

    @property
    def stranger(self) -> bool:
        """Whether the head's code is nobody's who may write here: a fork's, or a dependency's that a robot proposes."""
        return self.fork or self.dependabot

    @property
    def age(self) -> tuple[int, int]:
        """(run, attempt) that a report speaks of; the newer is greater. Of a `workflow_run` the source's: that is what was run."""
        run, attempt = (self.source.run, self.source.attempt) if self.source else (self.run, self.attempt)
        return (int(run) if run and run.isascii() and run.isdigit() else 0), attempt

    @property
    def judged_run(self) -> str | None:
        """The CI run whose training is judged: this one, or a `workflow_run`'s source."""
        return self.source.run if self.source else self.run


# provider -> (variable whose presence tells, function of (env, event payload) -> Context)
PROVIDERS: dict[str, tuple[str, str]] = {
    "github": ("GITHUB_ACTIONS", "mlops_toolkit.ci.github:context"),
}


def detect(env: Mapping[str, str], event: Mapping[str, Any] | None = None) -> Context:
    """The context of this process. event: the webhook payload, already parsed (None: there is none)."""
    for name, (variable, function) in PROVIDERS.items():
        if env.get(variable):
            made: Context = plug.load("provider", {name: function}, name)(env, event or {})
            return made
    return Context()
