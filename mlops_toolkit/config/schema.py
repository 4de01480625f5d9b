"""The one definition of mlops.yaml. Reading, its errors, the JSON Schema and the reference page all come from these dataclasses.

Field metadata: `doc` (one sentence, shown by editors and the reference), `example` (YAML text), and what the type cannot say:
`holds` (of text: see `Holds`), `pattern` with `like` (a regular expression and how to say it), `least`, `most`, `above`, `below`
(of numbers). A field `max_drop` is the key `max-drop`. Quantities that a person writes with a unit are classes with a `parse` (see
`quantities`); what the gate says is in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.config.monitoring import Monitor
from mlops_toolkit.config.publishing import Publish
from mlops_toolkit.config.quantities import Better, Duration, doc
from mlops_toolkit.config.rules import Accepted, Rule, WhenUncertain

Task = Literal["classification", "regression"]
# What a text is: one line (the default) · a command, of any number of lines · a path or glob inside the repository, relative to
# the file · data: such a path, an absolute one, or an address · a day, YYYY-MM-DD.
Holds = Literal["line", "command", "path", "data", "day"]

OWN = "python"  # the family of metrics that are the user's own programs
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


@dataclass(frozen=True)
class Train:
    """How the model is made."""

    run: str = field(
        metadata=doc("The command that trains, run by a shell in your own environment.", example="python train.py", holds="command")
    )
    output: str = field(metadata=doc("The file or folder the command leaves behind: the model.", example="model/", holds="path"))
    inputs: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Paths and globs that decide whether it must run again. Default: all tracked files but documentation and CI files.",
            example="[src/, train.py]",
            holds="path",
        ),
    )
    data: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Data watched by digest: paths, globs or addresses (s3://, gs://, az://, https://).",
            example="[s3://bucket/train/]",
            holds="data",
        ),
    )
    params: str | None = field(
        default=None,
        metadata=doc("A YAML or JSON file of parameters; differences are shown in the comment.", example="params.yaml", holds="path"),
    )
    gpus: int | None = field(default=None, metadata=doc("How many GPUs the command needs.", example="1", least=0, most=1024))
    timeout: Duration | None = field(default=None, metadata=doc("Stop the command after this long.", example="6h"))
    seed: int | None = field(default=None, metadata=doc("Given to the command as MLOPS_SEED.", example="0", least=0, most=4294967295))
    seeds: tuple[int, ...] = field(
        default=(),
        metadata=doc(
            "Train once with each of these seeds, so that the luck of training is known too; the first one's model is the model.",
            example="[0, 1, 2]",
            least=0,
            most=4294967295,
        ),
    )
    launcher: str = field(default="local", metadata=doc("What executes the command.", example="local"))

    @property
    def first_seed(self) -> int | None:
        """That of the model which is *the* model; None where nobody says one."""
        return self.seeds[0] if self.seeds else self.seed


@dataclass(frozen=True)
class MetricRequest:
    """A metric as asked for: `accuracy`, `recall:spam`, `{mean: judge_score, better: higher}`, `{quantile: latency, q: 0.95, better: lower}`."""

    name: str = field(metadata=doc("Its name in the comment and in `gate:`.", example="helpfulness"))
    family: str = field(metadata=doc("accuracy, f1, mean, quantile, …"))
    argument: str | None = field(default=None, metadata=doc("A class (`recall:spam`) or a column (`mean: judge_score`)."))
    better: Better | None = field(default=None, metadata=doc("Which direction is better; needed where the name does not tell."))
    q: float | None = field(default=None, metadata=doc("The quantile, between 0 and 1.", example="0.95", above=0, below=1))
    unit: str | None = field(default=None, metadata=doc("Shown behind the number.", example="ms"))
    groups: int | None = field(
        default=None,
        metadata=doc(
            "Of a metric of your own (`{python: metrics.py:cost}`): so many groups of examples are left out in turn for its interval; fewer are faster.",
            example="20",
            least=10,
            most=1000,
        ),
    )

    @property
    def own(self) -> bool:
        """Whether it is a function of the user's own program."""
        return self.family == OWN


