"""Paired ROC-AUC: of a million examples exactly, of ten and a hundred million by certified bins, against MLstatkit and confidenceinterval.

    python benchmarks/bench_ranks.py [--most 100000000]

The rivals are timed at a million, the largest size that both answer in seconds: MLstatkit's DeLong test of two models, and
confidenceinterval's interval of one. Equal first: values to scikit-learn's to 1e-12, the z of the difference to 1e-5, the interval to a thousandth of its
width. Each of ours runs in a process of its own; its memory is the most that was resident, less what was before the comparison.
Exits 1 where a bar is broken: 0.3 s, 0.5 s, 3 s, 64 MB.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import sklearn.metrics

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rivals import ask, bars, python
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired, paired_many
from mlops_toolkit.stats.sample import Sample

RIVALS = ("MLstatkit==0.1.91", "confidenceinterval==1.0.5")
MILLION = 1_000_000
TOLERANCE = 1e-4  # a tenth of a margin of 0.1 percentage points
SECONDS, MEGABYTES = {MILLION: 0.3, 10 * MILLION: 0.5, 100 * MILLION: 3.0}, 64
AUC = resolve(MetricRequest("roc-auc", "roc-auc"))

THEIRS = """
from MLstatkit.stats import Delong_test
from confidenceinterval import roc_auc_score
y, before, after = given["y"], given["before"], given["after"]
started = time.perf_counter(); z = Delong_test(y, before, after)[0]; test = time.perf_counter() - started
started = time.perf_counter(); value, (low, high) = roc_auc_score(y, after); one = time.perf_counter() - started
print(json.dumps({"z": float(z), "test": test, "one": one, "value": float(value), "low": float(low), "high": float(high)}))
"""


def drawn(rows: int) -> tuple[Sample, Sample]:
    """Probabilities of two models; drawn block by block, so that no more memory is used than they take."""
    rng = np.random.default_rng(0)
    target, scores = np.empty(rows, np.int32), [np.empty(rows), np.empty(rows)]
    for start in range(0, rows, 1 << 20):
        part = slice(start, min(start + (1 << 20), rows))
        target[part] = rng.random(part.stop - start) < 0.3
        logit = rng.normal(size=part.stop - start) + 1.2 * target[part]
        for score, noise in zip(scores, (0.0, 0.2), strict=True):
            score[part] = 1 / (1 + np.exp(-2 * (logit + noise * rng.normal(size=len(logit)))))
    sides = [Sample(rows, target, None, ("no", "yes"), score=score, positive=1) for score in scores]
    return sides[0], sides[1]


def resident() -> float:
    """Megabytes at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(rows: int, runs: int) -> None:
    """Print what the comparison of this many rows takes, as JSON."""
    base, head = drawn(rows)
    before, seconds = resident(), []
    for _ in range(runs):
        for side in (base, head):
            side.memory.clear()
        started = time.perf_counter()
        got = paired_many([AUC], base, head, tolerance={"roc-auc": TOLERANCE} if rows > MILLION else {})[""][0]
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": statistics.median(seconds), "extra": resident() - before, "bound": got.bound, "change": got.change}))


def equal() -> dict[str, float]:
    """The rivals' seconds at a million rows, after their numbers have been found to be ours."""
    base, head = drawn(MILLION)
    theirs = ask(python("ranks", *RIVALS), THEIRS, y=base.target, before=base.score, after=head.score)
    got = paired(AUC, base, head)
    near = paired_many([AUC], base, head, tolerance={"roc-auc": TOLERANCE})[""][0]
    assert None not in (got.head, got.change, got.standard_error, got.head_low, got.head_high, near.bound)
    assert abs(got.head - sklearn.metrics.roc_auc_score(head.target, head.score)) <= 1e-12
    assert abs(got.head - theirs["value"]) <= 1e-8  # it computes in single precision
    assert abs(abs(got.change / got.standard_error) / abs(theirs["z"]) - 1) <= 1e-5, (got.change / got.standard_error, theirs["z"])
    assert abs((got.head_high - got.head_low) / (theirs["high"] - theirs["low"]) - 1) <= 1e-3
    assert abs(near.change - got.change) <= near.bound <= TOLERANCE
    return {"test": theirs["test"], "one": theirs["one"]}


def main() -> None:
    """Prove equal, time, print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=100 * MILLION)
    parser.add_argument("--ours", type=int)
    given = parser.parse_args()
    if given.ours:
        ours(given.ours, 5 if given.ours <= 10 * MILLION else 3)
        return
    rivals, broken = equal(), {}
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, {datetime.now(timezone.utc):%Y-%m-%d}\n")
    print("| rows | ours | beyond the inputs | change is off by at most | MLstatkit, two models | confidenceinterval, one |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows, most in SECONDS.items():
        if rows > given.most:
            continue
        made = json.loads(
            subprocess.run([sys.executable, __file__, "--ours", str(rows)], capture_output=True, text=True, check=True).stdout
        )
        theirs = f"{rivals['test']:.2f} s | {rivals['one']:.2f} s" if rows == MILLION else "– | –"
        bound = "exact" if made["bound"] is None else f"{made['bound']:.1e}"
        print(f"| {rows:,} | {made['seconds']:.3f} s | {made['extra']:.0f} MB | {bound} | {theirs} |", flush=True)
        broken[f"{rows:,} rows in {most} s"] = made["seconds"] > most
        broken[f"{rows:,} rows in {MEGABYTES} MB"] = rows > MILLION and made["extra"] > MEGABYTES
    bars(broken)


if __name__ == "__main__":
    main()
