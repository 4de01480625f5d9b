"""The run record, `.mlops/run.json`: one execution of train and evaluate at one commit. It holds no secret."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timezone
from pathlib import PurePosixPath
from typing import Any, Literal

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.records import codec
from mlops_toolkit.records.publication import Deployed
from mlops_toolkit.records.publication import Publication as Publication
from mlops_toolkit.system.clock import Clock
from mlops_toolkit.system.usage import Resources as Resources

SCHEMA = 1
RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
MOST = 16_000_000  # bytes of a record: one that is larger is no list of numbers any more
LAST_SEED = 2**32 - 1
LARGEST = 1e300  # of a number that is compared: beyond it a sum or a difference of a few is none
# judged: a stranger's, of which nothing is kept but that it was judged, and by what
Status = Literal["running", "succeeded", "failed", "interrupted", "reused", "judged"]


@dataclass(frozen=True)
class Job:
    """The CI job that made the run. `run` and `attempt` as the CI counts them; `number` the job's name or matrix leg."""

    provider: str = "laptop"
    run: str | None = None
    attempt: int = 1
    job: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Artifact:
    """A file the run kept beside its record; path relative to the run's folder; size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Model:
    """A model by digest. `stores` are addresses it can be had from; none, and `reason` says why; `host` for file: stores."""

    digest: str
    size: int
    path: str
    kind: Literal["file", "folder"] = "file"
    stores: tuple[str, ...] = ()
    host: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Elsewhere:
    """A model that was trained elsewhere, as its pointer names it.

    uri      where it is; of a vendor's model all there is to tell it by
    prompts  files that are part of the model: path -> `sha256:…` as they were in this run
    tried    how many candidates it was chosen from; run: the run that recorded it
    """

    uri: str
    prompts: Mapping[str, str] = field(default_factory=dict)
    tried: int = 1
    run: str | None = None


@dataclass(frozen=True)
class Spread:
    """How a metric spreads over `seeds` ≥ 2 trainings: the variance of its values, and what of that the finite test set explains."""

    seeds: int
    variance: float
    explained: float


@dataclass(frozen=True)
class MetricValue:
    """A metric of one run. `value` is null where it has none, and `state` says why (`one-class`, `no-positives`, …).

    left_out       of a metric that is the user's own program: its value without each of the groups that the examples fall into
    groups         what those groups are, as a digest: of which examples, in how many
    training       how it spreads over several trainings, where there were such
    """

    value: float | None
    n: int
    signature: str
    direction: Literal["higher", "lower"]
    standard_error: float | None = None
    state: str = "ok"
    left_out: tuple[float | None, ...] = field(default=(), metadata={"key": "left-out"})
    groups: str | None = None
    training: Spread | None = None


@dataclass(frozen=True)
class Measure:
    """Numbers the user reports; several of one name are repeats and have an interval.

    beside  the baseline's numbers where both were measured in turn, on the same machine in the same minutes (A B B A …): value i of
            both belongs to one round. `beside_run` is the baseline's run.
    each    how many values one round brought, where what was measured printed several
    """

    values: tuple[float, ...]
    better: Literal["higher", "lower"] | None = None
    noisy: bool = True
    unit: str | None = None
    beside: tuple[float, ...] = ()
    beside_run: str | None = field(default=None, metadata={"key": "beside-run"})
    each: int = 1


@dataclass(frozen=True)
class Command:
    """A command the run executed: as written, its exit status (null if a signal ended it) and how it ended."""

    phase: Literal["train", "evaluate"]
    run: str
    exit: int | None = None
    signal: str | None = None
    seconds: float | None = None
    ended: Literal["ok", "failed", "interrupted", "time-limit", "out-of-memory", "reused", "running"] = "running"


@dataclass(frozen=True)
class Environment:
    """Where it ran. `packages` is the digest of the installed distributions of the user's Python, `lock` that of a lock file."""

    python: str | None = None
    platform: str | None = None
    packages: str | None = None
    lock: str | None = None
    gpu: str | None = None
    driver: str | None = None
    host: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """The evaluation data as the predictions show it: digest over rows sorted by id of id, target, weight, cluster."""

    digest: str
    n: int
    task: str | None = None
    labels: tuple[str, ...] = ()
    ids_digest: str | None = None


@dataclass(frozen=True)
class Again:
    """What the model of an earlier run answers now, and how that came about, or why there is nothing."""

    predictions: Artifact | None = None
    note: str | None = None


