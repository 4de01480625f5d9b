"""What an action takes before the toolkit's own work begins: the entry script with its environment made, above a bare interpreter.

    python benchmarks/bench_actions.py [--cold]

The verb is `--version`, so that what is measured is the way there: bash, the Python on PATH, the cached environment. --cold also
makes the environment anew, as the first job of a fresh machine does, against `pip install` of the same lock into a venv by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.paired import HEAD, Command, in_turn, row

ROOT = Path(__file__).resolve().parent.parent


def entry(cache: Path) -> Command:
    """`bash actions/run --version` as an action's step starts it."""
    inputs = json.dumps({"config": "mlops.yaml", "python": sys.executable}, indent=2)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "RUNNER_TOOL_CACHE": str(cache), "MLOPS_INPUTS": inputs}
    return Command("actions/run", ["bash", str(ROOT / "actions" / "run"), "--version"], ROOT, env)


def cold() -> str:
    """A row: the environment made for the first time."""
    with tempfile.TemporaryDirectory() as folder:
        remake = ["bash", "-c", f'rm -rf "{folder}/ours" && exec bash actions/run --version']
        ours = Command("actions/run", remake, ROOT, {**(entry(Path(folder) / "ours").env or {})})
        pip = f'rm -rf "{folder}/venv" && {sys.executable} -m venv "{folder}/venv" && "{folder}/venv/bin/pip" install -q --no-cache-dir --require-hashes -r requirements/cli.txt'
        by_hand = Command("venv and pip", ["bash", "-c", pip], ROOT)
        return row("first start on a machine", in_turn(ours, by_hand, runs=3, warmup=0), "venv and pip by hand")


def main() -> None:
    """Print the table; the difference of the medians is what the issue bounds by 0.4 s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        bare = Command("python", [sys.executable, "-c", "pass"], ROOT)
        timing = in_turn(entry(Path(cache)), bare, runs=21, warmup=2)
    assert timing.theirs is not None
    above = timing.ours[1] - timing.theirs[1]
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n\n{HEAD}")
    print(row(f"warm start of an action ({above:.2f} s above a bare interpreter)", timing, "python -c pass"))
    if args.cold:
        print(cold())


if __name__ == "__main__":
    main()
