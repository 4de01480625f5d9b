"""Whether mlops.yaml says something that can be done."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient


def check(patient: Patient) -> Iterator[Finding]:
    """All errors of all files, and what is missing to gate anything."""
    if patient.trouble is not None:
        yield Finding("problem", str(patient.trouble).split("\n  ")[0], patient.trouble.hint, patient.trouble.code)
        return
    for loaded in patient.configs:
        config = loaded.config
        if not config.gate:
            yield Finding(
                "note", f"{loaded.where}: nothing is gated", "`mlops compare` proposes a `gate:` block that this test set can decide"
            )
        else:
            yield Finding("fine", f"{loaded.where}: {config.name}, {len(config.gate)} gated")
        if config.evaluate is None:
            yield Finding(
                "problem",
                f"{loaded.where}: there is no `evaluate:`",
                "evaluate:\n  run: python evaluate.py   # writes one row per example to $MLOPS_PREDICTIONS\n  metrics: [accuracy]",
                2,
            )
