"""A workflow file as far as it concerns models: which job uses which of our actions, with which rights, after which others."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from mlops_toolkit.config.inputs import ACTIONS
from mlops_toolkit.config.yaml_text import Listing, Node, Scalar, Table, compose
from mlops_toolkit.errors import MlopsError

Read = Callable[[str], "bytes | None"]  # a path in the repository -> its bytes, None where there is no such file

OURS = re.compile(r"^(?:[^/@\s]+/|\./(?:[^@\s]*/)?)[\w.-]*mlops-actions[\w.-]*(?:/(?P<path>[^@\s]+))?(?:@\S+)?$")
LOCAL = re.compile(r"^(?:\./|\$/)(?P<path>[^@\s]*)$")
OUR_NAME = re.compile(r"mlops-actions(?: (?P<action>[\w-]+))?")
TRAINS = frozenset({"train", "evaluate", "review"})
JUDGES = frozenset({"compare-to-main", "review"})
LEVELS = {"none": 0, "read": 1, "write": 2}
DEEPEST = 4  # of actions and workflows of this repository that use others of it
MOST_JOBS, MOST_STEPS = 250, 500  # a workflow with more is cut there: files that multiply each other must not hold us up


@dataclass(frozen=True)
class Rights:
    """A `permissions:` block. stated: there is one; every: what it says of all (`read-all`); levels: what it says of each."""

    stated: bool = False
    every: str = "none"
    levels: Mapping[str, str] = field(default_factory=dict)

    def level(self, scope: str) -> str:
        return self.levels.get(scope, self.every)

    def allows(self, needed: str) -> bool:
        """Whether `contents: read` (or more of it) is there."""
        scope, _, level = needed.partition(": ")
        return LEVELS.get(self.level(scope), 0) >= LEVELS[level]

    @property
    def writes(self) -> bool:
        """Whether the token may change anything; where nothing is stated, it may."""
        return not self.stated or self.every == "write" or "write" in self.levels.values()


@dataclass(frozen=True)
class Step:
    """A step. action: which of ours it uses; given: its `with:`."""

    line: int
    uses: str = ""
    action: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""
    run: str = ""


@dataclass(frozen=True)
class Job:
    """A job, with the steps of this repository's own actions in their callers' place.

    where   the file it stands in, and `line`; of a workflow that is called, the called file
    matrix  its `strategy.matrix` as written; None: no matrix
    alone   whether it has a `concurrency:` of its own
    """

    id: str
    where: str
    line: int
    name: str = ""
    steps: tuple[Step, ...] = ()
    rights: Rights = Rights()
    needs: tuple[str, ...] = ()
    condition: str = ""
    matrix: Node | None = None
    timeout: bool = False
    alone: bool = False
    calls: str | None = None

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(step.action for step in self.steps if step.action)

    @property
    def at(self) -> str:
        return f"{self.where}:{self.line}"


@dataclass(frozen=True)
class Event:
    """An entry of `on:`: its filters, each a list of texts, and the line."""

    line: int
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Flow:
    """A workflow. events: `pull_request`, … ; concurrency: whether it has any; cancels: its `cancel-in-progress`, as written."""

    path: str
    name: str = ""
    events: Mapping[str, Event] = field(default_factory=dict)
    rights: Rights = Rights()
    concurrency: bool = False
    cancels: str = ""
    jobs: tuple[Job, ...] = ()

    @property
    def ours(self) -> tuple[Job, ...]:
        """Its jobs that use an action of ours."""
        return tuple(job for job in self.jobs if job.actions)

    def before(self, job: Job) -> tuple[Job, ...]:
        """The jobs that one waits for, near and far."""
        found: dict[str, Job] = {}
        open_ = list(job.needs)
        while open_:
            name = open_.pop()
            for each in self.jobs:
                if (each.id == name or each.id.startswith(f"{name} / ")) and each.id not in found:
                    found[each.id] = each
                    open_ += each.needs
        return tuple(found.values())


def parse(raw: bytes | str, path: str, read: Read) -> Flow:
    """Read a workflow. MlopsError where it is none that can be read; what is of another kind than it should be counts as absent."""
    table = compose(raw, where=path)
    rights = _rights(_get(table, "permissions"), "permissions" in table.entries)
    jobs = _get(table, "jobs")
    concurrency = _get(table, "concurrency")
    actions = _Actions(read)
    return Flow(
        path=path,
        name=_text(_get(table, "name")) or path,
        events=dict(_events(table)),
        rights=rights,
        concurrency=concurrency is not None,
        cancels=_text(_get(concurrency, "cancel-in-progress")),
        jobs=tuple(_job(key, line, node, path, rights, actions) for key, (line, node) in islice(_items(jobs), MOST_JOBS)),
    )


def resolved(flows: Iterable[Flow]) -> tuple[Flow, ...]:
    """Each workflow with the jobs of the workflows of this repository that it calls; one that is only ever called is no more of its own."""
    flows = tuple(flows)
    by_path = {flow.path: flow for flow in flows}
    merged = [replace(flow, jobs=tuple(islice((job for each in flow.jobs for job in _called(each, by_path)), MOST_JOBS))) for flow in flows]
    return tuple(flow for flow in merged if set(flow.events) != {"workflow_call"} or not _is_called(flow.path, flows))


def _is_called(path: str, flows: Iterable[Flow]) -> bool:
    return any(job.calls == path for flow in flows for job in flow.jobs)


def _called(job: Job, by_path: Mapping[str, Flow], depth: int = 0) -> Iterator[Job]:
    """A job, or instead of one that calls a workflow that workflow's jobs: with the caller's rights where they state none, never more."""
    target = by_path.get(job.calls or "")
    if target is None or depth > DEEPEST:
        yield job
        return
    for inner in target.jobs:
        rights = _least(inner.rights, job.rights) if inner.rights.stated else job.rights
        needs = (*job.needs, *(f"{job.id} / {name}" for name in inner.needs))
        condition = inner.condition or job.condition
        made = replace(inner, id=f"{job.id} / {inner.id}", rights=rights, needs=needs, condition=condition)
        yield from _called(made, by_path, depth + 1)


def _least(one: Rights, other: Rights) -> Rights:
    if not other.stated:
        return one
    scopes = {*one.levels, *other.levels}
    least = {s: min(one.level(s), other.level(s), key=lambda level: LEVELS.get(level, 0)) for s in scopes}
    return Rights(True, min(one.every, other.every, key=lambda level: LEVELS.get(level, 0)), least)


def _job(key: str, line: int, node: Node, path: str, default: Rights, actions: _Actions) -> Job:
    own = _rights(_get(node, "permissions"), isinstance(node, Table) and "permissions" in node.entries)
    uses = LOCAL.match(_text(_get(node, "uses")))
    return Job(
        id=key,
        where=path,
        line=line,
        name=_text(_get(node, "name")) or key,
        steps=tuple(islice(_steps(_get(node, "steps"), actions), MOST_STEPS)),
        rights=own if own.stated else default,
        needs=_texts(_get(node, "needs")),
        condition=_condition(node),
        matrix=_get(_get(node, "strategy"), "matrix"),
        timeout=_get(node, "timeout-minutes") is not None,
        alone=_get(node, "concurrency") is not None,
        calls=posixpath.normpath(uses["path"]) if uses else None,
    )


def _steps(node: Node | None, actions: _Actions, depth: int = 0, line: int | None = None) -> Iterator[Step]:
    for item in node.items if isinstance(node, Listing) else ():
        uses = _text(_get(item, "uses"))
        action, inner = actions.of(uses)
        given = {name.casefold(): _text(value) for name, (_, value) in _items(_get(item, "with"))}
        made = Step(line or item.line, uses, action, given, _condition(item), _text(_get(item, "run")))
        yield made
        if inner is not None and depth < DEEPEST:
            yield from _steps(inner, actions, depth + 1, made.line)


@dataclass
class _Actions:
    """Which of our actions a `uses:` names; of another action of this repository its steps. Each file is read once."""

    read: Read
    known: dict[str, tuple[str | None, Node | None]] = field(default_factory=dict)

    def of(self, uses: str) -> tuple[str | None, Node | None]:
        if uses not in self.known:
            self.known[uses] = self._local(uses) or self._named(uses)
        return self.known[uses]

    def _local(self, uses: str) -> tuple[str | None, Node | None] | None:
        """What an action of this repository is; None where there is no such file (yet): a checkout may bring it."""
        local = LOCAL.match(uses)
        folder = posixpath.normpath(local["path"] or ".") if local else ".."
        for name in ("action.yml", "action.yaml") if not folder.startswith(("..", "/")) else ():
            raw = self.read(posixpath.join(folder, name))
            if raw is None:
                continue
            try:
                table = compose(raw, where=folder)
            except MlopsError:
                return None, None
            mine = OUR_NAME.fullmatch(_text(_get(table, "name")))
            if mine and (mine["action"] or "review") in ACTIONS:
                return mine["action"] or "review", None
            return None, _get(_get(table, "runs"), "steps")
        return None

    @staticmethod
    def _named(uses: str) -> tuple[str | None, Node | None]:
        match = OURS.match(uses)
        last = ((match["path"] or "review").rstrip("/").rpartition("/")[2]) if match else ""
        return (last if last in ACTIONS else None), None


def _rights(node: Node | None, stated: bool) -> Rights:
    if not stated:
        return Rights()
    if isinstance(node, Scalar):
        return Rights(True, {"read-all": "read", "write-all": "write"}.get(node.text, "none"))
    return Rights(True, "none", {name: _text(value) for name, (_, value) in _items(node)})


def _events(table: Table) -> Iterator[tuple[str, Event]]:
    line, node = table.entries.get("on", (1, None))
    if isinstance(node, Scalar | Listing):
        yield from ((name, Event(line)) for name in _texts(node))
    for name, (at, value) in _items(node):
        yield name, Event(at, {key: _texts(inner) for key, (_, inner) in _items(value)})


def _condition(node: Node) -> str:
    """An `if:` without its braces."""
    return re.sub(r"\$\{\{|\}\}", " ", _text(_get(node, "if"))).strip()


def _get(node: Node | None, key: str) -> Node | None:
    return node.entries[key][1] if isinstance(node, Table) and key in node.entries else None


def _items(node: Node | None) -> Iterable[tuple[str, tuple[int, Node]]]:
    return node.entries.items() if isinstance(node, Table) else ()


def _text(node: Node | None) -> str:
    return node.text.strip() if isinstance(node, Scalar) and node.given else ""


def _texts(node: Node | None) -> tuple[str, ...]:
    if isinstance(node, Listing):
        return tuple(filter(None, map(_text, node.items)))
    return (_text(node),) if _text(node) else ()
