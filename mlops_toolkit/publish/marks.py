"""What is written on a published image for whoever holds nothing but the image: which model, from which commit and run, how it was judged. Pure.

No version is written on it: the image of a release candidate becomes the release itself, byte for byte, when it gets that tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlops_toolkit.publish.card import Facts
from mlops_toolkit.report.escape import plain

OCI, OURS = "org.opencontainers.image", "vnd.mlops"
MODEL, RUN, VERDICT = f"{OURS}.model.digest", f"{OURS}.run", f"{OURS}.verdict"
MOST_METRICS, MOST, LONGEST = 30, 20, 300


def marks(facts: Facts) -> dict[str, str]:
    """Annotation -> value; what is not known has none. The same run gives the same marks."""
    run, ruling, result = facts.run, facts.ruling, facts.judged.result
    metrics = {plain(name, 100): float(f"{one.value:.6g}") for name, one in run.metrics.items() if one.value is not None}
    data = {suite: one.data.digest for suite, one in sorted(run.evaluations.items()) if one.data}
    told: Mapping[str, str | None] = {
        f"{OCI}.revision": run.commit,
        f"{OCI}.source": facts.repository,
        f"{OCI}.description": plain(ruling.sentence, LONGEST),
        RUN: run.id,
        VERDICT: ruling.word,
        f"{OURS}.model.name": run.model,
        MODEL: run.trained.digest if run.trained else None,
        f"{OURS}.model.format": facts.served.served.format if facts.served else None,
        f"{OURS}.matrix": run.matrix,
        f"{OURS}.data.digest": _listed([f"{suite}={digest}" if suite else digest for suite, digest in data.items()]),
        f"{OURS}.metrics": json.dumps(dict(list(metrics.items())[:MOST_METRICS]), separators=(",", ":"), ensure_ascii=False)
        if metrics
        else None,
        f"{OURS}.gate": facts.judged.gate.gate if facts.judged.gate else None,
        f"{OURS}.baseline.run": result.baseline.run if result else None,
        f"{OURS}.undecided": _listed(ruling.undecided),
        f"{OURS}.accepted": _listed(ruling.accepted),
        f"{OURS}.override": f"{ruling.override.by}: {ruling.override.reason}" if ruling.override else None,
        f"{OURS}.override.against": _listed(ruling.overridden),
    }
    return {name: "\n".join(plain(line) for line in text.split("\n")) for name, text in told.items() if text}


def _listed(texts: tuple[str, ...] | list[str]) -> str:
    """One a line, so that a `;` within one is none between two."""
    more = [f"and {len(texts) - MOST} more"] if len(texts) > MOST else []
    return "\n".join([*(plain(text, LONGEST) for text in texts[:MOST]), *more])


def is_of(annotations: Mapping[str, str], facts: Facts) -> bool:
    """Whether an image that is there is this run's, judged the same: then it need not be made again."""
    mine = marks(facts)
    return all(annotations.get(name) == mine.get(name) for name in (RUN, MODEL, VERDICT, f"{OURS}.override", f"{OURS}.undecided"))
