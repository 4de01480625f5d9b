"""`mlops compare`, whole and cold: against `dvc metrics diff` on two recorded runs of 10,000 examples, and alone on a million.

    python benchmarks/bench_compare.py [--dvc PATH-OF-DVC] [--runs N]

dvc reads two numbers from git and prints their difference; ours reads both runs' predictions, pairs them, computes the metrics with
intervals on every slice, judges the gate and writes report, comment and JUnit. The million come with the probabilities of ten classes, and
are asked for twenty metrics, four of them of these (ROC-AUC and average precision as means over the classes), on twenty slices; the
report's numbers are held against scikit-learn's first. DVC is installed by pip into an environment of its own under .cache/ unless one is
named. Exits 1 where a budget is broken: slower than dvc, two seconds for six metrics of labels of the million, or three for the twenty.
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
import sklearn.metrics as theirs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.paired import HEAD, Command, compiled, in_turn, row
from tests.world.repository import Repository, make

MILLION_SECONDS, TWENTY_SECONDS = 2.0, 3.0
METRICS = ("accuracy", "f1-macro", "balanced-accuracy", "precision-macro", "kappa", "mcc")
TWENTY = (
    *METRICS,
    *("recall-macro", "f1-weighted", "precision-weighted", "f1-micro", "f1:class-0", "f1:class-1"),
    *("precision:class-1", "recall:class-1", "recall:class-2", "recall:class-3"),
    *("roc-auc", "average-precision", "log-loss", "brier"),
)


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


def million(folder: Path) -> None:
    """Two Parquet files of a million examples, ten classes with probabilities, a slice column of twenty values; some 2 % of the answers differ."""
    rng = np.random.default_rng(0)
    n, k = 1_000_000, 10
    target = rng.integers(0, k, n)
    labels = np.array([f"class-{i}" for i in range(k)])
    common = {"id": [f"e{i:07d}" for i in range(n)], "target": labels[target], "part": rng.integers(0, 20, n).astype(str)}
    logit = rng.normal(size=(n, k))
    logit[np.arange(n), target] += 2.5
    for name in ("main", "mine"):
        if name == "mine":
            moved = rng.random(n) < 0.1
            logit[moved] += 0.5 * rng.normal(size=(int(moved.sum()), k))
        prob = np.exp(logit)
        prob /= prob.sum(axis=1, keepdims=True)
        columns = {f"prob:{label}": prob[:, i] for i, label in enumerate(labels)}
        frame = pl.DataFrame({**common, "prediction": labels[prob.argmax(axis=1)]})
        frame.write_parquet(folder / f"{name}.parquet")
        frame.with_columns(**columns).write_parquet(folder / f"{name}-prob.parquet")


def words(kind: str, metrics: tuple[str, ...]) -> list[str]:
    """The command line of a comparison."""
    flags = [flag for metric in metrics for flag in ("--metric", metric)]
    files = [f"main{kind}.parquet", f"mine{kind}.parquet"]
    return ["compare", *files, *flags, "--slice", "part", "--gate", "accuracy:max-drop=5pp,slices.max-drop=9pp"]


def proven(folder: Path) -> None:
    """That the twenty metrics' values are scikit-learn's, on all rows and on one slice."""
    done = subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", *words("-prob", TWENTY), "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    checks = {(check["metric"], check["slice"]): check["head"] for check in json.loads(done.stdout)["checks"]}
    frame = pl.read_parquet(folder / "mine-prob.parquet")
    for name, rows in ((None, frame), ("part=7", frame.filter(pl.col("part") == "7"))):
        target, prediction = rows["target"].to_numpy(), rows["prediction"].to_numpy()
        prob = rows.select(pl.col("^prob:.*$")).to_numpy()
        expected = {
            "accuracy": theirs.accuracy_score(target, prediction),
            "f1-macro": theirs.f1_score(target, prediction, average="macro"),
            "mcc": theirs.matthews_corrcoef(target, prediction),
            "roc-auc": theirs.roc_auc_score(target, prob, multi_class="ovr"),
            "average-precision": theirs.average_precision_score(target, prob),
            "log-loss": theirs.log_loss(target, prob),
        }
        for metric, value in expected.items():
            assert abs(checks[metric, name] - value) <= 1e-11, (metric, name, checks[metric, name], value)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dvc", default="", help="the dvc program (default: one of our own)")
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n\n{HEAD}")
    with tempfile.TemporaryDirectory() as name:
        made = recorded(Path(name) / "recorded")
        env = compiled(made.env, Path(name) / "compiled")
        ours = Command("mlops", [sys.executable, "-m", "mlops_toolkit", "compare"], made.root, env)
        rival = given.dvc or dvc()
        in_turn(Command("dvc", [rival, "init", "-q"], made.root, env), runs=1, warmup=0)
        made.git("add", "-A")
        made.git("commit", "-q", "-m", "dvc")
        made.mlops("review", EXAMPLES="10000")
        theirs = Command("dvc", [rival, "metrics", "diff", "main"], made.root, env)
        small = in_turn(ours, theirs, runs=given.runs)
        print(row("two recorded runs of 10,000 examples, 2 metrics × 2 slices", small, "dvc metrics diff"))
        folder = Path(name) / "million"
        folder.mkdir()
        million(folder)
        proven(folder)
        env = compiled(os.environ, Path(name) / "compiled")
        timed = []
        for asked in (("", METRICS), ("-prob", TWENTY)):
            large = Command("mlops", [sys.executable, "-m", "mlops_toolkit", *words(*asked)], folder, env)
            timed.append((in_turn(large, runs=max(3, given.runs // 2)), asked[1]))
        for timing, metrics in timed:
            print(row(f"two files of 1,000,000 examples, {len(metrics)} metrics × 20 slices", timing))
    budgets = (timed[0][0].ours[1], MILLION_SECONDS), (timed[1][0].ours[1], TWENTY_SECONDS)
    if (small.ratio or 0) > 1 or any(seconds > most for seconds, most in budgets):
        raise SystemExit(
            f"over budget: {small.ratio:.2f} of dvc's time; {', '.join(f'{s:.2f} s of {m} s' for s, m in budgets)} for a million"
        )


if __name__ == "__main__":
    main()
