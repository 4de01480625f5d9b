"""The model that a committed pointer names: as a record has it, and had on this machine, verified."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.models import tree
from mlops_toolkit.models.base import short
from mlops_toolkit.models.open import Opener, fetch
from mlops_toolkit.records.run import Model

CACHE = ".mlops/cache/models"
# Of a model that stands at its address, but is not what the pointer says or cannot be written here: nothing that another machine mends.
WRONG = frozenset({"model-damaged", "model-not-written", "model-in-the-way", "model-not-stored"})


def model_of(found: Pointer) -> Model | None:
    """The pointed model; None where a vendor keeps it. Its path (from the mlops.yaml) is where it lies, or where it is fetched to:
    below our own folder, never among the user's files."""
    if found.digest is None:
        return None
    path = found.uri if found.here else f"{CACHE}/{found.digest.removeprefix('sha256:')[:16]}/{found.name or 'model'}"
    return Model(found.digest, found.size or 0, path, found.kind or "file", () if found.here else (found.uri,))


def place_of(found: Pointer, folder: Path) -> str:
    """What MLOPS_MODEL says, whether the model is there or not: its path, or a vendor's address. folder: of the mlops.yaml."""
    model = model_of(found)
    return found.uri if model is None else str(folder / model.path)


def had(found: Pointer, folder: Path, models: Opener, *, env: Mapping[str, str], where: str | None = None) -> bool:
    """Have the model at its place, as its digest says; whether it had to be fetched. The one that was fetched before it goes.

    EnvironmentFailures `model-unreachable` and those of `WRONG`; UsageError `wrong-model` for a file of the repository that is another.
    """
    model = model_of(found)
    if model is None:
        return False
    place = folder / model.path
    if found.here:
        return _lies(model, place, models, env, where)
    for other in place.parent.parent.iterdir() if place.parent.parent.is_dir() else ():
        if other != place.parent:
            tree.remove(other)
    try:
        return fetch(model, place, models, env=env, replace=True)
    except EnvironmentFailure as error:
        cause = error.__cause__
        if isinstance(cause, MlopsError) and cause.name in WRONG:
            raise EnvironmentFailure(cause.name, cause.message, where=where, hint=cause.hint) from error
        raise


def _lies(model: Model, place: Path, models: Opener, env: Mapping[str, str], where: str | None) -> bool:
    if not place.exists():
        hint = "commit it with the pointer, or record it again"
        raise UsageError("wrong-model", f"there is no model at {model.path}", where=where, hint=hint)
    try:
        return fetch(model, place, models, env=env)
    except EnvironmentFailure as error:
        hint = "record it again, or bring back the model that was recorded; of one in Git LFS, `lfs: true` at actions/checkout"
        message = f"{model.path} is not the model {short(model.digest)} that was recorded"
        raise UsageError("wrong-model", message, where=where, hint=hint) from error
