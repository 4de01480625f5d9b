"""Whether what workflows deploy to is what mlops.yaml names."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.plug import did_you_mean

NONE = "deploy:\n  production: {target: docker, host: ssh://deploy@gpu1.example.com, port: 80}   # where it goes: docs/deploy.md"


def check(patient: Patient) -> Iterator[Finding]:
    """Each step that deploys, and each environment that no step deploys to."""
    known = {name: loaded.where for loaded in patient.configs for name in loaded.config.deploy}
    if patient.trouble is not None:
        return
    flows, _ = patient.workflows
    steps = [(f"{job.where}:{step.line}", step) for flow in flows for job in flow.ours for step in job.steps if step.action == "deploy"]
    for where, step in steps:
        asked = step.given.get("environment", "")
        if not known:
            yield Finding("problem", "a step deploys, and mlops.yaml names no environment", NONE, where=where)
        elif asked and "${{" not in asked and asked not in known:
            yield Finding(
                "problem", f"a step deploys to {shown(asked)}, which mlops.yaml does not name", did_you_mean(asked, known), where=where
            )
        elif not asked and any(len(loaded.config.deploy) > 1 for loaded in patient.configs):
            yield Finding("problem", "a step deploys, and does not say to which environment", f"one of: {', '.join(known)}", where=where)
        else:
            yield Finding("fine", f"deploys to {asked or next(iter(known))}", where=where)
    if known and not steps and flows:
        yield Finding("note", f"no workflow deploys to {', '.join(known)}", "copy workflows-templates/deploy.yml, or use `mlops deploy`")
