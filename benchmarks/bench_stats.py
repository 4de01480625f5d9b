"""Paired intervals of six classification metrics, overall and on twenty slices, against the loop that people write with scikit-learn.

    python benchmarks/bench_stats.py [--rows 1000000] [--replicates 3]

Theirs resamples the rows 1,000 times and computes the six metrics of both models each time; a few replicates are timed and the
rest counted. Both sides' values are asserted equal before anything is timed. The intervals differ in kind: ours is closed-form and
the same every time, theirs has a seed and a Monte-Carlo error of 2 % in its standard error.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sklearn
import sklearn.metrics as theirs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired_many
from mlops_toolkit.stats.sample import Sample

CLASSES, SLICES, RESAMPLES = 10, 20, 1000
Codes = npt.NDArray[np.int32]

THEIRS: dict[str, Callable[[Codes, Codes], float]] = {
    "accuracy": theirs.accuracy_score,
    "balanced-accuracy": theirs.balanced_accuracy_score,
    "precision-macro": lambda t, p: theirs.precision_score(t, p, average="macro"),
    "f1-macro": lambda t, p: theirs.f1_score(t, p, average="macro"),
    "mcc": theirs.matthews_corrcoef,
    "kappa": theirs.cohen_kappa_score,
}


def drawn(rows: int) -> tuple[Sample, Sample, Codes]:
    """Two models of accuracy 0.9 that disagree on about 2 % of the rows, and a slice number a row."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, rows).astype(np.int32)

    def answers() -> Codes:
        return np.where(rng.random(rows) < 0.9, target, rng.integers(0, CLASSES, rows)).astype(np.int32)

    base = answers()
    head = np.where(rng.random(rows) < 0.1, answers(), base).astype(np.int32)
    labels = tuple(str(label) for label in range(CLASSES))
    score = rng.normal(size=rows) + (target == 1)
    sides = (Sample(rows, target, side, labels, score=score + 0.3 * rng.normal(size=rows), positive=1) for side in (base, head))
    return *sides, rng.integers(0, SLICES, rows).astype(np.int32)


def median(compute: Callable[[], object], runs: int = 7) -> float:
    """Seconds: the median of some runs after one that does not count."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def loop(base: Sample, head: Sample, replicates: int) -> float:
    """Seconds that RESAMPLES resamples of the six metrics of both models would take, from a few of them."""
    rng = np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(replicates):
        rows = rng.integers(0, base.n, base.n)
        target = base.target[rows]  # type: ignore[index]
        for side in (base, head):
            prediction = side.prediction[rows]  # type: ignore[index]
            for metric in THEIRS.values():
                metric(target, prediction)
    return (time.perf_counter() - started) / replicates * RESAMPLES


def main() -> None:
    """Prove the values equal, time both, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=3)
    options = parser.parse_args()
    base, head, slices = drawn(options.rows)
    metrics = [resolve(MetricRequest(name, name)) for name in THEIRS]
    auc = [resolve(MetricRequest("roc-auc:1", "roc-auc", argument="1"))]
    masks = {str(i): slices == i for i in range(SLICES)}

    for name, rows in {"": slice(None), "0": masks["0"]}.items():
        for got in paired_many(metrics, base, head, rows_by_slice={name: masks.get(name)})[name]:
            for side, value in ((base, got.baseline), (head, got.head)):
                expected = THEIRS[got.metric](base.target[rows], side.prediction[rows])  # type: ignore[index]
                assert value is not None and abs(value - expected) <= 1e-12, (got.metric, name)  # noqa: PT018
    got = paired_many(auc, base, head)[""][0]
    assert got.head is not None and abs(got.head - theirs.roc_auc_score(head.target == 1, head.score)) <= 1e-12  # noqa: PT018

    overall = median(lambda: paired_many(metrics, base, head))
    sliced = median(lambda: paired_many(metrics, base, head, rows_by_slice={"": None, **masks}))
    ranked = median(lambda: paired_many(auc, base, head), 3)
    rival = loop(base, head, options.replicates)

    when = datetime.now(timezone.utc).date().isoformat()
    print(
        f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}, {when}; {options.rows:,} rows, {CLASSES} classes. Values equal to 1e-12.\n"
    )
    print("| what | ours | scikit-learn, 1,000 resamples | times |\n| :--- | ---: | ---: | ---: |")
    print(
        f"| six metrics, paired intervals | {overall * 1000:.1f} ms | {rival:,.0f} s ({options.replicates} timed) | {rival / overall:,.0f} |"
    )
    print(
        f"| … and on each of {SLICES} slices | {sliced * 1000:.0f} ms | {2 * rival:,.0f} s (twice the rows) | {2 * rival / sliced:,.0f} |"
    )
    print(f"| ROC-AUC, paired interval | {ranked * 1000:.0f} ms | – | – |")


if __name__ == "__main__":
    main()