@dataclass(frozen=True)
class SliceRequest:
    """A slice as asked for: a column (one slice a value) or a named expression `{long: "length > 512"}`."""

    name: str
    column: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class Suite:
    """One evaluation of the model."""

    run: str | None = field(
        default=None,
        metadata=doc(
            "The command that evaluates; it writes one row per example to $MLOPS_PREDICTIONS.",
            example="python evaluate.py",
            holds="command",
        ),
    )
    data: tuple[str, ...] = field(
        default=(), metadata=doc("The evaluation data, watched by digest.", example="[data/test.parquet]", holds="data")
    )
    inputs: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Paths and globs that decide whether it must run again. Default: as for train.", example="[evaluate.py]", holds="path"
        ),
    )
    task: Task | None = field(default=None, metadata=doc("What the predictions are.", example="classification"))
    metrics: tuple[MetricRequest, ...] = field(
        default=(), metadata=doc("The metrics to compute. Default: the task's usual ones.", example="[accuracy, f1-macro, recall:spam]")
    )
    slices: tuple[SliceRequest, ...] = field(
        default=(), metadata=doc("Subsets to judge too: a column, or a named condition.", example='[language, {long: "length > 512"}]')
    )
    discover: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Columns in whose values, alone and in pairs, the slices that got worst are searched. Default: every column that can be.",
            example="[language, source]",
        ),
    )
    predictions: str | None = field(
        default=None,
        metadata=doc("Where the command writes its predictions, if not to $MLOPS_PREDICTIONS.", example="out/preds.csv", holds="path"),
    )
    measures: str | None = field(
        default=None,
        metadata=doc("A JSON file of numbers the command writes, if not to $MLOPS_MEASURES.", example="out/measures.json", holds="path"),
    )
    metrics_file: str | None = field(
        default=None,
        metadata=doc(
            "A metrics file (numbers only, no predictions) that the command writes: flat or nested JSON or YAML, DVC, scikit-learn, MLflow.",
            example="metrics.json",
            holds="path",
        ),
    )
    positive: str | None = field(
        default=None, metadata=doc("The positive class of binary metrics, unless the labels are 0/1 or false/true.", example="spam")
    )
    timeout: Duration | None = field(default=None, metadata=doc("Stop the command after this long.", example="1h"))


@dataclass(frozen=True)
class Evaluate(Suite):
    """How the model is evaluated: one suite's keys, or several under `suites:`."""

    suites: Mapping[str, Suite] = field(
        default_factory=dict, metadata=doc("Several evaluations of the one model; their metrics are named safety/refusal-rate.")
    )


KEEP = r"^([0-9]{1,6}d?|forever)$"


@dataclass(frozen=True)
class Keep:
    """How long models are kept in the store, by what they belong to: `3d`, a count, or `forever`."""

    pull_request: str = field(default="3d", metadata=doc("Models of pull requests.", pattern=KEEP, like="3d, a count or forever"))
    main: str = field(default="10", metadata=doc("Models of the main branch.", pattern=KEEP, like="3d, a count or forever"))
    release: str = field(default="forever", metadata=doc("Released models.", pattern=KEEP, like="3d, a count or forever"))


@dataclass(frozen=True)
class Models:
    """Where models are stored."""

    store: str = field(
        default="auto",
        metadata=doc(
            "`auto`, `none`, `file:` (or `file:/path`), `oci://…`, `s3://…`, `gs://…`, `az://…`.",
            example="oci://ghcr.io/org/repo/mlops-models",
            pattern=r"^(auto|none|file:.*|(oci|s3|gs|az|memory)://.+)$",
            like="auto, none, file:, oci://…, s3://…, gs://… or az://…",
        ),
    )
    keep: Keep = field(default_factory=Keep, metadata=doc("How long they are kept."))


@dataclass(frozen=True)
class HistoryOptions:
    """Where runs are recorded."""

    at: str = field(
        default="mlops-history",
        metadata=doc(
            "A branch of this repository, or REPOSITORY-URL#BRANCH.",
            # No option (`-x`), no helper of git's (`ext::…`, which runs a command), no name that git refuses.
            pattern=r"^(?!-)(?!.*::)([^\s#]+#)?(?![-/])(?![^#]*(\.\.|@\{|//))[^\s#~^:?*\[\\]+$",
            like="a branch name or REPOSITORY-URL#BRANCH",
        ),
    )
    predictions: Literal["auto", "models", "none"] = field(
        default="auto",
        metadata=doc(
            "Where predictions are kept: in the history branch up to 5 MB and beyond that in the models store, always in the models store, or nowhere."
        ),
    )
    ids: Literal["hashed", "plain"] = field(default="hashed", metadata=doc("Whether example ids are kept as salted hashes."))


