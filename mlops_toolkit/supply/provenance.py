"""What is said of a published image: how it was made (SLSA Provenance v1), and how the gate judged its model (a predicate of ours).

The same run, published the same way, gives the same bytes, but for `runDetails`, which says who published it and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_toolkit._version import __version__
from mlops_toolkit.ci import Context
from mlops_toolkit.records.result import Check, Result, name_of
from mlops_toolkit.records.run import GateOutcome, Run
from mlops_toolkit.supply import words
from mlops_toolkit.supply.envelope import statement as stated

MOST_CHECKS, LONGEST = 200, 300
LAPTOP = "urn:mlops:builder:laptop"


@dataclass(frozen=True)
class Published:
    """What was published.

    name       its repository, as host/repository; digest: of the index (of the manifest, for an artifact), `sha256:…`
    tag        the version tag it was published for
    form       image or artifact; platforms: `linux/amd64` -> digest of that manifest
    base       (reference, digest) of the image it stands on
    locks      files that pin what is installed: name -> SHA-256 (hexadecimal)
    sbom       digest of its bill of materials, which the statement so vouches for
    """

    name: str
    digest: str
    tag: str | None = None
    form: str = "image"
    platforms: Mapping[str, str] = field(default_factory=dict)
    base: tuple[str, str] | None = None
    locks: Mapping[str, str] = field(default_factory=dict)
    sbom: str | None = None


@dataclass(frozen=True)
class Builder:
    """Who published it.

    id          what a reader must trust: the workflow file at its ref, or the machine
    invocation  address of the CI's run; started, finished: ISO 8601
    source      address of the repository
    """

    id: str
    invocation: str | None = None
    started: str | None = None
    finished: str | None = None
    source: str | None = None


def builder(context: Context, env: Mapping[str, str], *, started: str | None = None, finished: str | None = None) -> Builder:
    """Who publishes here. env: GITHUB_WORKFLOW_REF names the workflow's file and ref; a laptop is named as what it is."""
    server = context.server_url
    source = f"{server}/{context.repository}" if server and context.repository else None
    if source is None:
        return Builder(LAPTOP, context.url, started, finished)
    workflow = env.get("GITHUB_WORKFLOW_REF", "")
    return Builder(f"{server}/{workflow}" if workflow else source, context.url, started, finished, source)


def statement(run: Run, published: Published, by: Builder) -> bytes:
    """The in-toto statement with the SLSA predicate."""
    source = by.source or "urn:mlops:repository:local"
    outer = {"repository": source, "commit": run.commit, "tag": published.tag, "run": run.id, "model": run.model, "as": published.form}
    inner = {"tree": run.tree, "dirty": run.dirty, "branch": run.branch, "status": run.status, "source-run": run.source}
    predicate: dict[str, Any] = {
        "buildDefinition": {
            "buildType": words.BUILD,
            "externalParameters": _told(outer),
            "internalParameters": _told(inner),
            "resolvedDependencies": _materials(run, published, source),
        },
        "runDetails": {
            "builder": {"id": by.id, "version": {"mlops-actions": __version__}},
            "metadata": _told({"invocationId": by.invocation, "startedOn": by.started, "finishedOn": by.finished}),
        },
    }
    if published.sbom:
        predicate["runDetails"]["byproducts"] = [{"name": "sbom", "mediaType": words.SBOM, "digest": _digest(published.sbom)}]
    return stated(published.name, published.digest, words.PROVENANCE, predicate)


def _materials(run: Run, published: Published, source: str) -> list[dict[str, Any]]:
    """What went into it, each by digest."""
    made: list[dict[str, Any]] = []
    if run.commit:
        made.append({"name": "source", "uri": f"git+{source}@{run.commit}", "digest": {"gitCommit": run.commit}})
    if run.trained is not None:
        about = _told({"path": run.trained.path, "trained": run.ended or run.started, "ci": run.ci.url, "seed": run.seed})
        made.append({"name": "model", "digest": _digest(run.trained.digest), "annotations": about})
    for suite, one in sorted(run.evaluations.items()):
        if one.data is not None:
            named = f"evaluation data{f' ({suite})' if suite else ''}"
            made.append({"name": named, "digest": _digest(one.data.digest), "annotations": {"rows": one.data.n}})
    for name, digest in (("packages", run.environment.packages), ("lock", run.environment.lock)):
        if digest:
            made.append({"name": f"training {name}", "digest": _digest(digest)})
    if published.base is not None:
        made.append({"name": "base image", "uri": f"pkg:docker/{published.base[0]}", "digest": _digest(published.base[1])})
    made += [{"name": f"lock {name}", "digest": {"sha256": sha}} for name, sha in sorted(published.locks.items())]
    return made


@dataclass(frozen=True)
class Decision:
    """Why it may be published.

    word       passed, accepted, undecided (let through without being decided), ungated or overridden
    undecided, accepted, notes   what a reader must know, in words
    by, reason  of an override
    """

    word: str
    undecided: Sequence[str] = ()
    accepted: Sequence[str] = ()
    notes: Sequence[str] = ()
    by: str | None = None
    reason: str | None = None


def verdict(run: Run, gate: GateOutcome | None, result: Result | None, decision: Decision, published: Published) -> bytes:
    """The in-toto statement of how the gate judged the model, for `mlops verify` and admission policies; at most 200 checks.

    gate, result: of the run, or of the run whose model a reused one carries.
    """
    checks = sorted(result.checks, key=_rank) if result else []
    base = result.baseline if result else None
    predicate = _told(
        {
            "decision": decision.word,
            "gate": gate.gate if gate else "none",
            "verdict": gate.verdict if gate else None,
            "sentence": (gate.sentence if gate else "")[:LONGEST],
            "policy": result.policy if result else None,
            "model": {"name": run.model, "digest": run.trained.digest if run.trained else None},
            "run": run.id,
            "commit": run.commit,
            "self-reported": run.self_reported,
            "baseline": base and _told({"run": base.run, "commit": base.commit, "state": base.state}),
            "checks": [_check(check) for check in checks[:MOST_CHECKS]],
            "checks-left-out": max(0, len(checks) - MOST_CHECKS),
            "undecided": [text[:LONGEST] for text in list(decision.undecided)[:MOST_CHECKS]],
            "accepted": [text[:LONGEST] for text in list(decision.accepted)[:MOST_CHECKS]],
            "notes": [text[:LONGEST] for text in list(decision.notes)[:MOST_CHECKS]],
            "override": {"by": decision.by, "reason": (decision.reason or "")[:LONGEST]} if decision.by else None,
        }
    )
    return stated(published.name, published.digest, words.GATE, predicate)


def _rank(check: Check) -> tuple[bool, bool, str]:
    """What decides stands first, the whole before its slices."""
    return check.severity != "gate", check.slice is not None, name_of(check)


def _check(check: Check) -> dict[str, Any]:
    return _told(
        {
            "name": name_of(check)[:LONGEST],
            "verdict": check.verdict,
            "severity": check.severity,
            "direction": check.direction,
            "baseline": check.baseline,
            "head": check.head,
            "change": check.change,
            "low": check.low,
            "high": check.high,
            "confidence": check.confidence,
            "n": check.n,
            "margin": check.margin,
            "min": check.min,
            "max": check.max,
            "unit": check.unit or None,
            "accepted": check.accepted and check.accepted[:LONGEST],
        }
    )


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known."""
    return {key: value for key, value in data.items() if value is not None}


def _digest(text: str) -> dict[str, str]:
    """`sha256:…` as in-toto has it."""
    algorithm, _, value = text.rpartition(":")
    return {algorithm or "sha256": value}
