"""The result of a comparison, `.mlops/report.json` and `compare --json`: a verdict, its checks, and what a reader wants to see.

Everything the comment, the charts and the HTML page show is in here: rendering reads a Result and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.records import codec

SCHEMA = 1
Verdict = Literal["pass", "fail", "inconclusive", "ungated"]
Gate = Literal["passed", "failed", "undecided", "none"]
Direction = Literal["higher", "lower"]
Severity = Literal["gate", "warn", "info"]


@dataclass(frozen=True)
class Side:
    """One of the two runs compared. `state` (of a baseline) is one of DESIGN's named states, `note` says it in words."""

    commit: str | None = None
    run: str | None = None
    state: str = "ok"
    note: str | None = None
    label: str | None = field(default=None, metadata={"doc": "what the column is called: main, this PR, a file name"})
    branch: str | None = None
    behind: tuple[str, ...] = field(default=(), metadata={"doc": "commits of the base branch that the baseline lacks, `sha subject`"})
    url: str | None = None
    started: str | None = None
    self_reported: bool = field(
        default=False, metadata={"key": "self-reported", "doc": "its numbers come from whoever trained it, and were not computed in a CI"}
    )


@dataclass(frozen=True)
class Needs:
    """What would decide an inconclusive check, four times in five: so many examples, or seeds, or another bound, each on its own.

    Against a margin that supposes a harmless change at the disagreement that was seen; where that would have been decided already, and of
    improvements and values, that what was seen is the truth (`as-seen`).
    """

    n: int | None = None
    margin: float | None = None
    of: str = field(default="examples", metadata={"doc": "what n counts: examples, clusters, measurements, examples of a group"})
    have: int | None = field(default=None, metadata={"doc": "how many of those there are; null: the check's n"})
    as_seen: bool = field(default=False, metadata={"key": "as-seen", "doc": "supposing that what was seen is the truth"})
    seeds: int | None = field(default=None, metadata={"doc": "or so many trainings of each side"})
    have_seeds: int | None = field(default=None, metadata={"key": "have-seeds"})
    together: bool = field(default=False, metadata={"doc": "n and seeds are needed both"})
    improve: float | None = field(default=None, metadata={"doc": "the improvement that is shown already"})
    limit: float | None = field(default=None, metadata={"doc": "the min or max that the value is shown to keep already"})
    instead: str | None = field(default=None, metadata={"doc": "what would decide it where no number of examples does, as a sentence"})

    def there(self, n: int) -> int:
        """How many there are of what is counted. n: the check's."""
        return n if self.have is None else self.have


@dataclass(frozen=True)
class Check:
    """One metric (or measure), overall or on a slice, judged against what is allowed.

    change, low, high: oriented so that + is better, in the metric's unit; the interval of the change at `confidence`.
    margin: the largest allowed worsening, ≥ 0, same unit; null where only min/max or nothing is asked.
    unit: "fraction" (shown in percentage points), "" (plain number) or a word ("ms").
    """

    metric: str
    slice: str | None = None
    signature: str = ""
    direction: Direction = "higher"
    baseline: float | None = None
    head: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    n: int = 0
    margin: float | None = None
    min: float | None = None
    max: float | None = None
    verdict: Verdict = "ungated"
    leaning: Literal["inside", "beyond"] | None = None
    severity: Severity = "gate"
    reason: str | None = field(default=None, metadata={"doc": "kebab-case: too-few, multiplicity, metric-gone, no-interval, below-min, …"})
    message: str | None = field(default=None, metadata={"doc": "the reason as a sentence"})
    needs: Needs | None = None
    unit: str = ""
    kind: Literal["metric", "measure"] = "metric"
    method: str | None = field(default=None, metadata={"doc": "tango, influence, clusters, threshold, exact"})
    head_low: float | None = field(default=None, metadata={"doc": "interval of the head's own value, for min/max"})
    head_high: float | None = None
    disagree: int | None = field(default=None, metadata={"doc": "rows on which the two sides differ in correctness or contribution"})
    better: int | None = None
    worse: int | None = None
    accepted: str | None = field(default=None, metadata={"doc": "the reason given in `accepted:`"})
    accepted_as: str | None = field(
        default=None, metadata={"key": "accepted-as", "doc": "what it is bound to: `down to 0.941, until 2026-12-31`"}
    )
    suggested: float | None = field(
        default=None, metadata={"doc": "smallest margin a harmless change passes nine times in ten on this test set"}
    )
    must: bool = False
    improve: float | None = field(default=None, metadata={"doc": "the least improvement asked for, > 0, same unit as margin"})
    gain: float | None = field(default=None, metadata={"doc": "the largest improvement that is not suspicious"})
    warning: bool = field(default=False, metadata={"doc": "of the bounds under `warn:`: beside the metric's own check, and never blocking"})
    against: str | None = field(default=None, metadata={"doc": "which of `others` it is held against; null: the baseline"})
    groups: tuple[str, ...] = field(default=(), metadata={"doc": "of a gap: the two groups that are furthest apart, the better one first"})
    training: float | None = field(
        default=None, metadata={"doc": "the part of the change's standard error that is the luck of training; null: not included"}
    )


def name_of(check: Check) -> str:
    """`accuracy`, `accuracy [language=en]`, `accuracy against release`: how a check is named in tables and in `accepted:`."""
    part = f" [{check.slice}]" if check.slice is not None else ""
    return f"{check.metric}{part}{f' against {check.against}' if check.against else ''}"


