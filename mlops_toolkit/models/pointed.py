"""The model that a committed pointer names, as a record has it, and where it is put on this machine."""

from __future__ import annotations

from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.records.run import Model

CACHE = ".mlops/cache/models"


def model_of(found: Pointer) -> Model | None:
    """The pointed model; None where a vendor keeps it. Its path (from the mlops.yaml) is where it lies, or where it is fetched to:
    below our own folder, never among the user's files."""
    if found.digest is None:
        return None
    path = found.uri if found.here else f"{CACHE}/{found.digest.removeprefix('sha256:')[:16]}/{found.name or 'model'}"
    return Model(found.digest, found.size or 0, path, found.kind or "file", () if found.here else (found.uri,))
