"""Whether the GPUs that a configuration asks for are there."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.system import gpu

HINT = "run the job on a machine with a GPU (`runs-on: [self-hosted, gpu]`), or remove `gpus:` to train on the CPU"


def check(patient: Patient) -> Iterator[Finding]:
    """Only where `gpus:` asks for one here: nobody else wants to hear of it, and another launcher's are on another machine."""
    asking = [c for c in patient.configs if c.config.train and c.config.train.gpus and c.config.train.launcher == "local"]
    if not asking:
        return
    most = max(asking, key=lambda loaded: (loaded.config.train and loaded.config.train.gpus) or 0)
    wanted = (most.config.train and most.config.train.gpus) or 0
    found = gpu.probe(patient.world.env)
    if len(found.names) >= wanted:
        yield Finding("fine", f"{wanted} of {len(found.names)} GPUs asked for: {', '.join(found.names)}, driver {found.driver}")
    else:
        message = f"train.gpus asks for {wanted}, found {len(found.names)}: {found.trouble or ', '.join(found.names)}"
        yield Finding("problem", message, HINT, where=most.at("train.gpus"))
