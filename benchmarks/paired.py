"""Whole commands timed in turn, A B A B …, so that a machine that drifts drifts for both; medians and the ratio pair by pair."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """A command with its folder and environment."""

    name: str
    args: Sequence[str]
    cwd: Path
    env: Mapping[str, str] | None = None
    codes: tuple[int, ...] = (0,)


def compiled(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of commands whose modules are compiled once, at the first run, as pip leaves those that it installs."""
    return {**{key: value for key, value in env.items() if key != "PYTHONDONTWRITEBYTECODE"}, "PYTHONPYCACHEPREFIX": str(folder)}


def once(command: Command) -> float:
    """Seconds of wall time of one run; a command that fails ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(
        command.args, cwd=command.cwd, env=None if command.env is None else dict(command.env), capture_output=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode not in command.codes:
        raise SystemExit(f"{command.name} answered {done.returncode}:\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
    return seconds


@dataclass(frozen=True)
class Timing:
    """Seconds: smallest, median, largest; ratio: the median over pairs of ours / theirs (None without a rival)."""

    ours: tuple[float, float, float]
    theirs: tuple[float, float, float] | None
    ratio: float | None


def in_turn(ours: Command, theirs: Command | None = None, *, runs: int = 9, warmup: int = 1) -> Timing:
    """Time both, one after the other, `runs` times."""
    mine, other = [], []
    for i in range(runs + warmup):
        a = once(ours)
        b = once(theirs) if theirs else 0.0
        if i >= warmup:
            mine.append(a)
            other.append(b)

    def spread(seconds: list[float]) -> tuple[float, float, float]:
        return min(seconds), statistics.median(seconds), max(seconds)

    return Timing(
        spread(mine),
        spread(other) if theirs else None,
        statistics.median(a / b for a, b in zip(mine, other, strict=True)) if theirs else None,
    )


def row(what: str, timing: Timing, rival: str = "") -> str:
    """A line of results.md's tables."""
    ours = f"{timing.ours[1]:.3f} s ({timing.ours[0]:.3f}–{timing.ours[2]:.3f})"
    theirs = f"{rival} {timing.theirs[1]:.3f} s ({timing.theirs[0]:.3f}–{timing.theirs[2]:.3f})" if timing.theirs else "–"
    return f"| {what} | {ours} | {theirs} | {f'{timing.ratio:.2f}' if timing.ratio else '–'} |"


HEAD = "| what | ours, median (min–max) | rival | ours / rival |\n| :--- | ---: | ---: | ---: |"
