"""What cannot be meant under `deploy:`: keys of another target, steps that go backwards, two environments that are one place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from mlops_toolkit.config.deploying import Deploy, RolloutOptions
from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import Problem

Found = Iterator[tuple[str, Problem]]
ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def deploy(environments: dict[str, Deploy]) -> Found:
    """Every contradiction, with the dotted key it stands at."""
    places: dict[tuple[Any, ...], str] = {}
    for name, one in environments.items():
        at = f"deploy.{name}"
        if not ENVIRONMENT.fullmatch(name):
            hint = "letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit: production, staging"
            yield at, Problem("wrong-value", f"{shown(name)} cannot name an environment", hint=hint)
        yield from _of_target(at, one)
        yield from _rollout(f"{at}.rollout", one.rollout, one)
        if "signature" in one.require and one.key is None:
            message = "a signature is required, and no key says whose"
            yield f"{at}.require", Problem("no-key", message, hint="add key: cosign.pub, the public half of `publish.sign`")
        if one.target == "gitops" and one.path is None:
            message = f"{at} does not say which file names the image"
            yield f"{at}.target", Problem("missing-key", message, hint="add path: apps/spam-filter/deployment.yaml")
        first = places.setdefault(_place(one), name)
        if first != name:
            message = f"{shown(name)} is the same place as {shown(first)}: each would replace the other's release"
            yield at, Problem("same-place", message, hint="give one of them another name, port, host or namespace")


def _place(one: Deploy) -> tuple[Any, ...]:
    if one.target == "docker":
        return one.target, one.host, one.name
    if one.target == "gitops":
        return one.target, one.repository, one.branch, one.path
    return "cluster", one.kubeconfig, one.context, one.namespace, one.name


def _of_target(at: str, one: Deploy) -> Found:
    for field in dataclasses.fields(one):
        targets = field.metadata.get("targets", "").split()
        default = field.default_factory() if callable(field.default_factory) else field.default
        if targets and one.target not in targets and getattr(one, field.name) != default:
            key = field.name.replace("_", "-")
            message = f"{key} means nothing to the target {one.target}"
            yield f"{at}.{key}", Problem("not-of-target", message, hint=f"it is a key of {' and '.join(targets)}: remove it")


def _rollout(at: str, rollout: RolloutOptions, one: Deploy) -> Found:
    steps = rollout.strategy in ("canary", "shadow")
    if not steps and rollout.steps != RolloutOptions().steps:
        message = f"{rollout.strategy} has no steps: it gets all traffic at once"
        yield f"{at}.steps", Problem("no-parts", message, hint="remove them, or write strategy: canary")
    if steps and not rollout.steps:
        yield f"{at}.steps", Problem("wrong-value", f"{rollout.strategy} has no step", hint="write steps: [5%, 25%, 50%]")
    before = 0.0
    for number, step in enumerate(rollout.steps):
        part = share(step.share)
        here = f"{at}.steps[{number}]"
        if not 0 < part < 1 and step.share:
            message = f"{here} gives it {step.share}: a part is more than 0 % and less than all"
            yield here, Problem("wrong-value", message, hint="all traffic is what comes after the last step")
        elif part <= before and step.share and rollout.strategy == "canary":
            message = f"{here} gives it {step.share}, which is not more than the step before it"
            yield here, Problem("wrong-value", message, hint="order the steps: [5%, 25%, 50%]")
        if step.most.seconds < step.hold.seconds:
            message = f"{here} is held for {step.hold.text} at least and {step.most.text} at most"
            yield here, Problem("wrong-value", message, hint="most: is the longer one")
        before = part
    yield from _limits(f"{at}.limits", rollout)


def _limits(at: str, rollout: RolloutOptions) -> Found:
    errors, latency = rollout.limits.errors, rollout.limits.latency
    if errors.relative:
        message = f"{at}.errors is {errors.text}, a part of a rate that may be 0"
        yield f"{at}.errors", Problem("wrong-value", message, hint=f"write {errors.text.rstrip('% ')}pp: percentage points of all requests")
    if not latency.relative and latency != Margin("0", 0.0):
        message = f"{at}.latency is {latency.text}, and is a part of the old release's: 20%"
        yield f"{at}.latency", Problem("wrong-value", message, hint="an absolute limit is max-latency-ms")


def share(text: str) -> float:
    """`25%` as a fraction; 0 where it is none."""
    return float(text.rstrip("%")) / 100 if re.fullmatch(r"[0-9.]+%", text) else 0.0