@dataclass(frozen=True)
class Rescored:
    """An earlier run's answers, measured by metrics that are the user's own programs, for examples or programs that are not what they were.

    By metric, and then by slice ("" for all examples). now: by this run's program. theirs: by the earlier run's own program, and mine:
    this run's answers by that one; both where the program changed. notes: why there is nothing, by metric
    """

    now: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    theirs: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    mine: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """One suite's predictions (`` is the only suite's name): where they are, of what data, and how they were read.

    reads     what it was measured with, by digest: the command, declared inputs and data (see models.evaluation)
    baseline_predictions, baseline_run, baseline_note  what the baseline's model (of that run) answers now, and how that came about,
              or why there is nothing
    also      the same of the other runs that the gate is held against (the last release, a pinned one), by their ids
    rescored  what metrics that are the user's own programs say of earlier runs' answers, by their ids
    """

    predictions: Artifact | None = None
    data: Data | None = None
    positive: str | None = None
    slices: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    baseline_predictions: Artifact | None = None
    baseline_run: str | None = None
    baseline_note: str | None = None
    also: Mapping[str, Again] = field(default_factory=dict)
    rescored: Mapping[str, Rescored] = field(default_factory=dict)

    def again(self, run: str) -> Again:
        """What is known of the model of a run, be it the baseline's or another's."""
        if self.baseline_run == run:
            return Again(self.baseline_predictions, self.baseline_note)
        return self.also.get(run, Again())

    def without_again(self) -> Evaluation:
        """Without what earlier models answer now: that is of the comparison it was made for."""
        return replace(self, baseline_predictions=None, baseline_run=None, baseline_note=None, also={}, rescored={})


@dataclass(frozen=True)
class SeedRun:
    """One of several trainings of the same inputs, with another seed; the first one is the run's own.

    predictions  by suite, where they are; the first seed's are those of the run's `evaluations`
    metrics      its values, by the names of the run's `metrics`
    fingerprint  of a training with this seed alone
    """

    seed: int
    model: Model | None = None
    fingerprint: str | None = None
    predictions: Mapping[str, Artifact] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Fingerprints:
    """Digests that decide about reuse: what train would read, what evaluate would read, and what git alone tells of both."""

    train: str | None = None
    evaluate: str | None = None
    tracked: str | None = None


@dataclass(frozen=True)
class GateOutcome:
    """How the run's own gate ended, kept so that a failed run is no baseline. said_yes: what was accepted, each with value, day and reason."""

    gate: Literal["passed", "failed", "undecided", "none"]
    verdict: Literal["pass", "fail", "inconclusive", "ungated"] | None = None
    accepted: bool = False
    sentence: str = ""
    said_yes: tuple[str, ...] = field(default=(), metadata={"key": "said-yes"})


@dataclass(frozen=True)
class Run:
    """One execution of train and evaluate at one commit."""

    id: str
    model: str
    commit: str | None = None
    tree: str | None = None
    dirty: bool = False
    branch: str | None = None
    base_branch: str | None = None
    pull_request: int | None = None
    fork: bool = False
    event: str | None = None
    config: str = "mlops.yaml"
    matrix: str | None = None
    ci: Job = field(default_factory=Job)
    started: str = ""
    ended: str | None = None
    status: Status = "running"
    reason: str | None = None
    source: str | None = None
    trainings: int = 1
    commands: tuple[Command, ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)
    seed: int | None = None
    seeds: tuple[SeedRun, ...] = ()
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    environment: Environment = field(default_factory=Environment)
    resources: Resources = field(default_factory=Resources)
    trained: Model | None = field(default=None, metadata={"key": "trained-model"})
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    built_in: Mapping[str, Measure] = field(
        default_factory=dict, metadata={"key": "built-in", "doc": "what every model has: its size, its parameters, what its training took"}
    )
    slices: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    gate: GateOutcome | None = None
    withdrawn: str | None = None
    released: str | None = None
    published: tuple[Publication, ...] = ()
    deployed: tuple[Deployed, ...] = ()
    self_reported: bool = field(default=False, metadata={"key": "self-reported"})
    elsewhere: Elsewhere | None = None
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    tool: str = ""
    schema: int = SCHEMA


# Version n -> n+1, applied in order to the raw JSON of an older record.
MIGRATIONS: tuple[Any, ...] = ()


