"""Whether the GPUs that a configuration asks for are there."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.system import gpu


def check(patient: Patient) -> Iterator[Finding]:
    """Only where `gpus:` asks for one: nobody else wants to hear of it."""
    wanted = max((c.config.train.gpus or 0 for c in patient.configs if c.config.train), default=0)
    if not wanted:
        return
    found = gpu.probe(patient.world.env)
    if len(found.names) >= wanted:
        yield Finding("fine", f"{wanted} of {len(found.names)} GPUs asked for: {', '.join(found.names)}, driver {found.driver}")
    else:
        yield Finding("problem", f"train.gpus asks for {wanted}, found {len(found.names)}: {found.trouble or ', '.join(found.names)}")