@dataclass(frozen=True)
class Discovered:
    """A slice nobody declared, found by searching where the head got worse; it informs and never decides.

    where: column -> value, one or two of them. change, low, high: of `metric` on that slice, oriented; p: one-sided, of no change or a
    better one; q: the share of false ones that is to be expected among those as convincing as this (Benjamini & Hochberg 1995).
    """

    metric: str
    where: Mapping[str, str]
    n: int
    baseline: float | None
    head: float | None
    change: float
    low: float | None
    high: float | None
    p: float
    q: float
    suite: str = ""
    unit: str = ""
    direction: Direction = "higher"


@dataclass(frozen=True)
class Search:
    """How the discovered slices were searched: how many were looked at, over which columns, and what was found, worst first."""

    looked_at: int = 0
    columns: tuple[str, ...] = ()
    found: tuple[Discovered, ...] = ()
    passed: tuple[str, ...] = field(default=(), metadata={"doc": "columns that were named and could not be searched, and why"})


@dataclass(frozen=True)
class Training:
    """How the luck of training was counted.

    scope      artifact: this very model is judged; recipe: the way it is made
    seeds      of baseline and head, the trainings that were compared
    paired     they are the same seeds, each held against its own
    left_out   seeds that only one side has, where others are paired
    source     `seeds` (several trainings on one side at least), `history` (the spread that is recorded of a run with seeds: `run`, of two
               `ID and ID`), None: not included
    alike      the sides whose trainings all answered the same: perhaps none of them reads its seed
    """

    scope: Literal["artifact", "recipe"] = "artifact"
    seeds: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    paired: bool = False
    left_out: tuple[int, ...] = field(default=(), metadata={"key": "left-out"})
    source: Literal["seeds", "history"] | None = None
    run: str | None = None
    alike: tuple[Literal["baseline", "head"], ...] = ()


@dataclass(frozen=True)
class Example:
    """One row whose correctness changed; previews are what the user's evaluation wrote, untrusted."""

    id: str
    target: str | None
    baseline: str | None
    head: str | None
    preview: Mapping[str, str] = field(default_factory=dict)
    suite: str = ""
    weight: float | None = field(
        default=None, metadata={"doc": "how much worse (+) or better (−) this row got, for tasks without right and wrong"}
    )


@dataclass(frozen=True)
class Examples:
    """Fixed: wrong on the baseline, right on the head. Broken: the other way. Totals count all, the lists are capped."""

    fixed: tuple[Example, ...] = ()
    broken: tuple[Example, ...] = ()
    fixed_total: int = 0
    broken_total: int = 0


@dataclass(frozen=True)
class Difference:
    """A parameter, package or environment entry that differs between the two runs."""

    section: Literal["model", "params", "environment", "data", "command", "gate", "cost"]
    name: str
    baseline: str | None
    head: str | None


@dataclass(frozen=True)
class MeasureRow:
    """A measure of both runs as reported (means where several values were given)."""

    baseline: float | None = None
    head: float | None = None
    better: Direction | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Curve:
    """A line of a chart: x and y of equal length."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """Counts by (target, prediction) of both sides over `labels`: rows are targets."""

    labels: tuple[str, ...]
    baseline: tuple[tuple[int, ...], ...]
    head: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Point:
    """A metric's value at one earlier run of the history."""

    run: str
    commit: str | None
    at: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Charts:
    """What the charts draw; empty where there is nothing to draw."""

    confusion: Confusion | None = None
    roc: tuple[Curve, ...] = ()
    pr: tuple[Curve, ...] = ()
    calibration: tuple[Curve, ...] = ()
    history: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """What to do next: shown at the end of the comment. `accept` is YAML to paste, `gate` a proposed block for first runs."""

    reproduce: str | None = None
    accept: str | None = None
    gate: str | None = None
    more_data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """The error that ended the run before a verdict."""

    name: str
    message: str


@dataclass(frozen=True)
class Result:
    """The outcome of a comparison of one model."""

    model: str
    verdict: Verdict | None
    gate: Gate
    sentence: str = field(metadata={"doc": "the verdict in one plain-text sentence, without emoji"})
    baseline: Side = field(default_factory=Side)
    head: Side = field(default_factory=Side)
    checks: tuple[Check, ...] = ()
    examples: Examples = field(default_factory=Examples)
    measures: Mapping[str, MeasureRow] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = field(
        default=(), metadata={"doc": "things the reader must know: noise not tested, gate loosened, n of m slices too small to say"}
    )
    charts: Charts = field(default_factory=Charts)
    next: Next = field(default_factory=Next)
    blocks: bool = field(default=False, metadata={"doc": "whether the policy stops the merge (exit 1 or 3)"})
    exit: int = 0
    policy: str = "ask"
    looks: int = 1
    others: Mapping[str, Side] = field(
        default_factory=dict, metadata={"doc": "what else the gate was held against, by the name in `against:`: release, a run"}
    )
    discovered: Search = field(default_factory=Search)
    training: Training = field(default_factory=Training)
    config: str = "mlops.yaml"
    matrix: str | None = None
    ci_run: str | None = None
    attempt: int = 1
    url: str | None = field(default=None, metadata={"doc": "the CI run's page"})
    error: Failure | None = None
    schema: int = SCHEMA


def loads(text: str | bytes, *, where: str) -> Result:
    """Read a result; InvalidFile where it is not one or is newer than this tool."""
    data = codec.loads(text, where=where)
    version = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= SCHEMA:
        raise InvalidFile(
            "not-a-result",
            f"not a result this version reads (schema {version!r})",
            where=where,
            hint="a result is what `mlops compare --json` prints",
        )
    return codec.from_json(Result, data, where=where)
