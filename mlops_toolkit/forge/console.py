"""A laptop, or a CI whose forge we do not speak to: annotations as plain lines, everything else stays in .mlops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from mlops_toolkit.ci.context import Context
from mlops_toolkit.forge.base import (
    Alarmed,
    Annotation,
    BranchRules,
    Check,
    Deployment,
    Posted,
    Proposal,
    PullRequest,
    Reached,
    Release,
    Section,
    State,
)
from mlops_toolkit.system.clock import Clock


@dataclass(frozen=True)
class Console:
    """Posts nothing and refuses nothing."""

    err: TextIO

    def comment(self, pull_request: int, *sections: Section, renew: bool = False) -> Posted:
        return Posted(reason="there is no forge here to comment on; the comment is in .mlops/comment.md")

    def issue(self, section: Section, *, failing: bool) -> Posted:
        return Posted()

    def alarm(self, section: Section, *, firing: bool, start: str | None = None) -> Alarmed:
        return Alarmed(Posted(reason="the issue is not written: there is no forge here", hint="run it in a workflow of the repository"))

    def status(self, commit: str, name: str, state: State, description: str, url: str | None) -> Posted:
        return Posted()

    def release(self, release: Release) -> Posted:
        return Posted(reason="there is no forge here to release on; the notes are in .mlops/release.md")

    def deployment(self, deployment: Deployment, state: Reached, text: str) -> Posted:
        return Posted()

    def deployments(self, environment: str, name: str) -> tuple[tuple[str, str], ...] | None:
        return ()

    def propose(self, proposal: Proposal, change: Callable[[str], str]) -> Posted:
        return Posted(reason="there is no forge here to propose a change on")

    def annotate(self, annotations: tuple[Annotation, ...]) -> None:
        for each in annotations:
            place = f"{each.file}:{each.line}: " if each.file and each.line else f"{each.file}: " if each.file else ""
            title = f"{each.title}: " if each.title else ""
            self.err.write(f"{each.level}: {place}{title}{' '.join(each.message.split())}\n")

    def summary(self, markdown: str) -> Posted:
        return Posted()

    def output(self, values: dict[str, str]) -> None:
        """There is nobody to read them."""

    def pull_request(self, number: int) -> PullRequest | None:
        return None

    def find_pull_request(self, head: str, *, branch: str | None, owner: str | None) -> PullRequest | None:
        return None

    def merged_by(self, commit: str) -> tuple[int, ...] | None:
        return None

    def may_write(self, login: str) -> bool | None:
        return None

    def checks(self, commit: str) -> tuple[Check, ...] | None:
        return None

    def rules(self, branch: str) -> BranchRules:
        return BranchRules(reason="there is no forge here to ask")

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        return None


def open_forge(*, context: Context, env: Mapping[str, str], token: str | None, clock: Clock, err: TextIO) -> Console:
    """The console; only `err` is used."""
    return Console(err)
