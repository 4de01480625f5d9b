"""What mlops.yaml, an image and a run come to: the release, and the order that is given of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlops_toolkit.config.check_deploy import share
from mlops_toolkit.config.deploying import Deploy, LimitOptions, amount
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.records.run import Run
from mlops_toolkit.report.escape import plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Limits, Order, Release, Step, identified
from mlops_toolkit.supply.facts import DECISION, REVISION, RUN

NAME, DESCRIPTION = "vnd.mlops.model.name", "org.opencontainers.image.description"
LONGEST = 400
COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Asker:
    """Who asks. run, attempt: of the CI, None on a laptop; moment: ISO 8601."""

    by: str
    moment: str
    run: str | None = None
    attempt: int = 1
    url: str | None = None


def release(
    reference: Reference,
    run: Run | None,
    annotations: Mapping[str, str],
    told: Mapping[str, str],
    version: str | None,
    *,
    model: str,
    spec: Mapping[str, Any],
) -> Release:
    """What is deployed, with where it comes from: as the history has it, else as the image says. spec: how its target runs it."""
    assert reference.digest is not None  # noqa: S101 -- `by_digest` looked
    image = f"{reference.name}@{reference.digest}"
    commit = run.commit if run else annotations.get(REVISION) or told.get("commit")
    sentence = run.gate.sentence if run and run.gate else annotations.get(DESCRIPTION, "")
    return Release(
        id=identified(image, spec),
        image=image,
        version=plain(version or told.get("tag") or "", 100) or None,
        model=run.model if run else plain(annotations.get(NAME) or model, 100),
        run=run.id if run else annotations.get(RUN),
        commit=commit if commit and COMMIT.fullmatch(commit) else None,
        pull_request=run.pull_request if run else None,
        verdict=plain(told.get("decision") or annotations.get(DECISION) or "", 40) or None,
        sentence=plain(sentence, LONGEST),
        spec=spec,
    )


def deployment(what: Release, name: str, environment: str, options: Deploy, asker: Asker, *, older: bool) -> Order:
    """The order to deploy a release. The same one of the same attempt of a CI's run has the same id: a step that is repeated is one order."""
    rollout = options.rollout
    parts = rollout.strategy in ("canary", "shadow")
    return Order(
        id=identifier("deploy", what.id, asker),
        name=name,
        environment=environment,
        kind="deploy",
        release=what,
        strategy=rollout.strategy,
        steps=tuple(Step(share(one.share), one.hold.seconds, one.most.seconds) for one in rollout.steps) if parts else (),
        limits=limits(rollout.limits),
        watch=options.watch.seconds,
        start=rollout.start.seconds,
        drain=rollout.drain.seconds,
        uncertain=rollout.when_uncertain,
        older=older,
        keep=options.keep,
        by=asker.by,
        url=asker.url,
        at=asker.moment,
    )


def rollback(to: Release | None, name: str, environment: str, options: Deploy, asker: Asker, reason: str) -> Order:
    """The order to go back: to a release, or to the last good one, which the target knows."""
    return Order(
        id=identifier("rollback", to.id if to else "last", asker),
        name=name,
        environment=environment,
        kind="rollback",
        release=to,
        strategy="blue-green",
        watch=0.0,
        start=options.rollout.start.seconds,
        drain=options.rollout.drain.seconds,
        older=True,
        keep=options.keep,
        by=asker.by,
        reason=reason,
        url=asker.url,
        at=asker.moment,
    )


def identifier(kind: str, what: str, asker: Asker) -> str:
    """`deploy-8412-1-3f9a1c2b4d5e`: of a CI's run and attempt, else of a moment, and of what release it is."""
    run = re.sub(r"[^A-Za-z0-9]+", "", asker.run or "")[:20]
    return f"{kind}-{run}-{asker.attempt}-{what}" if run else f"{kind}-{re.sub(r'[^0-9]', '', asker.moment)[:14]}-{what}"


def same_order(order: Order, under_way: str | None) -> Order:
    """The order that is being carried out, where it is of the same release: a job that was started again follows it."""
    if (
        order.release is not None
        and under_way is not None
        and under_way.startswith("deploy-")
        and under_way.endswith(f"-{order.release.id}")
    ):
        return replace(order, id=under_way)
    return order


def limits(options: LimitOptions) -> Limits:
    """As a rollout takes them; what is ignored is None."""
    looked = {key: key not in options.ignore for key in ("errors", "latency", "predictions")}
    return Limits(
        errors=options.errors.value if looked["errors"] else None,
        latency=options.latency.value if looked["latency"] else None,
        most_latency=options.max_latency_ms / 1000 if options.max_latency_ms is not None else None,
        predictions=options.predictions if looked["predictions"] else None,
        memory=amount(options.memory),
        confidence=options.confidence,
    )


def plan(order: Order, standing_live: Release | None) -> list[str]:
    """What an order will do, as sentences: for --dry-run, and before anything happens."""
    new, old = called(order.release), called(standing_live)
    if standing_live is None:
        first = f"start {new} and let it answer its golden examples; it is the first release here, so nothing can be gone back to"
        return [first, "give it all traffic", _watched(order)]
    steps = [f"start {new} beside {old} and let it answer its golden examples"]
    if order.strategy == "shadow":
        steps += [
            f"ask it a copy of {_percent(one)} of the traffic, for {_time(one.hold)} or more, and compare the answers"
            for one in order.steps
        ]
    if order.strategy == "canary":
        steps += [
            f"give it {_percent(one)} of the traffic, for {_time(one.hold)} or more, and compare it with {old} in the same minutes"
            for one in order.steps
        ]
    return [*steps, "give it all traffic", _watched(order), f"stop {old}, and keep how to run it"]


def _watched(order: Order) -> str:
    return f"watch it for {_time(order.watch)}, and go back if it is worse" if order.watch else "it is not watched"


def _percent(step: Step) -> str:
    return f"{step.share * 100:g} %"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def document(order: Order) -> dict[str, Any]:
    """An order's release for --json."""
    what = order.release
    return {
        "id": order.id,
        "kind": order.kind,
        "strategy": order.strategy,
        "steps": [{"share": one.share, "hold": one.hold, "most": one.most} for one in order.steps],
        "watch": order.watch,
        "release": told(what),
    }


def told(what: Release | None) -> dict[str, Any] | None:
    """A release for --json, without how it is run."""
    if what is None:
        return None
    keys = ("id", "image", "version", "model", "run", "commit", "pull_request", "verdict", "sentence")
    return {key.replace("_", "-"): getattr(what, key) for key in keys}
