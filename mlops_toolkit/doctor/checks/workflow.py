"""Whether the workflow files let the actions do their work: rights, events, what is handed over, and whose code runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlops_toolkit.config.yaml_text import MOST_BYTES
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.remote import default_branch
from mlops_toolkit.doctor.workflow import course, habits, handover, legs, rights
from mlops_toolkit.doctor.workflow.flow import Flow, parse, resolved
from mlops_toolkit.errors import MlopsError

FOLDER = ".github/workflows"
MOST_FILES = 300
# Others need not be read at all: a repository may have a hundred of them.
CONCERNS = re.compile(rb"mlops-actions|uses['\"]?\s*:\s*['\"]?[.$]/|<<|[*&]\w")
NAMED = re.compile(rb"^name:[ \t]*([^#\r\n]*[^#\s])", re.MULTILINE)


def check(patient: Patient) -> Iterator[Finding]:
    """Every workflow of .github/workflows that uses an action of ours, in one way or another."""
    root = patient.world.root
    flows, unread = read(root)
    yield from unread
    mine = [flow for flow in flows if flow.ours]
    if not mine:
        if (root / ".github").is_dir() or patient.world.context.provider == "github":
            yield Finding("note", "no workflow uses these actions", "`mlops init` writes one")
        return
    problems = list(judged(flows, default_branch(patient.world)))
    yield from problems
    broken = {(finding.where or "").partition(":")[0] for finding in problems if finding.level == "problem"}
    for flow in mine:
        if flow.path not in broken:
            jobs = [f"{job.id} ({', '.join(sorted(job.actions))})" for job in flow.ours]
            yield Finding("fine", f"{', '.join(jobs)}", where=flow.path)


def judged(flows: tuple[Flow, ...], branch: str) -> Iterator[Finding]:
    """What is to be said of workflows, the problems of each first."""
    yield from course.findings(flows, branch)
    for flow in flows:
        if not flow.ours:
            continue
        for job in flow.ours:
            yield from rights.findings(
                job, flow, watched="schedule" in flow.events or ("push" in flow.events and course.on_branch(flow, branch))
            )
            yield from legs.findings(job)
        yield from handover.findings(flow)
        yield from habits.findings(flow)


def read(root: Path) -> tuple[tuple[Flow, ...], list[Finding]]:
    """The workflows of a work tree (of those that can have nothing to do with us the name alone), and a note for each that cannot be read."""
    flows, unread = [], []
    for path in sorted([*(root / FOLDER).glob("*.yml"), *(root / FOLDER).glob("*.yaml")])[:MOST_FILES]:
        where = f"{FOLDER}/{path.name}"
        raw = bytes_of(root, where)
        if raw is None:
            continue
        if not CONCERNS.search(raw):
            named = NAMED.search(raw)
            flows.append(Flow(where, named[1].decode("utf-8", "replace").strip("'\"") if named else where))
            continue
        try:
            flows.append(parse(raw, where, lambda name: bytes_of(root, name)))
        except MlopsError as error:
            unread.append(Finding("note", f"a workflow that cannot be read: {error.message}", where=error.where or where))
    return resolved(flows), unread


def bytes_of(root: Path, name: str) -> bytes | None:
    """A file of the work tree as far as a workflow may go; None where there is none, or it lies outside."""
    path = root / name
    try:
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            return None
        with path.open("rb") as source:
            return source.read(MOST_BYTES + 1)
    except (OSError, ValueError):
        return None
