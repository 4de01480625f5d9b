"""A model's fingerprints, made in this one place: of what its training reads, of what its evaluation reads, and of what git tells of both.

Two trainings (or evaluations) with one print need not both run. What makes a print may not be here, on a machine without the data;
the third, `tracked`, can be made wherever there is a checkout: untracked and remote data are in it by name only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.config import pointer
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.schema import Suite, Train
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.fingerprint import Fingerprint, fingerprint, of_parts
from mlops_toolkit.records.run import Fingerprints
from mlops_toolkit.system.git import Git

# What a machine lacks that need not have it: the job that trains may.
ELSEWHERE = frozenset({"missing-input", "data-unreachable", "data-unreadable", "package-missing", "unversioned-data"})
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # what stands in the place of a file that Git LFS has not brought
LFS_POINTER_SIZE = 1024


@dataclass(frozen=True)
class Seen:
    """The prints that can be made here. untold: what is missing for the others, as a clause ("data/train.csv is not here"); None: nothing."""

    prints: Fingerprints
    untold: str | None = None


def suites_of(loaded: Loaded) -> Mapping[str, Suite]:
    """Evaluation by name; the only one's name is "", and a model without one has none."""
    evaluate = loaded.config.evaluate
    return {} if evaluate is None else evaluate.suites or {"": evaluate}


def train(loaded: Loaded, git: Git | None, env: Mapping[str, str], *, by_git: bool = False) -> Fingerprint | None:
    """Of what training reads: inputs, data, command, parameters, lock files, seed, output, launcher. None where nothing is trained here.

    env: where digests are remembered. by_git: see `fingerprint`, which also says what is raised.
    """
    config = loaded.config.train
    if config is None:
        return None
    return fingerprint(
        git=git,
        folder=loaded.folder,
        inputs=config.inputs,
        data=config.data,
        command=config.run,
        params=config.params,
        seed=config.seed,
        extra={"output": config.output, "launcher": config.launcher, **_seeds(config), **_by_training(loaded)},
        exclude=_own(loaded),
        cache=Cache.of(env),
        place=lambda key: loaded.at(f"train.{key}"),
        by_git=by_git,
    )


def _seeds(train: Train) -> dict[str, str]:
    return {"seeds": ",".join(map(str, train.seeds))} if train.seeds else {}


def of_seed(whole: Fingerprint, seed: int) -> str:
    """`sha256:…` of one of several trainings: that of a training with this seed alone, whatever others stand beside it."""
    return of_parts({**{name: value for name, value in whole.parts.items() if name != "seeds"}, "seed": str(seed)}).digest


def evaluate(loaded: Loaded, git: Git | None, env: Mapping[str, str], *, by_git: bool = False) -> str | None:
    """`sha256:…` of what every suite reads: command, inputs, data, lock files, seed. None where nothing is evaluated.

    A model that is trained here is not in it (`Run.trained` names that one); the pointer to one from elsewhere is.
    """
    return of_suites(suites(loaded, git, env, by_git=by_git))


def of_suites(found: Mapping[str, Fingerprint]) -> str | None:
    """The one print of several suites' own."""
    if not found:
        return None
    total = hashlib.sha256("".join(f"{name} {one.digest}\n" for name, one in sorted(found.items())).encode())
    return f"sha256:{total.hexdigest()}"


def suites(loaded: Loaded, git: Git | None, env: Mapping[str, str], *, by_git: bool = False) -> dict[str, Fingerprint]:
    """Each suite's own print, with its parts."""
    train, made = loaded.config.train, {}
    for name, suite in sorted(suites_of(loaded).items()):
        made[name] = fingerprint(
            git=git,
            folder=loaded.folder,
            inputs=suite.inputs,
            data=suite.data,
            command=suite.run or "",
            params=train.params if train else None,
            seed=train.seed if train else None,
            extra={**_pointer(loaded), **(_seeds(train) if train else {})},
            exclude=_own(loaded),
            cache=Cache.of(env),
            place=lambda key, name=name: loaded.at(f"evaluate.suites.{name}.{key}" if name else f"evaluate.{key}"),  # type: ignore[misc]
            by_git=by_git,
        )
    return made


