"""The model that is recorded: found where it is, told by its digest, and where it lies on this machine alone put into the models store."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlops_toolkit.config.pointer import SCHEME, VENDOR, wrong_uri
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import CommandFailed, EnvironmentFailure, UsageError
from mlops_toolkit.home import Home
from mlops_toolkit.models.base import redacted
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.models.open import for_model, keep
from mlops_toolkit.records.run import Model

HOLD = """give an address that others reach too (s3://…, oci://…, https://…), or name a store in mlops.yaml
models: {store: s3://bucket/models}"""


def find(uri: str, home: Home) -> tuple[str, Model | None]:
    """(its address as the pointer names it, the model); no Model where a vendor keeps it.

    UsageErrors `no-model`, `unknown-address`, `secret-in-address`; EnvironmentFailures `model-unreachable`, `model-not-stored` and
    those of the stores.
    """
    text = uri.strip()
    scheme = SCHEME.match(text)
    path = home.world.cwd / (text.removeprefix("file://") if text.startswith("file:///") else text.removeprefix("file:"))
    if scheme is None or path.exists() or (scheme[1] == "file" and not re.search(r"sha256/[0-9a-f]{2}/[0-9a-f]{64}$", text)):
        return _lying(path, text, home)
    _refuse(text)
    return (text, None) if text.startswith(VENDOR) else _elsewhere(text, home)


def _refuse(address: str) -> None:
    """What a pointer could not hold."""
    if problem := wrong_uri(address, None):
        raise UsageError(problem[0], f"the address {problem[1]}", where="URI", hint=problem[2])


def hold(home: Home, model: Model | None, run_id: str) -> None:
    """A store on this machine spares the model for as long as the run's record is here."""
    for address in model.stores if model else ():
        store = home.world.models(address)
        if isinstance(store, LocalStore):
            store.held_by(home.folder(run_id) / "run.json")


def _lying(path: Path, text: str, home: Home) -> tuple[str, Model]:
    """A model on this machine: where git has it it stays, else the store keeps it."""
    world, folder = home.world, home.loaded.folder.resolve()
    if not path.exists():
        raise UsageError("no-model", f"there is no model at {shown(text)}", where="URI")
    try:
        if _tracked(path, home):
            found = digest(path, cache=Cache.of(world.env))
            name = Path(os.path.relpath(path.resolve(), folder)).as_posix()
            name = f"./{name}" if SCHEME.match(name) else name
            _refuse(name)
            return name, Model(found.digest, found.size, name, found.kind)
        kept = keep(path, for_model(world.models(home.loaded.config.models.store), home.key), shown=path.name, env=world.env)
    except CommandFailed as error:
        raise UsageError(error.name, error.message, where="URI") from error
    if not kept.stores:
        raise EnvironmentFailure("model-not-stored", f"the model lies on this machine and is kept nowhere: {kept.reason}", hint=HOLD)
    return kept.stores[0], kept


def _tracked(path: Path, home: Home) -> bool:
    """Whether all of it is in the repository, as others have it."""
    git = home.world.git
    if git is None or not path.resolve().is_relative_to(git.root.resolve()):
        return False
    place = f":(top,literal){path.resolve().relative_to(git.root.resolve()).as_posix()}"
    changed = [*git.lines("ls-files", "--others", "--", place), *git.lines("diff", "--name-only", "--", place)]
    return bool(git.lines("ls-files", "--", place)) and not changed


def _elsewhere(address: str, home: Home) -> tuple[str, Model]:
    """A model at an address: read there once, so that it can be told again."""
    store = home.world.models(address)
    found = store.look(address)
    if address.startswith("oci:"):
        address = f"{re.sub(r'(?<=[^/]):[^/:]*$', '', address)}:{found.digest.replace(':', '-')}"
        if not store.has(address, found.digest):
            hint = "record the model's files instead: they are stored there by digest"
            raise EnvironmentFailure("model-unreachable", f"{redacted(address)} is not there", hint=hint)
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2]
    return address, Model(found.digest, found.size, name, found.kind, (address,))
