"""Whether the recorded runs can be read."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.history.base import key_of


def check(patient: Patient) -> Iterator[Finding]:
    """The history of each configuration: how many runs, how many wait."""
    for loaded in patient.configs:
        history = patient.world.history(loaded.folder / ".mlops", loaded.config.history.at)
        start = key_of(loaded.where, loaded.config.name, None)  # with any matrix leg behind it
        mine = [e for e in history.entries() if e.key.startswith(start)]
        waiting = sum(e.where == "waiting" for e in mine)
        if not mine:
            yield Finding("note", f"{loaded.config.name}: no run is recorded yet: the first one is judged by `min` and `max` alone")
            continue
        yield Finding(
            "fine",
            f"{loaded.config.name}: {len(mine)} {'run' if len(mine) == 1 else 'runs'} recorded, the last {mine[-1].started or mine[-1].id}",
        )
        if waiting:
            yield Finding("note", f"{waiting} of them wait on this machine", "`mlops history push` sends them to the remote")
