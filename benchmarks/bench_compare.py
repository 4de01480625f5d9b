"""`mlops compare`, whole and cold: against `dvc metrics diff` on two recorded runs of 10,000 examples, and alone on a million.

    python benchmarks/bench_compare.py [--dvc PATH-OF-DVC] [--runs N]

dvc reads two numbers from git and prints their difference; ours reads both runs' predictions, pairs them, computes the metrics with
intervals on every slice, judges the gate and writes report, comment and JUnit. DVC is
installed by pip into an environment of its own under .cache/ unless one is named. Exits 1 where a budget is broken: slower than dvc, or
two seconds for the million.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.paired import HEAD, Command, in_turn, row
from tests.world.repository import Repository, make

MILLION_SECONDS = 2.0
METRICS = ("accuracy", "f1-macro", "balanced-accuracy", "precision-macro", "kappa", "mcc")


def dvc() -> str:
    """The path of a dvc of our own, installed at the first call."""
    folder = Path(__file__).resolve().parent.parent / ".cache" / "dvc"
    if not (folder / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "dvc==3.67.1"], check=True
        )
        (folder / ".complete").touch()
    return str(folder / "bin" / "dvc")


def recorded(folder: Path) -> Repository:
    """A repository with a run of 10,000 examples on main and one on a branch, and a metrics.json that DVC reads."""
    made = make(folder)
    (made.root / ".gitignore").write_text("model/\n.dvc/tmp\n.dvc/cache\n")
    for branch, wrong in (("main", 500), ("change", 512)):
        if branch != "main":
            made.git("switch", "-q", "-c", branch)
        made.write(metrics_json=json.dumps({"accuracy": 1 - wrong / 10_000, "f1": 0.9}))
        (made.root / "dvc.yaml").write_text("metrics:\n  - metrics.json\n")
        made.wrong(wrong)
        made.mlops("review", EXAMPLES="10000")
    return made


def million(folder: Path) -> list[str]:
    """Two Parquet files of a million examples, ten classes, one slice column of twenty values; 2 % of the answers differ."""
    rng = np.random.default_rng(0)
    n, k = 1_000_000, 10
    target = rng.integers(0, k, n)
    base = np.where(rng.random(n) < 0.9, target, rng.integers(0, k, n))
    head = base.copy()
    moved = rng.random(n) < 0.02
    head[moved] = rng.integers(0, k, int(moved.sum()))
    labels = np.array([f"class-{i}" for i in range(k)])
    common = {"id": [f"e{i:07d}" for i in range(n)], "target": labels[target], "part": rng.integers(0, 20, n).astype(str)}
    for name, answers in (("main", base), ("mine", head)):
        pl.DataFrame({**common, "prediction": labels[answers]}).write_parquet(folder / f"{name}.parquet")
    flags = [flag for metric in METRICS for flag in ("--metric", metric)]
    return ["compare", "main.parquet", "mine.parquet", *flags, "--slice", "part", "--gate", "accuracy:max-drop=5pp,slices.max-drop=9pp"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dvc", default="", help="the dvc program (default: one of our own)")
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n\n{HEAD}")
    with tempfile.TemporaryDirectory() as name:
        made = recorded(Path(name) / "recorded")
        ours = Command("mlops", [sys.executable, "-m", "mlops_toolkit", "compare"], made.root, made.env)
        rival = given.dvc or dvc()
        in_turn(Command("dvc", [rival, "init", "-q"], made.root, made.env), runs=1, warmup=0)
        made.git("add", "-A")
        made.git("commit", "-q", "-m", "dvc")
        made.mlops("review", EXAMPLES="10000")
        theirs = Command("dvc", [rival, "metrics", "diff", "main"], made.root, made.env)
        small = in_turn(ours, theirs, runs=given.runs)
        print(row("two recorded runs of 10,000 examples, 2 metrics × 2 slices", small, "dvc metrics diff"))
        folder = Path(name) / "million"
        folder.mkdir()
        words = million(folder)
        large = in_turn(Command("mlops", [sys.executable, "-m", "mlops_toolkit", *words], folder), runs=max(3, given.runs // 2))
        print(row(f"two files of 1,000,000 examples, {len(METRICS)} metrics × 20 slices", large))
    if (small.ratio or 0) > 1 or large.ours[1] > MILLION_SECONDS:
        raise SystemExit(f"over budget: {small.ratio:.2f} of dvc's time, {large.ours[1]:.2f} s for a million examples")


if __name__ == "__main__":
    main()
