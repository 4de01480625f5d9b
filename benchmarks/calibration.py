"""How often the rule is wrong, by simulation through the code that decides: `python benchmarks/calibration.py [--times N] [--seed S]`.

Of every metric, on populations whose true change is known (`benchmarks.populations`): how often a change that lies exactly on the margin
passes, and fails; how often an interval misses what it should hold. Writes benchmarks/calibration.md. Nominal are 2.5 % and 95 %.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.populations import Population, classes, clusters, numbers
from benchmarks.whole_gate import Question, answered, questions
from mlops_toolkit.config import requests
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired_many
from mlops_toolkit.stats.rule import decide

LABELS = ("accuracy", "balanced-accuracy", "precision:b", "recall:b", "f1:b", "precision-macro", "f1-macro", "f1-weighted", "mcc", "kappa")
SCORES = ("roc-auc", "average-precision", "roc-auc:b", "average-precision:b", "log-loss", "brier")
NUMBERS = ("mae", "rmse", "r2", "mape", "pinball:0.9", "median-absolute-error", "mean:judge", "quantile:judge")
ALLOWED, NOMINAL = 0.03, 0.025
COVERAGE = 0.93


@dataclass
class Counted:
    """Of one metric: draws that passed and failed at the margin, had an interval and of those held the truth, the same of the own value."""

    margin: float
    passed: int = 0
    failed: int = 0
    decided: int = 0
    held: int = 0
    own: int = 0
    own_held: int = 0


@dataclass(frozen=True)
class Cell:
    """A population, how many examples are drawn of it, and the metrics."""

    name: str
    make: Callable[[np.random.Generator], Population]
    sizes: tuple[int, ...]
    metrics: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)


def named(name: str) -> Metric:
    """As a person writes it; columns are better lower, quantiles are the 0.9."""
    options = {"mean": {"better": "lower"}, "quantile": {"better": "lower", "q": "0.9"}}.get(name.partition(":")[0])
    return resolve(requests.metric(name, options=options) if options else requests.metric(name))


def cells() -> Iterator[Cell]:
    """Every population of the table."""
    both = LABELS + SCORES
    for disagree, harm in ((0.02, 0.5), (0.06, 0.3), (0.2, 0.2)):
        yield Cell(
            f"3 classes, {disagree:.0%} disagree",
            lambda rng, d=disagree, h=harm: classes(rng, disagree=d, harm=h),  # type: ignore[misc]
            (50, 200, 1000, 5000),
            both,
        )
    yield Cell("3 classes, nearly always right", lambda rng: classes(rng, skill=4, harm=0.5, disagree=0.02), (50, 200, 1000), both)
    yield Cell("3 classes, all scores move", lambda rng: classes(rng, jitter=0.4), (200, 1000), SCORES)
    yield Cell("rare: 90, 7, 3 %", lambda rng: classes(rng, prior=(0.9, 0.07, 0.03), disagree=0.04), (200, 1000, 5000), both)
    yield Cell("rare: 95, 5 %", lambda rng: classes(rng, prior=(0.95, 0.05), skill=2.2, disagree=0.03, harm=0.5), (200, 1000, 5000), both)
    yield Cell("log-normal weights", lambda rng: classes(rng, disagree=0.1).weighted(rng, 0.8), (200, 1000), both)
    yield Cell(
        "clusters of 6, uneven", lambda rng: classes(rng, disagree=0.1, cluster=clusters(rng, 60_000, 6, 0.7)), (60, 120, 600, 3000), both
    )
    yield Cell(
        "clusters of 20, uneven, weights",
        lambda rng: classes(rng, disagree=0.1, cluster=clusters(rng, 60_000, 20, 0.7)).weighted(rng, 0.5),
        (240, 600, 3000),
        both,
    )
    for tail in ("normal", "t3", "lognormal"):
        for disagree, harm in ((1.0, 0.1), (0.05, 0.6)):
            yield Cell(
                f"numbers, {tail} errors, {disagree:.0%} differ",
                lambda rng, t=tail, d=disagree, h=harm: numbers(rng, tail=t, disagree=d, harm=h),  # type: ignore[misc]
                (100, 300, 1000),
                NUMBERS,
            )
    yield Cell("numbers, clusters of 6", lambda rng: numbers(rng, cluster=clusters(rng, 60_000, 6, 0.7)), (60, 120, 600), NUMBERS)
    yield Cell("3 classes, 50,000 examples", lambda rng: classes(rng, disagree=0.04), (50_000,), both)


def simulate(cell: Cell, n: int, times: int, seed: int) -> dict[str, Counted]:
    """The counts of `times` samples of n examples, by metric."""
    rng = np.random.default_rng(seed)
    population, metrics = cell.make(rng), [named(name) for name in cell.metrics]
    counted = {metric.name: Counted(population.drop(metric)) for metric in metrics}
    truth = [metric.measure(population.head).value or 0.0 for metric in metrics]
    for _ in range(times):
        for metric, value, got in zip(metrics, truth, paired_many(metrics, *population.draw(rng, n))[""], strict=True):
            one = counted[metric.name]
            verdict = decide(got.change, got.low, got.high, one.margin).verdict
            one.passed += verdict == "pass"
            one.failed += verdict == "fail"
            if got.low is not None and got.high is not None:
                one.decided += 1
                one.held += got.low <= -one.margin <= got.high
            if got.head_low is not None and got.head_high is not None:
                one.own += 1
                one.own_held += got.head_low <= value <= got.head_high
    return counted


def three_errors(rate: float, times: int) -> float:
    """Three standard errors of counting this rate in so many draws."""
    return 3 * math.sqrt(rate * (1 - rate) / max(times, 1))


def wrong(counted: Counted, times: int) -> list[str]:
    """What does not hold, beyond three standard errors of the simulation; coverage is looked at where an interval is often there."""
    found = []
    most = ALLOWED + three_errors(ALLOWED, times)
    if counted.passed / times > most:
        found.append("passes")
    if counted.failed / times > most:
        found.append("fails")
    for name, held, of in (("coverage", counted.held, counted.decided), ("own coverage", counted.own_held, counted.own)):
        if of >= times / 20 and held / of < COVERAGE - three_errors(COVERAGE, of):
            found.append(name)
    return found


def table(rows: Sequence[tuple[str, int, str, Counted, int]]) -> Iterator[str]:
    """The Markdown, worst false pass first within a population."""
    yield "| population | n | metric | margin | passes at the margin | fails | has an interval | holds the change | holds the value | |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, n, metric, one, times in rows:
        held, own = (f"{100 * a / b:.1f} %" if b else "–" for a, b in ((one.held, one.decided), (one.own_held, one.own)))
        rates = " | ".join(f"{100 * count / times:.1f} %" for count in (one.passed, one.failed, one.decided))
        yield f"| {name} | {n:,} | {metric} | {one.margin:.3g} | {rates} | {held} | {own} | {', '.join(wrong(one, times))} |"


def main() -> None:
    """Simulate every cell and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="samples a cell (default: 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="populations whose name contains this")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    asked = parser.parse_args()
    rows = []
    for cell in cells():
        if asked.only not in cell.name:
            continue
        for n in cell.sizes:
            times = max(100, asked.times // 5) if n >= 50_000 else asked.times
            for metric, one in simulate(cell, n, times, asked.seed + n).items():
                rows.append((cell.name, n, metric, one, times))
            print(
                f"{cell.name}, n = {n}: {[(m, wrong(c, times)) for _, k, m, c, _ in rows[-len(cell.metrics) :] if k == n and wrong(c, times)]}",
                flush=True,
            )
    answers = [] if asked.only else [(q, answered(q, asked.times, asked.seed)) for q in questions()]
    asked.out.write_text(page(rows, answers, asked.times, asked.seed))


def page(rows: Sequence[tuple[str, int, str, Counted, int]], answers: Sequence[tuple[Question, float]], times: int, seed: int) -> str:
    """The Markdown of all that was counted."""
    within = sum(not wrong(one, of) for _, _, _, one, of in rows)
    whole = "\n".join(
        f"| {q.name} | {100 * rate:.1f} % | {100 * q.most:g} % | {100 * three_errors(q.most, times) / 3:.1f} |" for q, rate in answers
    )
    return f"""# Calibration

`python benchmarks/calibration.py --times {times} --seed {seed}`: {times:,} samples a population and size (at least 100 and a fifth of them
at 50,000 examples), standard error of a rate of 2.5 %: {100 * math.sqrt(NOMINAL * (1 - NOMINAL) / times):.2f} points. The true change lies
exactly on the margin: 2.5 % may pass and 2.5 % may fail.

## The gate as a whole

| | how often | at most | standard error, points |
|---|---|---|---|
{whole}

## By metric, over all populations

| metric | samples | passes at the margin | fails | standard error, points | has an interval | holds the change | holds the value |
|---|---|---|---|---|---|---|---|
{chr(10).join(by_metric(rows))}

## All of it

The last column names what is off by more than three standard errors of the simulation: more than 3.0 % passing or failing, or an interval
that holds the truth less than 93 times in a hundred. {within} of {len(rows)} rows are within.

{chr(10).join(table(rows))}
"""


def by_metric(rows: Sequence[tuple[str, int, str, Counted, int]]) -> Iterator[str]:
    """One row a metric: what is too rare to be seen in one population."""
    for name in dict.fromkeys(metric for _, _, metric, _, _ in rows):
        mine = [(one, times) for _, _, metric, one, times in rows if metric == name]
        of = sum(times for _, times in mine)
        total = {key: sum(getattr(one, key) for one, _ in mine) for key in ("passed", "failed", "decided", "held", "own", "own_held")}
        rates = [100 * total[key] / of for key in ("passed", "failed")]
        held, own = 100 * total["held"] / max(total["decided"], 1), 100 * total["own_held"] / max(total["own"], 1)
        error = 100 * math.sqrt(NOMINAL * (1 - NOMINAL) / of)
        yield f"| {name} | {of:,} | {rates[0]:.2f} % | {rates[1]:.2f} % | {error:.2f} | {100 * total['decided'] / of:.0f} % | {held:.1f} % | {own:.1f} % |"


if __name__ == "__main__":
    main()
