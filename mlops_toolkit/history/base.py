"""What the history can do, and what it keeps ready of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mlops_toolkit.records.result import Result
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.git import Commit

DIGEST = 20  # hex digits of a fingerprint that an entry keeps: 80 bits, and the index stays small


@dataclass(frozen=True)
class Entry:
    """A run's line in index.jsonl: enough to pick a baseline, to decide about reuse and to draw a metric over time without opening a record.

    key       (config path, model, matrix) as one text, see `key_of`
    gate      outcome of its own gate; `accepted` if somebody said yes to a failure
    train, evaluate  fingerprints, shortened: compare them with `same_digest`, never with `==`
    metrics   the run's first metrics and measures (`KEPT` of them) to five digits: for charts and lists, not for verdicts
    sentence  the gate's sentence; on the branch only the latest runs keep it
    """

    id: str
    key: str
    commit: str | None
    tree: str | None
    status: str
    started: str
    branch: str | None = None
    event: str | None = None
    pull_request: int | None = None
    fork: bool = False
    dirty: bool = False
    ci_run: str | None = None
    gate: Literal["passed", "failed", "undecided", "none"] | None = None
    accepted: bool = False
    train: str | None = None
    evaluate: str | None = None
    withdrawn: bool = False
    released: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    seeds: int | None = None  # how many trainings it has, where there are several
    looked: str | None = None  # `DATA:MODEL`, short digests of what it was judged by and of what was judged
    where: Literal["recorded", "waiting", "here"] = "recorded"  # on the branch, in .mlops/outbox, only in .mlops/runs
    sentence: str = ""


@dataclass(frozen=True)
class Bundle:
    """What is recorded of a run: record, result, and files by path below its folder (predictions/<suite>.parquet, charts/<name>-<hash>.png)."""

    run: Run
    result: Result | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What became of it: on the branch (`commit`), or waiting in the outbox with the reason as a sentence, and the way out."""

    pushed: bool
    commit: str | None = None
    reason: str | None = None
    hint: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict)  # of its files, as a browser with access shows them; {} where not known


class History(Protocol):
    """Reading fails closed (EnvironmentFailure `history-unreadable`), writing never loses a record.

    notes   what was skipped, or gone by because the remote could not be read: sentences for standard error
    """

    @property
    def notes(self) -> Sequence[str]: ...

    def entries(self) -> Sequence[Entry]:
        """Every run known: recorded, waiting and local ones, oldest first; each id once (waiting wins over recorded, recorded over local)."""
        ...

    def run(self, run_id: str) -> Run | None: ...

    def result(self, run_id: str) -> Result | None: ...

    def file(self, run_id: str, path: str) -> Path | None:
        """A file of the bundle on this machine's disk, fetched by object id if need be; None where it was never kept."""
        ...

    def salt(self) -> str:
        """The text that example ids are hashed with; made once, kept in the history; the same for local runs."""
        ...

    def record(self, bundle: Bundle, *, remote: bool) -> Recorded:
        """Keep a run (again: replaces its earlier version). remote=False: on this machine only."""
        ...

    def wait(self, bundle: Bundle) -> bool:
        """Keep a run as others may see it until somebody asks to send it; False where there is nowhere to send it to."""
        ...

    def ancestry(self, commit: str, depth: int) -> Sequence[Commit]:
        """The first-parent line from `commit` as the code's remote has it, up to `depth` commits; () where it cannot be had.

        `commit` may be an object id or `refs/heads/<branch>`; nothing is written into the user's clone.
        """
        ...

    def content(self, commit: str, path: str) -> bytes | None:
        """A file of the code at a commit (its full id) as the code's remote has it; None where it is not there, or cannot be had."""
        ...

    def message(self, tag: str) -> str | None:
        """What was written into a tag of the code as its remote has it: "" of a tag that holds no text; None where there is none, or it cannot be had."""
        ...

    def export(self, commit: str, to: Path) -> bool:
        """Write all files of the code at a commit below `to`, as the code's remote has them; whether they could be had. No submodules."""
        ...


def key_of(config: str, model: str, matrix: str | None) -> str:
    """The text that sections, runs and baselines are keyed by."""
    return "|".join((config, model, matrix or ""))


def short_digest(digest: str | None) -> str | None:
    """A fingerprint as an entry keeps it: its first 20 hex digits, without `sha256:`."""
    return None if digest is None else digest.rpartition(":")[2][:DIGEST]


def same_digest(one: str | None, other: str | None) -> bool:
    """Whether two fingerprints, either of them shortened, are the same; two unknown ones are not."""
    return one is not None and other is not None and short_digest(one) == short_digest(other)
