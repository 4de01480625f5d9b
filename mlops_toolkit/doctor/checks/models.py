"""Where models will be kept, and whether that is one place for all the machines that train them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history.base import key_of
from mlops_toolkit.models.base import Nowhere
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.models.open import SHARED

LATEST = 20  # runs of the history that are looked at


def check(patient: Patient) -> Iterator[Finding]:
    """The store of each configuration, opened but not written to."""
    for loaded in patient.configs:
        word = loaded.config.models.store
        store = patient.world.models(word)
        if isinstance(store, Nowhere):
            yield Finding("note", f"{loaded.config.name}: models are not kept: {store.reason}", store.hint)
            continue
        yield Finding("fine", f"{loaded.config.name}: models are kept in {'files on this machine' if word in ('auto', 'file:') else word}")
        hosts = _hosts(patient, loaded) if isinstance(store, LocalStore) else []
        if len(hosts) > 1:
            told = f"{', '.join(hosts[:-1])} and {hosts[-1]}"
            message = f"{loaded.config.name}: its models were trained on {told}, and each keeps its own: another one cannot evaluate them"
            yield Finding("note", message, SHARED)


def _hosts(patient: Patient, loaded: Loaded) -> list[str]:
    """The machines on whose disks the latest recorded models are, and this one; what cannot be read is another check's to tell."""
    history = patient.world.history(loaded.folder / ".mlops", loaded.config.history.at)
    found = {socket.gethostname()}
    try:
        start = key_of(loaded.where, loaded.config.name, None)  # with any matrix leg behind it
        mine = [entry.id for entry in history.entries() if entry.key.startswith(start)]
        for run in filter(None, map(history.run, mine[-LATEST:])):
            if run.trained is not None and run.trained.host and any(store.startswith("file:") for store in run.trained.stores):
                found.add(run.trained.host)
    except MlopsError:
        return []
    return sorted(found)