@dataclass(frozen=True)
class CommentOptions:
    """How the pull request's comment behaves."""

    charts: bool = field(default=True, metadata=doc("Draw charts."))
    when_worse: Literal["edit", "new"] = field(
        default="edit",
        metadata=doc(
            "What a verdict that is worse than the one that stands does: `edit` the comment, or write a `new` one (mail is sent for new comments only) and remove the old.",
            example="new",
        ),
    )
    discovered: int = field(
        default=5, metadata=doc("How many discovered slices the comment lists; 0: none are searched.", least=0, most=20)
    )
    examples: int = field(default=10, metadata=doc("How many fixed and broken examples the comment lists.", least=0, most=100))


@dataclass(frozen=True)
class Looks:
    """How often models of one pull request may be judged."""

    warn_after: int = field(default=10, metadata=doc("Say so in the comment from this many times on.", least=1, most=1000))
    spend: Literal["none", "each"] = field(
        default="none",
        metadata=doc(
            "`each`: every further look asks for a wider interval, so that however often it is tried, what passes in the end is as sure as one look."
        ),
    )


@dataclass(frozen=True)
class Config:
    """One model: how it is trained and evaluated, and what a change may do to it. Paths are relative to the file."""

    name: str = field(
        metadata=doc(
            "The model's name, unique in the repository.",
            example="spam-filter",
            pattern=MODEL_NAME,
            like="letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit",
        )
    )
    train: Train | None = field(default=None, metadata=doc("How the model is made."))
    model: str | None = field(
        default=None,
        metadata=doc(
            "Instead of `train`: the committed pointer to a model that was trained elsewhere.", example="models/spam.lock", holds="path"
        ),
    )
    evaluate: Evaluate | None = field(default=None, metadata=doc("How the model is evaluated."))
    gate: Mapping[str, Rule] = field(
        default_factory=dict, metadata=doc("What is allowed of each metric and measure, against the baseline and absolutely.")
    )
    against: tuple[str, ...] = field(
        default=("main",),
        metadata=doc(
            "What the gate is held against: `main` (the baseline) always; `release` (the last one) or a run, tag or commit too.",
            example="[main, release]",
        ),
    )
    scope: Literal["artifact", "recipe"] | None = field(
        default=None,
        metadata=doc(
            "What is judged: `artifact`, this very model; `recipe`, the way it is made, so that the luck of training counts too. Default: recipe where `train.seeds` are given.",
            example="recipe",
        ),
    )
    looks: Looks = field(default_factory=Looks, metadata=doc("Judging models of one pull request again and again."))
    accepted: tuple[Accepted, ...] = field(default=(), metadata=doc("Regressions that were said yes to."))
    confidence: float = field(default=0.95, metadata=doc("Of every interval, two-sided.", example="0.95", least=0.5, most=0.9999))
    when_uncertain: WhenUncertain = field(
        default="ask", metadata=doc("What an undecided check that leans the wrong way does: ask (blocks until accepted), warn, fail.")
    )
    measures: Mapping[str, Better] = field(
        default_factory=dict, metadata=doc("Directions of measures whose names do not tell.", example="{widgets: higher}")
    )
    models: Models = field(default_factory=Models, metadata=doc("Where models are stored."))
    history: HistoryOptions = field(default_factory=HistoryOptions, metadata=doc("Where runs are recorded."))
    comment: CommentOptions = field(default_factory=CommentOptions, metadata=doc("How the comment behaves."))
    publish: Publish = field(default_factory=Publish, metadata=doc("How a model that passed its gate is published."))
    monitor: Monitor = field(default_factory=Monitor, metadata=doc("How it is watched in production."))
    deploy: Mapping[str, Deploy] = field(
        default_factory=dict,
        metadata=doc(
            "The environments that releases go to, by name.", example="{production: {target: docker, host: ssh://deploy@gpu1.example.com}}"
        ),
    )
    self_reported: Literal["allow", "refuse"] = field(
        default="allow",
        metadata=doc(
            "Whether numbers count that come with a model trained elsewhere (`mlops record`) and were not computed here: they are marked, or refused.",
            example="refuse",
        ),
    )
    allow_forks: bool = field(default=False, metadata=doc("Whether a self-hosted runner may run the code of a fork."))
