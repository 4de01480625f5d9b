"""Where models will be kept."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.models.base import Nowhere


def check(patient: Patient) -> Iterator[Finding]:
    """The store of each configuration, opened but not written to."""
    for loaded in patient.configs:
        word = loaded.config.models.store
        store = patient.world.models(word)
        if isinstance(store, Nowhere):
            yield Finding("note", f"{loaded.config.name}: models are not kept: {store.reason}", store.hint)
        else:
            yield Finding(
                "fine", f"{loaded.config.name}: models are kept in {'files on this machine' if word in ('auto', 'file:') else word}"
            )
