"""MAE, RMSE and R² of two models, paired intervals, ten million examples, against the loop that people write with scikit-learn.

    python benchmarks/bench_regression.py [--rows 10000000] [--replicates 3]

Targets lie around 1e9, where sums of squares lose what differences keep. Theirs resamples the rows 1,000 times and computes the three metrics
of both models each time; a few replicates are timed and the rest counted. Equal first: values, and our standard error against that of
a bootstrap of 300 resamples at 20,000 rows, within its noise. Exits 1 where ours takes more than 0.3 s.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import sklearn.metrics as theirs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rivals import bars
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import Paired, paired_many
from mlops_toolkit.stats.sample import Sample

THEIRS = {"mae": theirs.mean_absolute_error, "rmse": theirs.root_mean_squared_error, "r2": theirs.r2_score}
METRICS = [resolve(MetricRequest(name, name)) for name in THEIRS]
SECONDS, RESAMPLES = 0.3, 1000


def drawn(rows: int) -> tuple[Sample, Sample]:
    """Two models whose predictions differ on three rows of ten."""
    rng = np.random.default_rng(0)
    target = 1e9 + 3 * rng.normal(size=rows)
    base = target + rng.normal(size=rows)
    head = np.where(rng.random(rows) < 0.3, target + 1.1 * rng.normal(size=rows), base)
    return Sample(rows, target, base), Sample(rows, target, head)


def compared(base: Sample, head: Sample) -> tuple[Paired, ...]:
    """The comparison, nothing remembered."""
    for side in (base, head):
        side.memory.clear()
    return paired_many(METRICS, base, head)[""]


def loop(base: Sample, head: Sample, replicates: int) -> tuple[float, dict[str, list[float]]]:
    """Seconds, and the changes of each metric in each replicate."""
    rng, changes, started = np.random.default_rng(1), {name: [] for name in THEIRS}, time.perf_counter()
    for _ in range(replicates):
        rows = rng.integers(0, base.n, base.n)
        for name, metric in THEIRS.items():
            changes[name].append(metric(base.target[rows], head.prediction[rows]) - metric(base.target[rows], base.prediction[rows]))
    return time.perf_counter() - started, changes


def equal(base: Sample, head: Sample) -> None:
    """That ours and theirs are the same numbers."""
    for got in compared(base, head):
        expected = THEIRS[got.metric](head.target, head.prediction)
        assert got.head is not None and abs(got.head / expected - 1) <= 1e-12, (got.metric, got.head, expected)  # noqa: PT018
    small = base.take(np.arange(20_000)), head.take(np.arange(20_000))
    _, changes = loop(*small, 300)
    for got in compared(*small):
        error = float(np.std(changes[got.metric], ddof=1))
        assert got.standard_error is not None and abs(got.standard_error / error - 1) <= 4 / np.sqrt(600), (got.metric, error)  # noqa: PT018


def main() -> None:
    """Prove equal, time both, print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--replicates", type=int, default=3)
    given = parser.parse_args()
    base, head = drawn(given.rows)
    equal(base, head)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        compared(base, head)
        seconds.append(time.perf_counter() - started)
    ours = statistics.median(seconds[1:])
    rival = loop(base, head, given.replicates)[0] / given.replicates * RESAMPLES
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, {datetime.now(timezone.utc):%Y-%m-%d}\n")
    print("| what | ours | scikit-learn, 1,000 resamples | times |\n| :--- | ---: | ---: | ---: |")
    what = f"MAE, RMSE, R², paired intervals, {given.rows:,} rows"
    print(f"| {what} | {ours:.3f} s | {rival:,.0f} s ({given.replicates} timed) | {rival / ours:,.0f} |")
    bars({f"{SECONDS} s for {given.rows:,} rows": ours > SECONDS})


if __name__ == "__main__":
    main()
