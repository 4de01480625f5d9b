"""Whether the forge itself would let the token do what the workflow's jobs want, asked by requests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.config.inputs import ACTIONS
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.remote import forge
from mlops_toolkit.doctor.workflow import here, rights

ALL = ACTIONS["compare-to-main"].permissions


def check(patient: Patient) -> Iterator[Finding]:
    """In a job what that job needs; elsewhere (with GITHUB_TOKEN set) what the job that compares would."""
    world = patient.world
    asked = forge(world)
    if asked is None:
        return
    if world.context.read_only_token:
        yield Finding(
            "note", "the token of a pull request from a fork or from Dependabot can only read: the report is in the job's summary"
        )
        return
    flows, _ = patient.workflows
    job = here.job(flows, world.env) if world.context.ci else None
    wanted = rights.needed(*job) if job else ALL
    answers = {each: asked.lacks((each,)) for each in wanted}
    refused, granted = [each for each, lost in answers.items() if lost], [each for each, lost in answers.items() if lost == ()]
    if refused:
        hint = rights.lines(job[0], wanted) if job else "permissions:\n" + "\n".join(f"  {each}" for each in wanted)
        yield Finding("problem", f"the token may not do this: {', '.join(f'`{each}`' for each in refused)}", hint)
    elif granted:
        yield Finding("fine", f"the token has {', '.join(f'`{each}`' for each in granted)}")
