"""Paired intervals of six classification metrics, overall and on twenty slices, against the loop that people write with scikit-learn.

    python benchmarks/bench_stats.py [--rows 1000000] [--replicates 3]

Theirs resamples the rows 1,000 times and computes the six metrics of both models each time; a few replicates are timed and the
rest counted. On slices, of 100,000 rows, the rival is fairlearn's MetricFrame with its bootstrap (of one model; ours compares two). Both
sides' values are asserted equal before anything is timed. The intervals differ in kind: ours is closed-form and the same every time,
theirs has a seed and a Monte-Carlo error of 2 % in its standard error. Exits 1 where a bar is broken: 0.06 s, 10,000 times.
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

from benchmarks.rivals import ask, bars, python
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired_many
from mlops_toolkit.stats.sample import Sample

CLASSES, SLICES, RESAMPLES = 10, 20, 1000
Codes = npt.NDArray[np.int32]
SECONDS, TIMES = 0.06, 10_000
FAIRLEARN = "fairlearn==0.13.0"

THEIRS_ON_SLICES = """
import sklearn.metrics as m
from fairlearn.metrics import MetricFrame
metrics = {
    "accuracy": m.accuracy_score,
    "balanced-accuracy": m.balanced_accuracy_score,
    "precision-macro": lambda y_true, y_pred: m.precision_score(y_true, y_pred, average="macro"),
    "f1-macro": lambda y_true, y_pred: m.f1_score(y_true, y_pred, average="macro"),
    "mcc": m.matthews_corrcoef,
    "kappa": m.cohen_kappa_score,
}
common = dict(metrics=metrics, y_true=given["target"], y_pred=given["prediction"], sensitive_features=given["part"])
started = time.perf_counter(); plain = MetricFrame(**common).by_group; once = time.perf_counter() - started
started = time.perf_counter()
MetricFrame(**common, n_boot=int(given["replicates"]), ci_quantiles=[0.025, 0.975], random_state=0).by_group_ci
booted = time.perf_counter() - started
values = {name: {str(k): float(v) for k, v in plain[name].items()} for name in metrics}
print(json.dumps({"replicate": (booted - once) / int(given["replicates"]), "values": values}))
"""

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


def on_slices(rows: int, replicates: int, metrics: list[Metric]) -> tuple[float, float]:
    """Seconds of ours (two models) and of fairlearn's RESAMPLES resamples (one), six metrics on every slice; equal values first."""
    base, head, slices = drawn(rows)
    masks = {str(i): slices == i for i in range(SLICES)}
    theirs_ = ask(
        python("fairlearn", FAIRLEARN), THEIRS_ON_SLICES, target=head.target, prediction=head.prediction, part=slices, replicates=replicates
    )
    for name, made in paired_many(metrics, base, head, rows_by_slice=masks).items():
        for got in made:
            assert got.head is not None and abs(got.head - theirs_["values"][got.metric][name]) <= 1e-12, (got.metric, name)  # noqa: PT018
    return median(lambda: paired_many(metrics, base, head, rows_by_slice=masks)), theirs_["replicate"] * RESAMPLES


def main() -> None:
    """Prove the values equal, time both, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=3)
    options = parser.parse_args()
    base, head, _ = drawn(options.rows)
    metrics = [resolve(MetricRequest(name, name)) for name in THEIRS]
    for got in paired_many(metrics, base, head)[""]:
        for side, value in ((base, got.baseline), (head, got.head)):
            expected = THEIRS[got.metric](base.target, side.prediction)  # type: ignore[arg-type]
            assert value is not None and abs(value - expected) <= 1e-12, got.metric  # noqa: PT018
    overall, rival = median(lambda: paired_many(metrics, base, head)), loop(base, head, options.replicates)
    few = max(options.rows // 10, 2000)
    sliced, fairlearn = on_slices(few, options.replicates, metrics)
    when, versions = (
        datetime.now(timezone.utc).date().isoformat(),
        f"numpy {np.__version__}, scikit-learn {sklearn.__version__}, {FAIRLEARN}",
    )
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {versions}, {when}; {CLASSES} classes.\n")
    print("| what | ours | rival, 1,000 resamples | times |\n| :--- | ---: | ---: | ---: |")
    timed = f"({options.replicates} timed)"
    print(
        f"| six metrics, paired intervals, {options.rows:,} rows | {overall * 1000:.1f} ms | scikit-learn {rival:,.0f} s {timed} | {rival / overall:,.0f} |"
    )
    print(
        f"| … on {SLICES} slices of {few:,} rows | {sliced * 1000:.1f} ms | fairlearn {fairlearn:,.0f} s {timed} | {fairlearn / sliced:,.0f} |"
    )
    bars(
        {
            f"{SECONDS} s": overall > SECONDS,
            f"{TIMES:,} times scikit-learn": rival < TIMES * overall,
            f"{TIMES:,} times fairlearn": fairlearn < TIMES * sliced,
        }
    )


if __name__ == "__main__":
    main()
