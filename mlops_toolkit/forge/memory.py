"""A forge in memory: the same comment logic as on a real one, for tests of verbs and for trying a report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from mlops_toolkit.ci.context import Context
from mlops_toolkit.forge import board
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
from mlops_toolkit.forge.releases import merged
from mlops_toolkit.system.clock import Clock, SystemClock


@dataclass
class Memory:
    """Everything posted, to be looked at. refuse: a Refused raised by every request, as where the token may not write."""

    clock: Clock = field(default_factory=SystemClock)
    where: str | None = None
    refuse: board.Refused | None = None
    comments: dict[int, list[board.Note]] = field(default_factory=dict)
    statuses: dict[str, list[tuple[str, State, str, str | None]]] = field(default_factory=dict)
    annotations: list[Annotation] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, PullRequest] = field(default_factory=dict)
    writers: set[str] = field(default_factory=set)
    branches: dict[str, BranchRules] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    issues: list[tuple[Section, bool]] = field(default_factory=list)
    alarms: dict[str, Section] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    deployments_told: list[tuple[Deployment, Reached, str]] = field(default_factory=list)
    merges: dict[str, tuple[int, ...]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    proposals: dict[str, tuple[Proposal, str]] = field(default_factory=dict)

    def comment(self, pull_request: int, *sections: Section, renew: bool = False) -> Posted:
        return board.post(_Thread(self, pull_request), *sections, where=self.where, clock=self.clock, renew=renew)

    def issue(self, section: Section, *, failing: bool) -> Posted:
        self.issues.append((section, failing))
        return Posted(url="memory:issue" if failing else None)

    def alarm(self, section: Section, *, firing: bool, start: str | None = None) -> Alarmed:
        if not firing:
            self.alarms.pop(section.key, None)
            self.started.pop(section.key, None)
            return Alarmed(Posted())
        self.alarms[section.key] = section
        if start is None or self.started.get(section.key) == start:
            return Alarmed(Posted(url="memory:alarms"))
        self.started[section.key] = start
        return Alarmed(Posted(url="memory:alarms"), Posted(url=f"memory:{start}"))

    def status(self, commit: str, name: str, state: State, description: str, url: str | None) -> Posted:
        if self.refuse:
            return Posted(reason=self.refuse.reason, hint=self.refuse.hint)
        self.statuses.setdefault(commit, []).append((f"mlops/{name}", state, description, url))
        return Posted(url=f"memory:{commit}")

    def release(self, release: Release) -> Posted:
        if self.refuse:
            return Posted(reason=self.refuse.reason, hint=self.refuse.hint)
        self.releases[release.tag] = merged(self.releases.get(release.tag, ""), release)
        return Posted(url=f"memory:{release.tag}")

    def deployment(self, deployment: Deployment, state: Reached, text: str) -> Posted:
        if self.refuse:
            return Posted(reason=self.refuse.reason, hint=self.refuse.hint)
        self.deployments_told.append((deployment, state, text))
        return Posted(url=f"memory:{deployment.environment}")

    def deployments(self, environment: str, name: str) -> tuple[tuple[str, str], ...] | None:
        mine = {one.order: state for one, state, _ in self.deployments_told if (one.environment, one.name) == (environment, name)}
        return None if self.refuse else tuple(reversed(mine.items()))

    def propose(self, proposal: Proposal, change: Callable[[str], str]) -> Posted:
        if self.refuse:
            return Posted(reason=self.refuse.reason, hint=self.refuse.hint)
        there = self.files.get(proposal.file, "")
        changed = change(there)
        if changed == there:
            return Posted()
        self.proposals[proposal.branch] = (proposal, changed)
        return Posted(url=f"memory:{proposal.branch}")

    def annotate(self, annotations: tuple[Annotation, ...]) -> None:
        self.annotations += annotations

    def summary(self, markdown: str) -> Posted:
        self.summaries.append(markdown)
        return Posted()

    def output(self, values: dict[str, str]) -> None:
        self.outputs |= values

    def pull_request(self, number: int) -> PullRequest | None:
        return self.pull_requests.get(number)

    def find_pull_request(self, head: str, *, branch: str | None, owner: str | None) -> PullRequest | None:
        found = [pull for pull in self.pull_requests.values() if pull.head == head and pull.open]
        return found[0] if len(found) == 1 else None

    def merged_by(self, commit: str) -> tuple[int, ...] | None:
        return self.merges.get(commit, ())

    def may_write(self, login: str) -> bool | None:
        return login in self.writers

    def checks(self, commit: str) -> tuple[Check, ...] | None:
        latest = {name: Check(name.removeprefix("mlops/"), state, text, url) for name, state, text, url in self.statuses.get(commit, [])}
        return tuple(latest.values())

    def rules(self, branch: str) -> BranchRules:
        return self.branches.get(branch, BranchRules())

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        return tuple(each for each in permissions if each in self.missing)


@dataclass
class _Thread:
    """A pull request's comments as a Board."""

    memory: Memory
    number: int

    def _notes(self) -> list[board.Note]:
        if self.memory.refuse:
            raise self.memory.refuse
        return self.memory.comments.setdefault(self.number, [])

    def notes(self) -> Sequence[board.Note]:
        return tuple(self._notes())

    def create(self, body: str) -> board.Note:
        notes = self._notes()
        number = max((note.id for thread in self.memory.comments.values() for note in thread), default=0) + 1
        notes.append(board.Note(number, body, f"memory:{self.number}#{number}"))
        return notes[-1]

    def edit(self, note: board.Note, body: str) -> board.Note:
        notes = self._notes()
        place = next((i for i, each in enumerate(notes) if each.id == note.id), None)
        if place is None:
            raise board.Refused("the comment is gone", again=True)
        notes[place] = replace(note, body=body)
        return notes[place]

    def ended(self) -> Sequence[str]:
        return ()

    def delete(self, note: board.Note, kept: board.Note) -> None:
        self.memory.comments[self.number] = [each for each in self._notes() if each.id != note.id]


def open_forge(*, context: Context, env: Mapping[str, str], token: str | None, clock: Clock, err: TextIO) -> Memory:
    """An empty one; only the clock and the context's address are used."""
    return Memory(clock=clock, where=context.url)
