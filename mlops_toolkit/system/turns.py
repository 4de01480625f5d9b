"""Runs a command for one or two models in turn and writes down how long it took; a program of its own, of the standard library alone.

It is run as `python -I -S turns.py PLAN` beneath our supervision. PLAN is a JSON file:
  shell, command  what is run: [*shell, command]      models  one or two values of MLOPS_MODEL; the first is the baseline's
  warm_up         runs of each that do not count      rounds  how many rounds; even      budget  seconds after which no new pair begins
  out             where the outcome is written, at the end and only then: {"runs": [[[seconds, bytes, text], …] a model]}
Rounds go A B, B A, A B, …: a machine that gets slower or faster all the time does so for both.
A run that fails ends it all with that run's exit status, its output said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MOST = 4_000_000  # characters of one run's output that are read


def main(path: str) -> int:
    with Path(path).open(encoding="utf-8") as file:
        plan = json.load(file)
    models, began = plan["models"], time.monotonic()
    for _ in range(plan["warm_up"]):
        for model in models:
            _once(plan, model)
    runs: list[list[Any]] = [[] for _ in models]
    for done in range(plan["rounds"]):
        if done % 2 == 0 and done and time.monotonic() - began > plan["budget"]:
            break
        order = range(len(models)) if done % 2 == 0 else reversed(range(len(models)))
        for side in order:
            runs[side].append(_once(plan, models[side]))
        if (done + 1) % 10 == 0:
            print(f"round {done + 1} of {plan['rounds']}", flush=True)
    out = Path(plan["out"])
    part = out.with_suffix(".part")
    part.write_text(json.dumps({"runs": runs}), encoding="utf-8")
    part.replace(out)
    return 0


def _once(plan: dict[str, Any], model: str) -> tuple[float, int, str]:
    """One run: wall seconds, peak bytes, what it wrote to its standard output."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrong:
        env = {**os.environ, "MLOPS_MODEL": model}
        began = time.perf_counter()
        process = subprocess.Popen([*plan["shell"], plan["command"]], env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=wrong)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = code = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if code:
            wrong.seek(0)
            for stream in (said, wrong):
                sys.stdout.buffer.write(stream.read(MOST))
            sys.stdout.flush()
            print(f"it was run with MLOPS_MODEL={model}", flush=True)
            sys.exit(code if code > 0 else 128 - code)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return took, peak, said.read(MOST).decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