def tracked(loaded: Loaded, git: Git | None, env: Mapping[str, str]) -> str | None:
    """`sha256:…` of what git alone decides of both: the same on every machine, whatever data it has. None outside of git."""
    if git is None:
        return None
    trained = train(loaded, git, env, by_git=True)
    text = f"{trained.digest if trained else ''} {evaluate(loaded, git, env, by_git=True) or ''}"
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def seen(loaded: Loaded, git: Git | None, env: Mapping[str, str]) -> Seen:
    """All three, as far as they can be made here. Raises only what is wrong everywhere."""
    made = Fingerprints(tracked=tracked(loaded, git, env))
    if absent := _unfetched(loaded):
        return Seen(made, f"{absent} is not here: Git LFS has not fetched it")
    try:
        trained = train(loaded, git, env)
        made = replace(made, train=trained.digest if trained else None)
        return Seen(replace(made, evaluate=evaluate(loaded, git, env)))
    except MlopsError as error:
        if error.name not in ELSEWHERE:
            raise
        return Seen(made, error.message)


def _own(loaded: Loaded) -> list[str]:
    """What never counts: the configuration, whose gate may change, and what the commands write themselves."""
    train, evaluate = loaded.config.train, loaded.config.evaluate
    suites = (evaluate, *evaluate.suites.values()) if evaluate else ()
    written = [path for suite in suites for path in answers(suite).values()]
    named = [path for path in (train.output if train else None, loaded.config.model) if path]
    return [f"/{path.removeprefix('./').lstrip('/')}" for path in (loaded.path.name, *written, *named)]


def answers(suite: Suite) -> dict[str, str]:
    """The files of answers and numbers that are read; without a word on them, nothing."""
    places = {"predictions": suite.predictions, "measures": suite.measures, "metrics-file": suite.metrics_file}
    return {key: path for key, path in places.items() if path}


def _by_training(loaded: Loaded) -> dict[str, str]:
    """Those that the training writes: where an evaluation has no command."""
    suites = [(name, suite) for name, suite in suites_of(loaded).items() if not suite.run]
    return {f"{key} {name}".rstrip(): path for name, suite in suites for key, path in answers(suite).items()}


def _pointer(loaded: Loaded) -> dict[str, str]:
    """A model from elsewhere by what its pointer says it is, and its prompts as they stand here: when and by what run it was recorded
    makes no other model. What is missing or wrong is told by who reads it."""
    path = pointer.place_of(loaded)
    if path is None:
        return {}
    try:
        raw = path.read_bytes()
        found = pointer.loads(raw, where=path.name, depth=None)
    except OSError:
        return {"pointer": ""}
    except MlopsError:
        return {"pointer": hashlib.sha256(raw).hexdigest()}
    return {"model": found.digest or found.uri, **{f"prompt:{name}": digest or "" for name, digest in prompts(loaded, found).items()}}


def prompts(loaded: Loaded, found: pointer.Pointer) -> dict[str, str | None]:
    """`sha256:…` of each prompt as it stands here; None where it is not there."""
    return {name: _digest(loaded.folder / name) for name in found.prompts}


def prompts_of(loaded: Loaded) -> tuple[str, ...]:
    """The prompts that are part of a model from elsewhere, as its pointer names them; what is wrong with one is told by who reads it."""
    found = _pointed(loaded)
    return tuple(found.prompts) if found else ()


def tried(loaded: Loaded) -> int | None:
    """From how many candidates its pointer says that a model from elsewhere was chosen; None where there is no pointer to read."""
    found = _pointed(loaded)
    return found.tried if found else None


def _pointed(loaded: Loaded) -> pointer.Pointer | None:
    path = pointer.place_of(loaded)
    try:
        return pointer.loads(path.read_bytes(), where=path.name, depth=None) if path else None
    except (OSError, MlopsError):
        return None


def _digest(path: Path) -> str | None:
    try:
        return digest(path).digest
    except MlopsError:
        return None


def _unfetched(loaded: Loaded) -> str | None:
    """Declared data that Git LFS left out of this checkout: its digest here is not that of the data."""
    train = loaded.config.train
    declared = [*(train.data if train else ()), *(item for suite in suites_of(loaded).values() for item in suite.data)]
    return next((place for item in declared if "://" not in item for place in _lfs_pointers(loaded.folder, item)), None)


def _lfs_pointers(folder: Path, item: str) -> Iterator[str]:
    found = [folder / item] if (folder / item).exists() else folder.glob(item) if not item.startswith("/") else []
    for top in found:
        for place in top.rglob("*") if top.is_dir() else [top]:
            if _is_lfs_pointer(place):
                yield place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)


def _is_lfs_pointer(place: Path) -> bool:
    try:
        return place.is_file() and place.stat().st_size < LFS_POINTER_SIZE and place.read_bytes().startswith(LFS_POINTER)
    except OSError:
        return False
