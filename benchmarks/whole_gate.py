"""How often the gate as a whole is wrong: mlops.yaml → every metric on every slice → judged → settled, on changes whose truth is known.

Three questions: of two models that are equally good, how often is one shown to be worse; what the README's own configuration does with a
harmless change and with a real drop of twice its margin; how often a real drop of five points passes on 200 examples. A part of
`benchmarks/calibration.py`, which writes the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.populations import Population, Rng, classes, clusters
from mlops_toolkit.config import requests
from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.bounds import resolve as bounds
from mlops_toolkit.gate.judge import Subject, measured
from mlops_toolkit.gate.whole import Settled, settle
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired_many
from mlops_toolkit.stats.sample import Sample

Masks = dict[str | None, np.ndarray | None]
Drawn = tuple[Sample, Sample, Masks]  # baseline, head, and the rows of every slice; None: all rows


def configured(text: str) -> Config:
    """As if it stood in a repository."""
    return parse(text, where="mlops.yaml", path=Path("/repository/mlops.yaml")).config


def readme() -> Config:
    """What README.md shows as mlops.yaml."""
    page = (Path(__file__).parents[1] / "README.md").read_text()
    (block,) = re.findall(r"```yaml\n(# mlops\.yaml\n.*?)```", page, re.DOTALL)
    return configured(block)


def gated(config: Config, baseline: Sample, head: Sample, masks: Masks) -> Settled:
    """The outcome of the gate over every metric that it names, on all rows and every slice."""
    metrics = [resolve(requests.metric(name), labels=head.labels) for name in config.gate]
    rows = {name or "": mask for name, mask in masks.items()}
    judged = []
    for where, results in paired_many(metrics, baseline, head, confidence=config.confidence, rows_by_slice=rows).items():
        for metric, one in zip(metrics, results, strict=True):
            rule = config.gate[metric.name]
            asked = bounds(
                metric.name, rule.slices if where else rule, direction=metric.direction, baseline=one.baseline, severity=rule.severity
            )
            subject = Subject(metric.name, metric.direction, metric.signature, metric.unit)
            judged.append(measured(subject, one, asked, slice_name=where or None, confidence=config.confidence))
    return settle(judged, policy=config.when_uncertain, confidence=config.confidence)


SIX = "name: equal\nevaluate: {run: x, task: classification}\ngate:\n" + "".join(
    f"  {name}: {{max-{way}: 0, slices: {{max-{way}: 0}}}}\n"
    for name, way in (
        ("accuracy", "drop"),
        ("balanced-accuracy", "drop"),
        ("f1-macro", "drop"),
        ("mcc", "drop"),
        ("roc-auc", "drop"),
        ("log-loss", "rise"),
    )
)


@dataclass(frozen=True)
class Question:
    """A gate, what it is shown, which outcome is wrong, and how often that may be at most."""

    name: str
    config: Config
    draw: Callable[[Rng], Drawn]
    wrong: Callable[[Settled], bool]
    most: float


def answered(question: Question, times: int, seed: int) -> float:
    """How often the outcome is wrong."""
    rng = np.random.default_rng(seed)
    return sum(question.wrong(gated(question.config, *question.draw(rng))) for _ in range(times)) / times


def alike(population: Population, n: int) -> Callable[[Rng], Drawn]:
    """Two models of which nobody can say which is which: of every example (cluster) it is tossed up whose answer is whose.

    Twenty slices that overlap: shares of 3 to 60 % of the rows, some mostly of one class, some inside of others.
    """

    def draw(rng: Rng) -> Drawn:
        one, other = population.draw(rng, n)
        toss = rng.random(one.n if one.cluster is None else int(one.cluster.max()) + 1) < 0.5
        swap = toss if one.cluster is None else toss[one.cluster]
        sides = [
            replace(
                mine,
                prediction=np.where(swap, theirs.prediction, mine.prediction),
                score=np.where(swap, theirs.score, mine.score),
                prob=np.asfortranarray(np.where(swap[:, None], theirs.prob, mine.prob)),
            )
            for mine, theirs in ((one, other), (other, one))
        ]
        return sides[0], sides[1], {None: None, **_slices(rng, one)}

    return draw


def _slices(rng: Rng, sample: Sample) -> Masks:
    easy = (sample.target == 0) - 0.5
    made: Masks = {}
    for column in range(5):
        at = rng.normal(size=sample.n) + 0.5 * column * easy
        for share in (0.6, 0.3, 0.1, 0.03):  # each inside the one before
            made[f"c{column} < {share}"] = at <= np.quantile(at, share)
    return made


def shares(n: int, *, disagree: float, change: float, right: float = 0.9, slices: int = 0) -> Callable[[Rng], Drawn]:
    """n answers, `right` of the baseline's right, that differ on `disagree` of the rows: the head's accuracy is higher by `change`."""

    def draw(rng: Rng) -> Drawn:
        kind = rng.choice(
            4, n, p=[right - (disagree - change) / 2, (disagree - change) / 2, (disagree + change) / 2, 1 - right - (disagree + change) / 2]
        )
        target = rng.integers(0, 2, n).astype(np.int32)
        before, after = (np.where(np.isin(kind, good), target, 1 - target).astype(np.int32) for good in ((0, 1), (0, 2)))
        labels = ("ham", "spam")
        group = rng.integers(0, max(slices, 1), n)
        masks: Masks = {None: None, **{f"language={i}": group == i for i in range(slices)}}
        return Sample(n, target, before, labels), Sample(n, target, after, labels), masks

    return draw


def needs_a_yes(outcome: Settled) -> bool:
    """A failure too: the change is harmless."""
    return outcome.blocks


def merges(outcome: Settled) -> bool:
    """Nobody is asked."""
    return not outcome.blocks


def questions() -> Iterator[Question]:
    """Every row of the table."""
    rng = np.random.default_rng(5)
    plain, rare = classes(rng, disagree=0.06), classes(rng, prior=(0.9, 0.07, 0.03), disagree=0.05)
    grouped = classes(rng, disagree=0.1, cluster=clusters(rng, 60_000, 6, 0.7))
    for name, population, n in (
        ("3 classes", plain, 300),
        ("3 classes", plain, 2000),
        ("rare: 90, 7, 3 %", rare, 2000),
        ("clusters of 6", grouped, 2000),
    ):
        yield Question(
            f"equal models are shown worse: 6 metrics × 20 slices, margin 0, {name}, n = {n:,}",
            configured(SIX),
            alike(population, n),
            lambda outcome: outcome.verdict == "fail",
            0.05,
        )
    for slices in (0, 8):
        also = f", {slices} slices" if slices else ""
        harmless, drop = (shares(2000, disagree=0.04, change=change, slices=slices) for change in (0.0, -0.02))
        yield Question(f"README: a harmless change needs a yes, n = 2,000, 4 % differ{also}", readme(), harmless, needs_a_yes, 0.05)
        yield Question(f"README: a drop of 2 pp merges unseen, n = 2,000, 4 % differ{also}", readme(), drop, merges, 0.1)
    for disagree in (0.06, 0.1, 0.2):
        yield Question(
            f"README: a drop of 5 pp passes, n = 200, {disagree:.0%} differ",
            readme(),
            shares(200, disagree=disagree, change=-0.05, right=0.85),
            lambda outcome: outcome.verdict == "pass",
            0.03,
        )
