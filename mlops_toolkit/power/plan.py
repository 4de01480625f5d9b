"""What a planned comparison is taken to be: from assumptions, from recorded comparisons, from predictions. Pure.

Everything here says in words what it supposes, for the answer is worth no more than that.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlops_toolkit.config import requests
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.errors import UsageError
from mlops_toolkit.records.result import Check
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.power import ASSUMED, UNSEEN
from mlops_toolkit.stats.sample import Codes, Sample
from mlops_toolkit.stats.single import share_of, standard_error
from mlops_toolkit.stats.sizes import Design, Means, Shares
from mlops_toolkit.stats.spread import FEWEST_CLUSTERS, FEWEST_EXAMPLES

ALIKE = 0.1  # how alike two examples of a cluster are taken to be, where nobody says
ROWS = 40_000  # of the made-up test set from which the spread of a metric of classes is read
LATEST = 20  # recorded comparisons


@dataclass(frozen=True)
class Plan:
    """A metric and its planned comparison. supposes: what is taken for granted, as sentences; n: examples there are, where known.

    value: of the metric on the baseline, for margins that are a share of it; worse: what the metric does when the model gets worse
    """

    metric: str
    design: Design
    supposes: tuple[str, ...]
    fraction: bool = True
    n: int | None = None
    value: float | None = None
    of: str = "examples"
    worse: str = "drop"


def _percent(value: float) -> str:
    return f"{value * 100:.3g} %"


def share(text: str, what: str) -> float:
    """`4%`, `4pp` or `0.04`, strictly between 0 and 1; UsageError `wrong-value`."""
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(%|pp)?\s*", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 < value < 1:
        raise UsageError("wrong-value", f"{what} should be a share between 0 and 1, is {text!r}", hint="like 4% or 0.04")
    return value


def assumed(
    metric: str,
    *,
    disagree: float | None,
    accuracy: float | None,
    classes: str | None,
    confidence: float,
    clusters: int | None,
    alike: float | None,
) -> Plan:
    """From what a person expects of the two models."""
    supposes = []
    if disagree is None:
        if accuracy is None:
            hint = (
                "how often will two versions of the model answer differently? --disagree 4%; "
                "or say how good it is: --accuracy 0.9; or name a metric that was compared here before: mlops power accuracy"
            )
            raise UsageError("nothing-assumed", "nothing tells how much two models differ", hint=hint)
        disagree = ASSUMED * accuracy * (1 - accuracy)
        supposes.append(
            f"two models of accuracy {accuracy:g} are taken to differ between right and wrong on {_percent(disagree)} of the examples"
        )
    else:
        supposes.append(f"the two models differ between right and wrong on {_percent(disagree)} of the examples, as often better as worse")
    family = FAMILIES.get(metric.partition(":")[0])
    if metric == "accuracy":
        made = Plan(metric, Shares(disagree, confidence), tuple(supposes), value=accuracy)
    elif (
        family is None
        or family.tasks != ("classification",)
        or metric in ("log-loss", "brier")
        or metric.startswith(("roc-auc", "average-"))
    ):
        hint = (
            "use the history (`mlops power METRIC`), or the predictions of two models (`mlops power a.parquet b.parquet --metric METRIC`)"
        )
        raise UsageError("not-assumable", f"how much {metric} will spread does not follow from how often two models differ", hint=hint)
    else:
        made = _of_classes(metric, disagree, accuracy, classes, confidence, supposes)
    return clustered(made, clusters, alike, confidence)


def clustered(plan: Plan, clusters: int | None, alike: float | None, confidence: float) -> Plan:
    """The plan where the examples come in clusters (users, documents)."""
    if clusters is None:
        return plan
    if clusters < FEWEST_CLUSTERS:
        message = f"{clusters} clusters are too few for any interval: at least {FEWEST_CLUSTERS}"
        raise UsageError("wrong-value", message, where="--clusters")
    said = alike if alike is not None else ALIKE
    spread = math.sqrt(plan.design.disagree) if isinstance(plan.design, Shares) else plan.design.spread  # type: ignore[attr-defined]
    note = f"the examples come in {clusters:,} clusters, and of one cluster two differences are alike by a correlation of {said:g}"
    note += "" if alike is not None else " (assumed; `--alike`)"
    return replace(plan, design=Means(spread, confidence, clusters, said), supposes=(*plan.supposes, note))


def _of_classes(metric: str, disagree: float, accuracy: float | None, classes: str | None, confidence: float, supposes: list[str]) -> Plan:
    """A metric of classes: its spread on a made-up test set in which everything is as assumed."""
    if accuracy is None or classes is None:
        hint = "add --accuracy 0.9 --classes 0.1,0.9 (or spam=0.1,ham=0.9): the shares of the classes decide"
        raise UsageError("nothing-assumed", f"{metric} needs to know how good the models are and how large the classes", hint=hint)
    if not disagree / 2 < min(accuracy, 1 - accuracy):
        raise UsageError(
            "wrong-value",
            f"two models of accuracy {accuracy:g} cannot differ on {_percent(disagree)} evenly both ways",
            hint="a smaller --disagree",
        )
    labels, shares = _classes(classes)
    base, head = _made_up(labels, shares, accuracy, disagree)
    made = resolve(requests.metric(metric), labels=labels, where="--metric")
    found = paired(made, base, head, confidence=confidence)
    if not found.standard_error:
        raise UsageError("not-assumable", f"{metric} does not change by what is assumed", hint="another --metric")
    supposes.append(
        f"right and wrong are spread evenly over the classes ({', '.join(f'{label} {one:.3g}' for label, one in zip(labels, shares, strict=True))})"
    )
    needed = math.ceil(FEWEST_EXAMPLES / min(shares))
    design = Means(found.standard_error * math.sqrt(base.n), confidence, least=needed)
    supposes.append(f"the rarest class has {FEWEST_EXAMPLES} examples only from {needed:,} on; before, nothing is decided")
    return Plan(metric, design, tuple(supposes), fraction=made.unit == "fraction", value=found.baseline)


def _classes(text: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    parts = [part.strip().rpartition("=") for part in text.split(",")]
    shares = [share(value, "a class's share") for _, _, value in parts]
    labels = [name.strip() or str(i) for i, (name, _, _) in enumerate(parts, start=1)]
    if len(shares) < 2 or abs(sum(shares) - 1) > 0.02 or len(set(labels)) < len(labels):
        raise UsageError(
            "wrong-value", f"--classes should be two shares or more that sum to 1, is {text!r}", hint="like 0.1,0.9 or spam=0.1,ham=0.9"
        )
    total = sum(shares)
    return tuple(labels), tuple(one / total for one in shares)


def _made_up(labels: tuple[str, ...], shares: Sequence[float], accuracy: float, disagree: float) -> tuple[Sample, Sample]:
    """Two models on ROWS rows in which every cell has its expected count: nothing is drawn."""
    target, before, after = [], [], []
    for k, one in enumerate(shares):
        n = max(40, round(ROWS * one))
        others = [(j, s / (1 - one)) for j, s in enumerate(shares) if j != k]
        wrong = _dealt(others, n)
        place = (np.arange(n) + 0.5) / n
        right_before = place < accuracy
        broken, fixed = place < disagree / 2, (place >= accuracy) & (place < accuracy + disagree / 2)
        target.append(np.full(n, k, dtype=np.int32))
        before.append(np.where(right_before, k, wrong))
        after.append(np.where((right_before & ~broken) | fixed, k, wrong))
    columns: list[Codes] = [np.concatenate(one).astype(np.int32) for one in (target, before, after)]
    positive = 0 if len(labels) == 2 else None
    base, head = (Sample(len(columns[0]), columns[0], one, labels, positive=positive) for one in columns[1:])
    return base, head


def _dealt(others: list[tuple[int, float]], n: int) -> Codes:
    """n wrong answers, the classes dealt out evenly by their shares along the rows."""
    ends = np.cumsum([s for _, s in others])
    golden = (np.arange(n) * 0.6180339887498949) % 1.0
    places = np.minimum(np.searchsorted(ends, golden, side="right"), len(others) - 1)
    made: Codes = np.array([j for j, _ in others], dtype=np.int32)[places]
    return made


def recorded(metric: str, checks: Sequence[Check], confidence: float) -> Plan:
    """From earlier comparisons of this model, the latest first: the middle of how much they differed."""
    known = [c for c in checks if c.metric == metric and c.slice is None and c.baseline is not None and c.n > 0][:LATEST]
    if not known:
        names = sorted({c.metric for c in checks if c.baseline is not None})
        hint = f"recorded are: {', '.join(names[:12])}" if names else "none is recorded yet: say what to expect, --disagree 4%"
        raise UsageError("nothing-recorded", f"no comparison of {metric} is recorded", hint=hint)
    n, count = known[0].n, f"{len(known)} recorded comparison{'s' if len(known) > 1 else ''} of {metric}"
    fraction, of = known[0].unit == "fraction", "measurements" if known[0].kind == "measure" else "examples"
    shares = [(c.disagree + UNSEEN) / c.n for c in known if c.method == "tango" and c.disagree is not None]
    if shares and known[0].method == "tango":
        middle = min(1.0, statistics.median(shares))
        said = f"the next two models differ as those of {count} did: on {_percent(middle)} of the examples (middle of {_percent(min(shares))} to {_percent(max(shares))})"
        return Plan(metric, Shares(middle, confidence), (said,), fraction, n, known[0].baseline, of, _worse(known[0].direction))
    spreads = [
        (c.high - c.low) / 2 / critical(c.confidence, max(c.n - 1, 1)) * math.sqrt(c.n)
        for c in known
        if c.low is not None and c.high is not None
    ]
    spreads = [one for one in spreads if one > 0]
    if not spreads:
        raise UsageError(
            "nothing-recorded", f"the recorded comparisons of {metric} have no interval", hint="give the predictions of two models"
        )
    middle = statistics.median(spreads)
    said = f"the next two models differ as those of {count} did (standard error of {n:,}: {middle / math.sqrt(n):.3g})"
    return Plan(metric, Means(middle, confidence), (said,), fraction, n, known[0].baseline, of, _worse(known[0].direction))


def _worse(direction: str) -> str:
    return "drop" if direction == "higher" else "rise"


def of_two(metric: Metric, found: Paired, confidence: float) -> Plan:
    """From the predictions of two models on the same examples."""
    said = "the next two models differ as these two do"
    fraction = metric.unit == "fraction"
    if found.trials is not None and found.trials == found.n:
        disagree = min(1.0, (found.disagree + UNSEEN) / found.n)
        return Plan(
            metric.name,
            Shares(disagree, confidence),
            (f"{said}: on {_percent(disagree)} of the examples",),
            fraction,
            found.n,
            found.baseline,
            worse=_worse(metric.direction),
        )
    if not found.standard_error:
        raise UsageError(
            "not-assumable", f"the two models do not differ in {metric.name}, or it has no spread here", hint="give two that do"
        )
    said += f" (standard error {found.standard_error:.3g} at {found.n:,} examples)"
    least = math.ceil(FEWEST_EXAMPLES * found.n / found.support) if found.support else FEWEST_EXAMPLES
    design = Means(found.standard_error * math.sqrt(found.n), confidence, least=least)
    return Plan(metric.name, design, (said,), fraction, found.n, found.baseline, worse=_worse(metric.direction))


def of_one(metric: Metric, sample: Sample, confidence: float) -> Plan:
    """From one model's predictions: another is taken to differ by 4/9 of what the value itself varies (4 % at accuracy 0.9)."""
    right = share_of(metric, sample)
    fraction = metric.unit == "fraction"
    if right is not None and right[1] == sample.n and sample.cluster is None:
        rate = (right[0] + UNSEEN) / (right[1] + 2 * UNSEEN)
        disagree = ASSUMED * rate * (1 - rate)
        said = (
            f"{metric.name} is {right[0] / right[1]:.4g} here, and another model is taken to differ on {_percent(disagree)} of the examples"
        )
        return Plan(metric.name, Shares(disagree, confidence), (said,), fraction, sample.n, right[0] / right[1])
    measured = metric.measure(sample)
    error = standard_error(measured, sample.cluster)
    if measured.value is None or not error:
        raise UsageError("not-assumable", f"{metric.name} has no value or no spread here", hint="give predictions on which it has")
    spread = error * math.sqrt(sample.n * ASSUMED)
    least = math.ceil(FEWEST_EXAMPLES * sample.n / measured.support) if measured.support else FEWEST_EXAMPLES
    said = f"{metric.name} is {measured.value:.4g} here, and a difference is taken to vary 4/9 as much as the value itself"
    design = Means(spread, confidence, least=least)
    return Plan(metric.name, design, (said,), fraction, sample.n, measured.value, worse=_worse(metric.direction))
