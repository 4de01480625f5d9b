"""Whether there is room for a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient

LITTLE = 5e9  # a model of a few GB beside its copy in the store
NOTHING = 5e8


def check(patient: Patient) -> Iterator[Finding]:
    """Free space where the work tree is."""
    free = shutil.disk_usage(patient.world.root).free
    said = f"{free / 1e9:,.1f} GB free"
    if free < NOTHING:
        yield Finding("problem", f"only {said}", "a run needs room for its model and predictions: free some space")
    elif free < LITTLE:
        yield Finding("note", f"only {said}")
    else:
        yield Finding("fine", said)
