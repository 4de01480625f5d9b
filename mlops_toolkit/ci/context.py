"""The one value that says where we run, and the table of the functions that make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_toolkit import plug

Event = Literal["laptop", "pull_request", "push", "merge_group", "schedule", "tag", "dispatch", "other"]


@dataclass(frozen=True)
class Context:
    """Where this process runs. Everything not known is None; a laptop knows almost nothing, and that is fine.

    head       the commit whose model is judged: the pull request's head, not the CI's test merge
    checkout   the commit that is checked out (on GitHub's pull_request event the test merge)
    base       commit given by the event where it is authoritative (merge queue's base, push's before); never a pull request's base.sha, which is stale
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
    actor: str | None = None
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
