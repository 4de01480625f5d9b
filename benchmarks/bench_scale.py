"""`mlops compare`, whole and cold, at a million, ten million and a hundred million rows: seconds and peak memory of the process.

    python benchmarks/bench_scale.py [--rows 1e6 1e7 1e8] [--folder DIR]

Two Parquet files of a binary task with a score and a column of twenty slices; accuracy, F1, recall and ROC-AUC, each of them on every
slice too. The rival, as long as it fits: the same numbers without any interval by polars, the whole files read into memory, and
scikit-learn. Its values are compared with ours. Exits 1 where a row of the largest costs more than 1.5 times what it costs at a tenth
of it, where its memory is more than 1.5 times that, or where it is 2 GB or more. The files take 1.8 GB at a hundred million rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
METRICS = ("accuracy", "f1", "recall", "roc-auc")
MOST_A_ROW, MOST_MEMORY, MOST_BYTES = 1.5, 1.5, 2 << 30
RIVAL_ROWS = 10_000_000  # beyond, it takes more memory than a machine of 16 GB has
STEP = 1_000_000
RIVAL = """
import json, sys
import polars as pl
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score
def values(rows):
    y, p, s = (rows[c].to_numpy() for c in ("target", "prediction", "score"))
    return [accuracy_score(y, p), f1_score(y, p, pos_label="spam"), recall_score(y, p, pos_label="spam"), roc_auc_score(y == "spam", s)]
found = {}
for path in sys.argv[1:]:
    frame = pl.read_parquet(path)
    found[path] = values(frame)
    for part in frame.partition_by("part"):
        values(part)
print(json.dumps(list(found.values())[-1]))
"""


def blocks(rows: int, side: int) -> Iterator[pl.DataFrame]:
    """The answers of one model, a million rows at a time; the second model's scores are the first's with some noise."""
    for start in range(0, rows, STEP):
        rng, n = np.random.default_rng(start), min(STEP, rows - start)
        target = rng.integers(0, 2, n)
        odds = 2.0 * target - 1 + rng.normal(size=n)
        score = 1 / (1 + np.exp(-(odds + side * 0.2 * rng.normal(size=n))))
        labels = pl.Series(["ham", "spam"])
        ids = pl.select(pl.format("e{}", pl.int_range(start, start + n).cast(pl.String).str.zfill(9))).to_series()
        part = pl.Series([f"part-{i:02}" for i in range(20)])[rng.integers(0, 20, n)]
        yield pl.DataFrame(
            {"id": ids, "target": labels[target], "prediction": labels[(score > 0.5).astype(int)], "score": score, "part": part}
        )


def made(folder: Path, rows: int) -> list[Path]:
    """The two files."""
    paths = []
    for side, name in enumerate(("main", "mine")):
        parts = []
        for index, block in enumerate(blocks(rows, side)):
            parts.append(folder / f"{name}.{index}")
            block.write_parquet(parts[-1], compression="lz4")
        paths.append(folder / f"{name}.parquet")
        pl.scan_parquet(parts).sink_parquet(paths[-1], row_group_size=STEP)
        for part in parts:
            part.unlink()
    return paths


def child(command: list[str], folder: Path) -> tuple[float, int, str]:
    """(seconds, peak bytes, standard output) of a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    start = time.monotonic()
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command[:4])} … ended with {process.returncode}")
    return time.monotonic() - start, _bytes(used), out


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Print the table, and hold what it shows against what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 1e7, 1e8])
    parser.add_argument("--folder", default=None, help="where the files are made (default: a temporary folder)")
    args = parser.parse_args()
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, polars {pl.__version__}\n")
    print("| rows | `mlops compare` | ns a row | peak memory | polars + scikit-learn, no intervals | its memory |")
    print("|---:|---:|---:|---:|---:|---:|")
    taken: dict[int, tuple[float, int]] = {}
    for rows in map(int, args.rows):
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            folder = Path(name)
            files = [path.name for path in made(folder, rows)]
            flags = [flag for metric in METRICS for flag in ("--metric", metric)]
            ours = [sys.executable, "-m", "mlops_toolkit", "compare", *files, "--task", "classification", "--positive", "spam", *flags]
            seconds, peak, out = child([*ours, "--slice", "part", "--gate", "accuracy:max-drop=5pp", "--json"], folder)
            taken[rows] = seconds, peak
            rival = "– | –"
            if rows <= RIVAL_ROWS:
                other = child([sys.executable, "-c", RIVAL, *files], folder)
                rival = f"{other[0]:,.1f} s | {other[1] / 1e6:,.0f} MB"
                equal(out, json.loads(other[2]))
        print(f"| {rows:,} | {seconds:,.1f} s | {seconds / rows * 1e9:,.0f} | {peak / 1e6:,.0f} MB | {rival} |", flush=True)
    held(taken)


def equal(ours: str, theirs: list[float]) -> None:
    """The head's values are the rival's."""
    checks = {check["metric"]: check for check in json.loads(ours)["checks"] if not check.get("slice")}
    for metric, value in zip(METRICS, theirs, strict=True):
        off = abs(checks[metric]["head"] - value)
        assert off <= (1e-4 if metric == "roc-auc" else 1e-12), (metric, off)


def held(taken: dict[int, tuple[float, int]]) -> None:
    """Exit 1 where cost or memory grow."""
    large = [rows for rows in taken if rows >= RIVAL_ROWS]
    if len(large) < 2:
        return
    one, ten = large[-2:]
    a_row, memory = (taken[ten][0] / ten) / (taken[one][0] / one), taken[ten][1] / taken[one][1]
    print(f"\nfrom {one:,} to {ten:,} rows: {a_row:.2f} times the time a row, {memory:.2f} times the memory")
    if a_row > MOST_A_ROW or memory > MOST_MEMORY or taken[ten][1] >= MOST_BYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
