"""How often a rollout sends a harmless release back, and how often it lets a worse one through: whole rollouts, simulated with the shipped rules.

`python -m benchmarks.canary [--rollouts 2000] [--write]`: the table of benchmarks/canary.md. Requests come at random (Poisson), each fails with
its release's probability. Looks, what each may spend, and the intervals are the product's (`rollout.windows`, `rollout.intervals`); only errors
are simulated, since the other limits have thresholds of their own.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import betaincinv

from mlops_toolkit.rollout import intervals
from mlops_toolkit.rollout.counters import EVERY
from mlops_toolkit.rollout.intervals import difference
from mlops_toolkit.rollout.order import Limits, Step
from mlops_toolkit.rollout.windows import Looks, Watch

LIMITS = Limits()
ALLOWED = LIMITS.errors or 0.0
USUAL = (1 - LIMITS.confidence) / 2
SHARES = (0.05, 0.25, 0.5)
MORE = (
    5.0  # seconds between two looks of the simulation: the product looks every `EVERY`, but decides only where half as many again have come
)
WATCH = 600.0
PAGE = Path(__file__).with_suffix(".md")


@dataclass
class Ended:
    """A rollout: where it went back (`canary`, `watch`, or "" where it did not), after how many seconds, and how many requests failed at it."""

    at: str
    seconds: float
    failed: int


def stage(rng: np.random.Generator, step: Step, traffic: float, new: float, old: float) -> tuple[str, float, int]:
    """(`fail`, `pass` or `go-on`; seconds; failed requests of the new release) of one part of the traffic."""
    n_new = np.cumsum(rng.poisson(traffic * step.share * MORE, math.ceil(step.most / MORE)))
    n_old = np.cumsum(rng.poisson(traffic * (1 - step.share) * MORE, len(n_new)))
    counts = [one.tolist() for one in (_failed(rng, n_new, new), n_new, _failed(rng, n_old, old), n_old)]
    looks = Looks(Watch(LIMITS, None, None, length=step.hold, parts=len(SHARES)).alpha)
    for at, (k, n, m, b) in enumerate(zip(*counts, strict=True), start=1):
        elapsed = at * MORE
        if (spend := looks.due(n, elapsed >= step.hold)) and shown(k, n, m, b, spend):
            return "fail", elapsed, k
        if elapsed >= step.hold and near(k, n, m, b) and difference(k, n, m, b, USUAL)[1] < ALLOWED:
            return "pass", elapsed, k
    return "go-on", step.most, counts[0][-1]


def near(k: int, n: int, m: int, b: int) -> bool:
    """Whether it can be shown to be no worse at all: what is quick to see to be hopeless needs no exact limits."""
    if n < 700 or not b:
        return False
    p, q = k / n, m / b
    return p - q + 1.6 * math.sqrt(p * (1 - p) / n + q * (1 - q) / b) < ALLOWED


def shown(k: int, n: int, m: int, b: int, alpha: float) -> bool:
    """Whether it is shown to be worse than allowed."""
    return n > 0 and k / n - (m / b if b else 0.0) > ALLOWED and difference(k, n, m, b, alpha)[0] > ALLOWED


def watched(rng: np.random.Generator, traffic: float, new: float, m: int, b: int) -> tuple[str, float, int]:
    """The watch after the switch, held against what the old one counted before: whole, and its pieces by themselves."""
    watch = Watch(LIMITS, None, None, length=WATCH, after=True)
    each = rng.poisson(traffic * MORE, int(WATCH / MORE))
    fails = rng.binomial(each, new)
    whole, bad = [0, *np.cumsum(each).tolist()], [0, *np.cumsum(fails).tolist()]
    looks, part, began = watch.looks, watch.part_looks, 0
    for at in range(1, len(whole)):
        elapsed, n, k = at * MORE, whole[at] - whole[began], bad[at] - bad[began]
        over = elapsed >= began * MORE + watch.piece
        spends = (looks.due(whole[at], elapsed >= WATCH), part.due(n, over))
        if (spends[0] and shown(bad[at], whole[at], m, b, spends[0])) or (spends[1] and shown(k, n, m, b, spends[1])):
            return "fail", elapsed, bad[at]
        if over:
            began, part = at, Looks(watch.alpha)
    return "pass", WATCH, bad[-1]


def _failed(
    rng: np.random.Generator, cumulative: np.ndarray[tuple[int], np.dtype[np.int64]], p: float
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.cumsum(rng.binomial(np.diff(cumulative, prepend=0), p))


def rollout(rng: np.random.Generator, traffic: float, hold: float, new: float, old: float) -> Ended:
    """Canary steps, then the watch."""
    seconds, failed = 0.0, 0
    for share in SHARES:
        end, took, k = stage(rng, Step(share, hold, 600.0), traffic, new, old)
        seconds, failed = seconds + took, failed + k
        if end == "fail":
            return Ended("canary", seconds, failed)
    b = int(rng.poisson(traffic * (seconds * 0.7 + 30)))
    end, took, k = watched(rng, traffic, new, int(rng.binomial(b, old)), b)
    return Ended("watch" if end == "fail" else "", seconds + took, failed + k)


def cell(traffic: float, hold: float, new: float, old: float, rollouts: int, seed: int) -> list[Ended]:
    """Many rollouts of one kind."""
    rng = np.random.default_rng([seed, int(traffic * 10), int(hold), round(1e6 * new), round(1e6 * old)])
    return [rollout(rng, traffic, hold, new, old) for _ in range(rollouts)]


def table(rollouts: int, seed: int) -> str:
    """The page."""
    harmless = ["| requests a second | fail before and after | steps of 30 s | steps of 120 s |", "|---|---|---|---|"]
    for traffic in (1, 10, 100, 1000):
        for p in (0.0005, 0.005, 0.05):
            found = [cell(traffic, hold, p, p, rollouts, seed) for hold in (30.0, 120.0)]
            harmless.append(f"| {traffic} | {100 * p:g} % | " + " | ".join(_share(one) for one in found) + " |")
    worse = [
        "| requests a second | rise (0.1 % failed before) | went back in the canary | in the watch | never | seconds until it went back (median) |",
        "|---|---|---|---|---|---|",
    ]
    for traffic in (1, 10, 100, 1000):
        for rise in (0.01, 0.02, 0.05, 0.2):
            ends = cell(traffic, 120.0, 0.001 + rise, 0.001, max(100, rollouts // 10), seed)
            worse.append(f"| {traffic} | +{100 * rise:g} pp | {_row(ends)} |")
    return PAGE_TEXT.format(rollouts=rollouts, fewer=max(100, rollouts // 10), harmless="\n".join(harmless), worse="\n".join(worse))


def _share(ends: Sequence[Ended]) -> str:
    back = sum(one.at != "" for one in ends)
    return f"{100 * back / len(ends):.2f} %"


def _row(ends: Sequence[Ended]) -> str:
    parts = [100 * sum(one.at == where for one in ends) / len(ends) for where in ("canary", "watch", "")]
    took = sorted(one.seconds for one in ends if one.at)
    return " | ".join(f"{part:.0f} %" for part in parts) + (f" | {took[len(took) // 2]:.0f}" if took else " | –")


PAGE_TEXT = """# How often a rollout is wrong

Simulated by `python -m benchmarks.canary --write`: whole rollouts with the shipped limits (steps of 5, 25 and 50 % of the traffic, each up to ten
minutes while undecided and then going on, 10 minutes of watching; errors may rise by 0.5 percentage points).

## A release that is as good as the one before goes back

Of {rollouts} rollouts each. At most 1 % is meant.

{harmless}

## A release that fails more often

Of {fewer} rollouts each, steps of 120 s. What never went back had too few requests to be told from chance, or rose by little more than is allowed.

{worse}
"""


def quick(failed: int, n: int, alpha: float) -> tuple[float, float]:
    """`intervals.share` by scipy, which gives the same (tests/unit/rollout/test_judge.py) in a hundredth of the time."""
    if n <= 0:
        return 0.0, 1.0
    low = 0.0 if failed <= 0 else float(betaincinv(failed, n - failed + 1, alpha))
    return low, 1.0 if failed >= n else float(betaincinv(failed + 1, n - failed, 1 - alpha))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    assert EVERY <= MORE
    intervals.share = functools.lru_cache(maxsize=1 << 16)(quick)
    text = table(given.rollouts, given.seed)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