def new_id(clock: Clock) -> str:
    """`20261124-092057-3f9a1c`: when it started (UTC), to a 256th of a second, and four random hex digits, so that two at once differ.

    Ids are sorted by when runs began: of two within a second, too, the earlier one comes first.
    """
    now = clock.now().astimezone(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 256 // 1_000_000:02x}{secrets.token_hex(2)}"


def loads(text: str | bytes, *, where: str) -> Run:
    """Read a run record, migrating an older schema; InvalidFile names what is wrong and where."""
    if len(text) > MOST:
        raise InvalidFile(
            "wrong-shape", f"{len(text) / 1e6:,.0f} MB are more than a run record may hold ({MOST / 1e6:,.0f} MB)", where=where
        )
    data = codec.loads(text, where=where)
    version = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InvalidFile(
            "not-a-run",
            'not a run record: it has no "schema"',
            where=where,
            hint="a run record is what `mlops train` or `mlops evaluate` leaves in .mlops/run.json",
        )
    if version > SCHEMA:
        raise InvalidFile(
            "newer-record",
            f"written by a newer version (schema {version}; this one reads up to {SCHEMA})",
            where=where,
            hint="update mlops-actions",
        )
    for migrate in MIGRATIONS[version - 1 :]:
        data = migrate(data)
    return _checked(codec.from_json(Run, data, where=where), where)


def artifacts(run: Run) -> dict[str, Artifact]:
    """Every file that a record names, by where it names it."""
    kept: dict[str, Artifact | None] = {f"artifacts.{name}": artifact for name, artifact in run.artifacts.items()}
    for suite, evaluation in run.evaluations.items():
        kept[f"evaluations.{suite}.predictions"] = evaluation.predictions
        kept[f"evaluations.{suite}.baseline_predictions"] = evaluation.baseline_predictions
        kept |= {f"evaluations.{suite}.also.{run_id}": again.predictions for run_id, again in evaluation.also.items()}
    for one in run.seeds:
        kept |= {f"seeds.{one.seed}.predictions.{suite}": artifact for suite, artifact in one.predictions.items()}
    return {name: artifact for name, artifact in kept.items() if artifact is not None}


def safe_path(path: str) -> bool:
    """Whether a path names a file below the folder it is taken from, and nothing that git or a terminal would read otherwise."""
    parts = PurePosixPath(path).parts
    plain = bool(parts) and path == "/".join(parts) and not path.startswith("/") and not re.search(r'[\x00-\x1f\\"]', path)
    return plain and ".." not in parts and ".git" not in {part.casefold() for part in parts}


def _checked(run: Run, where: str) -> Run:
    """The record if it holds what only a record of ours holds: it may come from a job that ran somebody's code."""

    def wrong(what: str, wanted: str, value: object) -> InvalidFile:
        return InvalidFile("wrong-shape", f"{what} should be {wanted}, is {str(value)[:60]!r}", where=where)

    if not RUN_ID.fullmatch(run.id):
        raise wrong("id", "a run's id, like 20261124-092057-3f9a1c", run.id)
    for what, artifact in artifacts(run).items():
        # What was too large for the history is in a store: ADDRESS#NAME.
        if not safe_path(artifact.path.rpartition("#")[2]):
            raise wrong(f"{what}.path", "a path below the run's folder", artifact.path)
    seeds = [one.seed for one in run.seeds]
    if len(set(seeds)) != len(seeds) or not all(0 <= seed <= LAST_SEED for seed in seeds):
        raise wrong("seeds", f"different whole numbers from 0 to {LAST_SEED}", seeds)
    again = (values for one in run.evaluations.values() for scored in one.rescored.values() for values in _values(scored))
    for name, one in (item for values in (run.metrics, *run.slices.values(), *again) for item in values.items()):
        if one.n < 0 or not all(abs(value) <= LARGEST for value in (one.value, *one.left_out) if value is not None):
            raise wrong(f"metrics.{name}", f"a number up to {LARGEST:g}, of 0 examples or more", (one.value, one.n))
        if one.training is not None and not (
            one.training.seeds > 1 and 0 <= one.training.variance <= LARGEST and one.training.explained >= 0
        ):
            raise wrong("training", "the spread of two trainings or more", one.training)
    for name, measure in (*run.measures.items(), *run.built_in.items()):
        if not measure.values or not all(abs(value) <= LARGEST for value in measure.values):
            raise wrong(f"measures.{name}.values", "one number or more", list(measure.values))
        if not all(abs(value) <= LARGEST for value in measure.beside) or (measure.beside and len(measure.beside) != len(measure.values)):
            raise wrong(f"measures.{name}.beside", f"{len(measure.values)} numbers", list(measure.beside))
        if measure.each < 1 or len(measure.values) % measure.each:
            raise wrong(f"measures.{name}.each", "how many values one round brought", measure.each)
    return run


def _values(scored: Rescored) -> list[Mapping[str, MetricValue]]:
    return [values for side in (scored.now, scored.theirs, scored.mine) for values in side.values()]


def dumps(run: Run) -> str:
    """The record as JSON text."""
    return codec.dumps(run)
