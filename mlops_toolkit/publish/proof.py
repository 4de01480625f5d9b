"""What is attached to a published image, from the record: its bill of materials, where it comes from, how its gate judged it; signed where there is a key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.ci import Context
from mlops_toolkit.oci.documents import Descriptor, digest_of
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.publish.card import Facts
from mlops_toolkit.publish.tags import Names
from mlops_toolkit.system.clock import Clock, iso
from mlops_toolkit.system.files import write_atomic

if TYPE_CHECKING:
    from mlops_toolkit.image.wanted import Pushed
    from mlops_toolkit.supply.keys import PrivateKey
    from mlops_toolkit.supply.sbom import Model


def key(reference: str | None, env: Mapping[str, str], folder: Path) -> PrivateKey | None:
    """The key that `publish.sign` names. UsageError `bad-key`: before anything is built."""
    from mlops_toolkit.supply.keys import signing_key

    return None if reference is None else signing_key(reference, env, folder)


def prove(
    registry: Registry,
    pushed: Pushed,
    facts: Facts,
    names: Names,
    *,
    form: str,
    epoch: int,
    started: str,
    signer: PrivateKey | None,
    context: Context,
    env: Mapping[str, str],
    clock: Clock,
    kept: Path,
) -> int:
    """Attach it all; how many documents had to be sent.

    epoch: seconds since 1970 that stand for "made"; started: when publishing began. kept: a file with the statements for a run that goes on with
    this one if it is cut off (they say when they were made, and would be others then).
    """
    from mlops_toolkit.supply import prove as proofs
    from mlops_toolkit.supply import provenance, sbom

    base = (pushed.base.name, pushed.base.digest or "") if pushed.base else None
    bill = sbom.sbom(pushed.digest, registry.name, facts.run.id, pushed.packages, _model(facts), base, epoch)
    told = provenance.Published(
        registry.name, pushed.digest, names.fixed, form, platforms=pushed.platforms, base=base, sbom=digest_of(bill)
    )
    ruling = facts.ruling
    why = provenance.Decision(
        ruling.word,
        ruling.undecided,
        (*ruling.accepted, *ruling.overridden),
        ruling.notes,
        ruling.override.by if ruling.override else None,
        ruling.override.reason if ruling.override else None,
    )
    by = provenance.builder(context, env, started=started, finished=iso(clock.now()))
    documents = [
        provenance.statement(facts.run, told, by),
        provenance.verdict(facts.run, facts.judged.gate, facts.judged.result, why, told),
    ]
    subject = Descriptor(pushed.media_type, pushed.digest, len(pushed.content))
    others = [digest for digest in pushed.platforms.values() if digest != pushed.digest]
    found = proofs.prove(
        registry,
        subject,
        sbom=bill,
        documents=documents,
        key=signer,
        also_signed=others,
        earlier=kept.read_bytes().splitlines() if kept.is_file() else (),
        keep=lambda payloads: write_atomic(kept, b"\n".join(payloads)),
    )
    return found.sent


def _model(facts: Facts) -> Model:
    from mlops_toolkit.supply import sbom

    run, served = facts.run, facts.served
    checks = facts.judged.result.checks if facts.judged.result else ()
    ends = {(check.metric, check.slice): (check.head_low, check.head_high) for check in checks if check.against is None}
    numbers = [(None, run.metrics), *run.slices.items()]
    metrics = [
        sbom.Metric(name, one.value, *ends.get((name, slice_), (None, None)), slice=slice_)
        for slice_, values in numbers
        for name, one in values.items()
        if one.value is not None
    ]
    data = {f"data{f' ({suite})' if suite else ''}": one.data.digest for suite, one in sorted(run.evaluations.items()) if one.data}
    return sbom.Model(
        run.model,
        run.id,
        run.trained.digest if run.trained else "",
        served.served.format if served else "file",
        {name: sha for name, (sha, _) in served.files.items()} if served else {},
        next((one.data.task for one in run.evaluations.values() if one.data and one.data.task), None),
        [f"{one.name} {one.text}" for one in served.signature.inputs] if served else (),
        [f"{one.name} {one.text}" for one in served.signature.outputs] if served else (),
        metrics,
        {"run": run.id, "commit": run.commit or "", **data},
    )
