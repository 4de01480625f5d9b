"""What `mlops --version` and `--help` take above a bare interpreter, in one run.

python benchmarks/bench_start.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.paired import HEAD, Command, compiled, in_turn, row

MOST_MILLISECONDS = 60


def main() -> None:
    """Print the table; the difference of the medians stands in the first column."""
    here, broken = Path.cwd(), False
    bare = Command("python", [sys.executable, "-c", "pass"], here)
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n\n{HEAD}")
    for words in (["--version"], ["--help"]):
        with tempfile.TemporaryDirectory() as folder:
            ours = Command("mlops", [sys.executable, "-m", "mlops_toolkit", *words], here, compiled(os.environ, Path(folder)))
            timing = in_turn(ours, bare, runs=21)
        assert timing.theirs is not None
        above = (timing.ours[1] - timing.theirs[1]) * 1000
        print(row(f"mlops {words[0]} ({above:.0f} ms above a bare interpreter)", timing, "python -c pass"))
        broken = broken or above > MOST_MILLISECONDS
    if broken:
        raise SystemExit(f"over budget: more than {MOST_MILLISECONDS} ms above a bare interpreter")


if __name__ == "__main__":
    main()
