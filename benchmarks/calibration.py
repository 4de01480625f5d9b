"""How often the rule is wrong, by simulation through the code that decides: `python benchmarks/calibration.py [--times N] [--minutes M]`.

Of every metric, on populations whose true change is known (`benchmarks.populations`): how often a change that lies exactly on the margin
passes, and fails; how often an interval misses what it should hold. Writes benchmarks/calibration.md. Nominal are 2.5 % and 95 %.

It goes in rounds, each with populations and draws of its own. What they counted is kept in --counts, so that a run that was stopped goes
on where it was, and the table is written anew after every pass: cells in doubt first.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

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
ORDERS = ("roc-auc", "average-precision")
NUMBERS = ("mae", "rmse", "r2", "mape", "pinball:0.9", "median-absolute-error", "mean:judge", "quantile:judge")
ALLOWED, NOMINAL = 0.03, 0.025
COVERAGE = 0.93
ROUND, LARGE_ROUND, FIRST = 100, 20, 1  # draws of a round, of many examples; rounds of every cell before those in doubt get more
DOUBTFUL = ("numbers", "rare: 95", "clusters of 6", "clusters of 20")


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

    def add(self, other: Counted, times: int, of: int) -> None:
        """Take in another round of `of` draws, where there were `times`."""
        self.margin = (self.margin * times + other.margin * of) / (times + of)
        for name in ("passed", "failed", "decided", "held", "own", "own_held"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


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
    for share, sizes in ((0.05, (1000, 5000)), (0.01, (5000, 50_000))):
        for area, skill in ((0.7, 0.52), (0.9, 1.28), (0.99, 2.33)):
            yield Cell(
                f"rare: {share:.0%}, ROC-AUC {area}",
                lambda rng, p=share, k=skill: classes(rng, prior=(1 - p, p), skill=k, disagree=0.3, harm=0.2),  # type: ignore[misc]
                sizes,
                ORDERS,
            )
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
        yield Cell(
            f"numbers, {tail} errors, a few grow",
            lambda rng, t=tail: numbers(rng, tail=t, disagree=0.05, grow=1.5),  # type: ignore[misc]
            (300, 1000),
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
    yield "| population | n | samples | metric | margin | passes at the margin | fails | has an interval | holds the change | holds the value | |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for name, n, metric, one, times in rows:
        held, own = (f"{100 * a / b:.1f} %" if b else "–" for a, b in ((one.held, one.decided), (one.own_held, one.own)))
        rates = " | ".join(f"{100 * count / times:.1f} %" for count in (one.passed, one.failed, one.decided))
        yield f"| {name} | {n:,} | {times:,} | {metric} | {one.margin:.3g} | {rates} | {held} | {own} | {', '.join(wrong(one, times))} |"


class Kept:
    """The counts of all rounds so far, in a file of one JSON line a round."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells: dict[tuple[str, int], tuple[int, dict[str, Counted]]] = {}
        self.answers: dict[str, tuple[int, float]] = {}
        self.rounds: dict[str, int] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            self._take(json.loads(line))

    def add(self, line: dict[str, object]) -> None:
        """Count a round, and keep it."""
        self._take(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _take(self, line: dict[str, Any]) -> None:
        of, name = line["times"], line["name"]
        self.rounds[f"{name}/{line.get('n')}"] = self.rounds.get(f"{name}/{line.get('n')}", 0) + 1
        if "wrong" in line:
            times, wrong = self.answers.get(name, (0, 0.0))
            self.answers[name] = times + of, wrong + line["wrong"]
            return
        times, counted = self.cells.get((name, line["n"]), (0, {}))
        for metric, its in line["metrics"].items():
            counted.setdefault(metric, Counted(0.0)).add(Counted(*its), times, of)
        self.cells[name, line["n"]] = times + of, counted


def rounds(times: int, only: str) -> Iterator[tuple[int, Cell | Question, int, int]]:
    """Which round (from 0) of which cell or question, with how many examples and draws: all a little, then what is in doubt, then the rest."""
    chosen = [(cell, n) for cell in cells() for n in cell.sizes if only in cell.name]
    chosen.sort(key=lambda one: (not one[0].name.startswith(DOUBTFUL), one[1] >= 50_000))
    asked = [] if only else list(questions())
    last = times // ROUND
    for which in (range(FIRST), range(FIRST, last)):
        for doubt in (True, False):
            some = [(cell, n) for cell, n in chosen if cell.name.startswith(DOUBTFUL) == doubt]
            for r in which:
                yield from ((r, cell, n, LARGE_ROUND if n >= 50_000 else ROUND) for cell, n in some)
                if doubt:
                    yield from (
                        (r, question, 0, ROUND) for question in asked if r * ROUND < (600 if "20 slices" in question.name else times)
                    )


def main() -> None:
    """Simulate until all is counted or time is up; write the table again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2000, help="samples a cell (default: 2000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
    parser.add_argument("--only", default="", help="populations whose name contains this")
    parser.add_argument("--counts", type=Path, default=Path(__file__).parents[1] / ".cache" / "calibration.jsonl")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    asked = parser.parse_args()
    kept, until, written = Kept(asked.counts), time.monotonic() + 60 * asked.minutes, time.monotonic()
    for r, one, n, of in rounds(asked.times, asked.only):
        if time.monotonic() > until:
            break
        if r < kept.rounds.get(f"{one.name}/{n}", 0):
            continue
        seed = 1_000_003 * asked.seed + 1009 * r + n
        if isinstance(one, Question):
            kept.add({"name": one.name, "n": n, "times": of, "wrong": round(answered(one, of, seed) * of)})
        else:
            counted = simulate(one, n, of, seed)
            kept.add({"name": one.name, "n": n, "times": of, "metrics": {name: astuple(made) for name, made in counted.items()}})
        if time.monotonic() > written + 60:
            asked.out.write_text(page(kept))
            written = time.monotonic()
    asked.out.write_text(page(kept))


def page(kept: Kept) -> str:
    """The Markdown of all that was counted."""
    order = {(cell.name, n): i for i, (cell, n) in enumerate((cell, n) for cell in cells() for n in cell.sizes)}
    rows = [
        (name, n, metric, one, times)
        for (name, n), (times, counted) in sorted(
            (item for item in kept.cells.items() if item[0] in order), key=lambda item: order[item[0]]
        )
        for metric, one in counted.items()
    ]
    within = sum(not wrong(one, of) for _, _, _, one, of in rows)
    least, most = min((of for *_, of in rows), default=0), max((of for *_, of in rows), default=0)
    whole = "\n".join(
        f"| {q.name} | {times:,} | {100 * count / times:.1f} % | {100 * q.most:g} % | {100 * three_errors(q.most, times) / 3:.1f} |"
        for q in questions()
        for times, count in [kept.answers.get(q.name, (0, 0.0))]
        if times
    )
    return f"""# Calibration

`python benchmarks/calibration.py`: {least:,} to {most:,} samples a population and size (the column says how many), by the code that
decides, with populations of which the true change is known. It lies exactly on the margin: 2.5 % may pass and 2.5 % may fail.

## The gate as a whole

| | samples | how often | at most | standard error, points |
|---|---|---|---|---|
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
