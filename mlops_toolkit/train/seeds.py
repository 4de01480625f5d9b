"""Training once a seed: the others first and away to places of their own, the first one last, so that its model stands at `train.output`.

A seed that is done says so beside its model: a training that was killed goes on with the next. One whose very inputs were trained in
another run (with this seed, whatever others stood beside it) is taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops_toolkit.errors import InvalidFile, MlopsError
from mlops_toolkit.history.base import History
from mlops_toolkit.models import prints
from mlops_toolkit.models.base import Store
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.fingerprint import Fingerprint
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.models.open import fetch, keep, reachable
from mlops_toolkit.models.seats import Seats
from mlops_toolkit.models.tree import remove
from mlops_toolkit.records import codec
from mlops_toolkit.records.run import Command, Measure, Model, Run, SeedRun
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.system.usage import Resources
from mlops_toolkit.train import turn as one
from mlops_toolkit.train.job import Job
from mlops_toolkit.train.launchers import Launcher
from mlops_toolkit.train.turn import Ended, Turn

LOOKED_AT = 30  # recorded runs, the latest first, that may have trained one of the seeds


@dataclass(frozen=True)
class Done:
    """A seed that was trained in an attempt that did not get to the end."""

    fingerprint: str
    model: Model
    seconds: float | None = None
    resources: Resources = field(default_factory=Resources)
    measures: Mapping[str, Measure] = field(default_factory=dict)


def seats(job: Job, record: Run) -> Seats:
    """Where this training's models lie."""
    return Seats.of(job.state, job.loaded.config.name, record.fingerprints.train or record.id, record.matrix, job.output, job.world.env)


def known(job: Job, found: Fingerprint, history: History) -> dict[int, Model]:
    """The models of those seeds that a recorded run trained from the very same inputs, and that can be had from here."""
    wanted = {prints.of_seed(found, seed): seed for seed in job.config.seeds}
    fork = job.world.context.fork
    mine = [
        e for e in history.entries() if e.key == job.key and e.train and not e.withdrawn and (fork or not e.fork) and e.status != "running"
    ]
    models: dict[int, Model] = {}
    for entry in reversed(mine[-LOOKED_AT:]):
        run = history.run(entry.id)
        if run is None:
            continue
        alone = [] if run.seeds or run.status not in ("succeeded", "reused") else [(run.fingerprints.train, run.trained)]
        for fingerprint, model in (*alone, *((s.fingerprint, s.model) for s in run.seeds)):
            seed = wanted.get(fingerprint or "")
            if seed is not None and seed not in models and model is not None and reachable(model, job.world.models, env=job.world.env):
                models[seed] = model
        if len(models) == len(wanted):
            break
    return models


def train(
    job: Job,
    record: Run,
    found: Fingerprint,
    taken: Mapping[int, Model],
    launcher: Launcher,
    store: Store | None,
    *,
    device: str,
    kept: Path,
) -> tuple[Run, Model]:
    """Every seed's model, and the record with what that took. taken: those that need not be trained. Raises `Ended`, or what went wrong.

    store: where the first one's model is kept. kept: the folder of checkpoints.
    """
    place, seeds = seats(job, record), job.config.seeds
    models: dict[int, Model] = {}
    for number, seed in enumerate((*seeds[1:], seeds[0]), 1):
        first, fingerprint = seed == seeds[0], prints.of_seed(found, seed)
        of = f"seed {seed} ({number} of {len(seeds)})"
        if (done := _done(place, seed, fingerprint, first=first)) is not None:
            job.say(f"{of}: trained before this was interrupted")
            models[seed] = done.model
            again = Command("train", job.config.run, exit=0, seconds=done.seconds, ended="reused")
            record = replace(record, commands=(*one.over(record), again), resources=record.resources + done.resources)
            record = replace(record, measures=done.measures) if first else record
        elif seed in taken:
            job.say(f"{of}: trained before from the same inputs")
            if first:
                fetch(taken[seed], job.output, job.world.models, env=job.world.env, replace=True)
            models[seed] = taken[seed]
            record = replace(record, commands=(*one.over(record), Command("train", job.config.run, exit=0, ended="reused")))
        else:
            job.say(f"{of}: training")
            turn = Turn(seed, job.output if first else place.place(seed), kept / f"seed-{seed}", several=True)
            record, models[seed] = _turn(job, record, place, turn, launcher, _store(store, first=first), device, fingerprint)
        runs = (SeedRun(s, models[s], prints.of_seed(found, s)) for s in seeds if s in models)
        record = job.save(replace(record, seeds=tuple(runs)))
    return record, models[seeds[0]]


def _turn(
    job: Job, record: Run, place: Seats, turn: Turn, launcher: Launcher, store: Store | None, device: str, fingerprint: str
) -> tuple[Run, Model]:
    """Train one seed; its model is kept, and that it is done is written beside it."""
    first, before = turn.model == job.output, one.stamp(job.output)
    if not first:
        remove(turn.model)
    took = record.resources
    record = one.execute(job, replace(record, resources=Resources()), turn, launcher, device)
    spent, record = record.resources, replace(record, resources=took + record.resources)
    try:
        if first or not turn.model.exists():
            one.check(job, before)
            if not first:  # it knows nothing of MLOPS_MODEL
                place.away(turn.seed)
        record = one.measures(job, record, turn) if first else record
        model = keep(turn.model, store, shown=job.config.output, env=job.world.env)
    except MlopsError as error:
        error.message += f" (seed {turn.seed})"
        raise Ended(record, error) from error
    done = Done(fingerprint, model, record.commands[-1].seconds, spent, record.measures if first else {})
    write_atomic(_note(place, turn.seed), codec.dumps(done))
    return record, model


def over(place: Seats) -> None:
    """All seeds are trained: whoever asks to train them again means it."""
    for note in place.folder.glob("*/done.json"):
        note.unlink(missing_ok=True)
    place.others()


def _store(store: Store | None, *, first: bool) -> Store | None:
    """The others' models are asked for only while these inputs may be evaluated again: they go as a pull request's do, main's too."""
    if first or not isinstance(store, LocalStore):
        return store
    return replace(store, setting=replace(store.setting, belongs="pull-request"), of=f"{store.of}|seeds")


def _note(place: Seats, seed: int) -> Path:
    return place.folder / str(seed) / "done.json"


def _done(place: Seats, seed: int, fingerprint: str, *, first: bool) -> Done | None:
    """What is done of a seed, where its model is still what it was then."""
    path = _note(place, seed)
    try:
        found: Done = codec.from_json(Done, codec.loads(path.read_bytes(), where=str(path)), where=str(path))
        lies = place.output if first else place.place(seed)
        whole = found.fingerprint == fingerprint and digest(lies, cache=Cache.of(place.env)).digest == found.model.digest
    except (OSError, InvalidFile, MlopsError):
        return None
    return found if whole else None
