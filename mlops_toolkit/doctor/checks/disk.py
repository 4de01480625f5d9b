"""Whether there is room for a run: where it works, where models are kept, where temporary files go."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.records import run as records
from mlops_toolkit.world import World

LITTLE = 5e9  # a model of a few GB beside its copy in the store
NOTHING = 1e8  # neither a model nor a page of predictions
ALWAYS, MODELS = {"the work", "runs"}, {"models", "stored models"}  # what no run can do without; where it writes its model
FEW_FILES = 1_000


def check(patient: Patient) -> Iterator[Finding]:
    """Free space and free file entries of each disk that a run writes to, beside the size of the last model."""
    disks: dict[int, list[tuple[str, Path]]] = {}
    for use, path in places(patient):
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        disks.setdefault(there.stat().st_dev, []).append((use, there))
    size = max((last_model(loaded.folder / ".mlops") for loaded in patient.configs), default=0)
    for uses in disks.values():
        yield _judged(uses, size)


def places(patient: Patient) -> Iterator[tuple[str, Path]]:
    """(what for, folder), the work itself first."""
    world = patient.world
    yield "the work", world.root
    for loaded in patient.configs:
        yield "runs", (loaded.folder / ".mlops").resolve()
        if loaded.config.train:
            yield "models", (loaded.folder / loaded.config.train.output).resolve()
        store = local_store(loaded, world)
        if store is not None:
            yield "stored models", store.root.resolve()
    yield "temporary files", Path(world.env.get("TMPDIR") or tempfile.gettempdir()).resolve()


def local_store(loaded: Loaded, world: World) -> LocalStore | None:
    """The store of a configuration where it is a folder of this machine; others are not even opened."""
    word = loaded.config.models.store
    if word == "auto" or word.startswith("file:"):
        with contextlib.suppress(MlopsError):
            store = world.models(word)
            return store if isinstance(store, LocalStore) else None
    return None


def last_model(state: Path) -> int:
    """Bytes of the model of the last run here; 0 where none is known."""
    try:
        record = records.loads((state / "run.json").read_bytes(), where="run.json")
    except (OSError, MlopsError):
        return 0
    return record.trained.size if record.trained else 0


def _judged(uses: list[tuple[str, Path]], size: int) -> Finding:
    names = list(dict.fromkeys(use for use, _ in uses))
    path = uses[0][1]
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    said = f"{_bytes(free)} free for {listed} ({path})"
    written = size * len(MODELS & set(names))
    sure = not ALWAYS.isdisjoint(names)
    room = "df -h; du -xsh ~/.cache   # shows what fills it; `mlops history prune` and `models: keep:` give room back"
    if free < NOTHING:
        return Finding("problem", f"only {said}", room, sure=sure)
    if status.f_files and status.f_favail < FEW_FILES:
        said = f"only {status.f_favail} more files fit for {listed} ({path}): its file entries (inodes) are used up"
        return Finding("problem", said, "df -i; find / -xdev -type d -size +1M   # shows folders of very many files", sure=sure)
    if free < written:
        return Finding(
            "problem",
            f"only {said}; the last model takes {_bytes(size)}, and a run writes it {'twice' if written > size else 'once'}",
            room,
        )
    return Finding("note", f"only {said}") if free < LITTLE else Finding("fine", said)


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
