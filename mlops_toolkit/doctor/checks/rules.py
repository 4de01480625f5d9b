"""Whether the branch's rules wait for our check, by its right name, and let our own pushes through."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence

from mlops_toolkit.config.read import load
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.remote import forge
from mlops_toolkit.doctor.workflow import course
from mlops_toolkit.doctor.workflow.flow import Flow, Job
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import BranchRules, Forge

PREFIX = "mlops/"
MOST_MODELS = 500
WHERE = "Settings → Rules → Rulesets (or Branches)"


def check(patient: Patient) -> Iterator[Finding]:
    """The rules of the branch that pull requests go to, and of the history's."""
    asked = forge(patient.world)
    if asked is None:
        return
    branch = patient.world.context.base_branch or patient.world.default_branch()
    rules = asked.rules(branch)
    if rules.reason is not None:
        yield Finding(
            "note",
            f"the rules of {branch} cannot be read as a whole: {rules.reason}",
            f"{WHERE}: {branch} should require {_checks(patient)[0]}",
        )
    if patient.configs and (rules.reason is None or rules.required or rules.queue):
        flows, _ = patient.workflows
        yield from required(rules, branch, _checks(patient), flows, others=others(patient))
    yield from history(asked, patient)


def required(
    rules: BranchRules, branch: str, checks: Sequence[str], flows: Sequence[Flow], *, others: Collection[str] = ()
) -> Iterator[Finding]:
    """What a merge into `branch` waits for. checks: our checks' names, `mlops/NAME`, one a model; others: of the repository's other models."""
    ours = [name for name in rules.required if name.startswith(PREFIX)]
    named = {check for check in checks if any(name == check or name.startswith(f"{check} (") for name in ours)}
    strange = [name for name in ours if name.partition(" (")[0] not in (*checks, *others)]
    for name in strange:
        yield Finding(
            "problem",
            f"merges into {branch} wait for {name}, which no configuration sets: for ever",
            f"{WHERE}: require {', '.join(checks)} instead",
        )
    for each in flows:
        for job in each.ours:
            if (instead := _asked_for(job, rules.required)) is not None:
                yield from _instead(job, each, instead, branch, checks)
    missing = [check for check in checks if check not in named]
    if missing and not strange:
        hint = f"{WHERE}: {branch}, require status checks to pass: {', '.join(missing)}"
        yield Finding("note", f"nothing keeps a worse model out of {branch}: no rule waits for {' and '.join(missing)}", hint)
    elif checks and not missing:
        yield Finding("fine", f"merges into {branch} wait for {' and '.join(checks)}")
    for flow in course.reviewing(flows) if ours else ():
        if found := course.filtered(flow):
            hint = "leave the filter away: where nothing that decides the model changed, `mlops` answers at once and trains nothing"
            message = f"merges into {branch} wait for {ours[0]}, and `{found[0]}:` keeps the workflow from starting: for ever"
            yield Finding("problem", message, hint, where=f"{flow.path}:{found[1]}")
    if rules.queue and course.reviewing(flows) and not course.queued(flows):
        where = course.reviewing(flows)[0].path
        yield Finding(
            "problem",
            f"merges into {branch} go through a queue, and no workflow that compares starts there: it waits for ever",
            "on:\n  merge_group:",
            where=where,
        )


def _instead(job: Job, flow: Flow, name: str, branch: str, checks: Sequence[str]) -> Iterator[Finding]:
    """A job is required and not our check: it says passed where it is skipped, and nothing where its workflow does not start."""
    filtered = course.filtered(flow)
    if filtered:
        why = f"`{filtered[0]}:` keeps its workflow from starting, and then the merge waits for ever"
    elif job.condition:
        why = f"where its `if:` skips it, that counts as passed: {job.condition[:80]}"
    else:
        why = "where it is skipped or cancelled it says nothing of the model"
    message = f"merges into {branch} wait for the job “{name}” itself: {why}"
    yield Finding(
        "problem" if filtered or job.condition else "note", message, f"{WHERE}: require {', '.join(checks)} instead of {name}", where=job.at
    )


def history(asked: Forge, patient: Patient) -> Iterator[Finding]:
    """Whether our own pushes to the history's branch would be refused, and by which rule."""
    for branch in sorted({loaded.config.history.at for loaded in patient.configs if "#" not in loaded.config.history.at}):
        rules = asked.rules(branch)
        if rules.refuses:
            yield Finding(
                "problem",
                f"runs cannot be recorded: a rule of {branch} says {' and '.join(rules.refuses)}",
                f"{WHERE}: leave {branch} out of the rule's branches, or let GitHub Actions bypass it\nor, in mlops.yaml, keep it elsewhere:\n"
                "history: {at: a-branch-that-no-rule-names}",
            )


def _asked_for(job: Job, names: Sequence[str]) -> str | None:
    """Which of the required checks is this job; a leg of a matrix has its values in brackets."""
    plain = job.name.partition("${{")[0].strip()
    for name in names:
        if (
            name in (job.id, job.name)
            or (job.matrix is not None and name.startswith(f"{job.id} ("))
            or ("${{" in job.name and plain and name.startswith(plain))
        ):
            return name
    return None


def others(patient: Patient) -> set[str]:
    """The checks of every model of the repository, whatever the configurations that were asked about."""
    git, found = patient.world.git, set[str]()
    if git is not None:
        for name in git.lines("ls-files", "--", ":(glob)**/*mlops*.yaml", ":(glob)**/*mlops*.yml")[:MOST_MODELS]:
            with contextlib.suppress(MlopsError):
                found.add(f"{PREFIX}{load(git.root / name, root=git.root).config.name}")
    return found


def _checks(patient: Patient) -> list[str]:
    return [f"{PREFIX}{loaded.config.name}" for loaded in patient.configs] or [f"{PREFIX}NAME"]
