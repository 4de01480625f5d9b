"""Tango's interval against its rivals, by exact enumeration: `python benchmarks/enumeration.py` writes enumeration.md.

For n pairs of which a share q differs, and a margin m ≤ q. Passing: the exact probability that a change of exactly −m passes (nominal
2.5 %) and that a harmless change (0) does; a method passes where its lower end lies above −m. Failing: the exact probability that a change
of exactly −m is failed (nominal 2.5 %) and that one of −2m is; a method fails where its upper end lies below −m. The gate passes by Tango's
statistic and fails by it with its skewness taken off (`proportions.tango_claim`). Only outcomes near the boundary are looked at.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.stats import binom

from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.proportions import tango_claim, tango_statistic, wilson

Passes = Callable[[int, int, int, float], bool]  # (better, worse, n, margin); fails likewise
Z = critical(0.95)
SIZES, SHARES, MARGINS = (20, 50, 100, 200, 400), (0.02, 0.05, 0.1, 0.2), (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def tango(better: int, worse: int, n: int, margin: float) -> bool:
    """The score statistic beyond z."""
    return tango_statistic(better, worse, n, -margin) > Z


def tango_corrected(better: int, worse: int, n: int, margin: float) -> bool:
    """The same with half a pair taken off."""
    return tango_statistic(max(0.0, better - 0.5), worse + 0.5, n, -margin) > Z if worse + 0.5 <= n else False


def wald(better: float, worse: float, n: float, margin: float) -> bool:
    """The observed variance."""
    change = (better - worse) / n
    return change - Z * math.sqrt(max(0.0, better + worse - n * change * change)) / n > -margin


def agresti_min(better: int, worse: int, n: int, margin: float) -> bool:
    """Wald after adding half a pair to each of the four cells."""
    return wald(better + 0.5, worse + 0.5, n + 2, margin)


def mover(better: int, worse: int, n: int, margin: float) -> bool:
    """From Wilson's ends of the two shares, taken as independent: those of what got better and of what got worse."""
    up, down = better / n, worse / n
    change = up - down
    return change - math.hypot(up - wilson(better, n, 0.95)[0], wilson(worse, n, 0.95)[1] - down) > -margin


def exact(better: int, worse: int, n: int, margin: float) -> bool:
    """The score statistic beyond the least value that passes in at most 2.5 % whatever the disagreement (Barnard's way)."""
    return tango_statistic(better, worse, n, -margin) > _exact_critical(n, margin) + 1e-12


@functools.cache
def _exact_critical(n: int, margin: float) -> float:
    counts = [(b, w) for w in range(n + 1) for b in range(n - w + 1) if b + w <= min(n, 60 + n // 4)]
    better, worse = (np.array(side) for side in zip(*counts, strict=True))
    statistic = np.array([tango_statistic(b, w, n, -margin) for b, w in counts])
    order = np.argsort(-statistic, kind="stable")
    worst = np.zeros(len(order))
    for extra in (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.18):
        p_better, p_worse = extra / 2, margin + extra / 2
        chance = binom.pmf(worse, n, p_worse) * binom.pmf(better, n - worse, p_better / (1 - p_worse))
        worst = np.maximum(worst, np.cumsum(chance[order]))
    ranked = statistic[order]
    ends = np.append(np.diff(ranked) < -1e-12, True)  # a value passes with all that are equal to it
    allowed = np.flatnonzero(ends & (worst <= 0.025))
    return float(ranked[allowed[-1] + 1]) if len(allowed) and allowed[-1] + 1 < len(ranked) else float(ranked[0])


METHODS: dict[str, Passes] = {
    "Tango": tango,
    "Tango, corrected": tango_corrected,
    "exact unconditional": exact,
    "Agresti–Min": agresti_min,
    "MOVER-Wilson": mover,
    "Wald": wald,
}


# --- and where it fails


def tango_fails(better: int, worse: int, n: int, margin: float) -> bool:
    """The score statistic beyond −z."""
    return tango_statistic(better, worse, n, -margin) < -Z


def claim_fails(better: int, worse: int, n: int, margin: float) -> bool:
    """The same with its skewness taken off: what the gate does."""
    return tango_claim(better, worse, n, -margin) < -Z


def tango_corrected_fails(better: int, worse: int, n: int, margin: float) -> bool:
    """The score statistic with half a pair taken off."""
    return tango_statistic(better + 0.5, max(0.0, worse - 0.5), n, -margin) < -Z if better + 0.5 <= n else False


def wald_fails(better: float, worse: float, n: float, margin: float) -> bool:
    """The observed variance."""
    change = (better - worse) / n
    return change + Z * math.sqrt(max(0.0, better + worse - n * change * change)) / n < -margin


def agresti_min_fails(better: int, worse: int, n: int, margin: float) -> bool:
    """Wald after adding half a pair to each of the four cells."""
    return wald_fails(better + 0.5, worse + 0.5, n + 2, margin)


def mover_fails(better: int, worse: int, n: int, margin: float) -> bool:
    """From Wilson's ends of the two shares."""
    up, down = better / n, worse / n
    return up - down + math.hypot(wilson(better, n, 0.95)[1] - up, down - wilson(worse, n, 0.95)[0]) < -margin


FAILING: dict[str, Passes] = {
    "Tango less its skewness": claim_fails,
    "Tango": tango_fails,
    "Tango, corrected": tango_corrected_fails,
    "Agresti–Min": agresti_min_fails,
    "MOVER-Wilson": mover_fails,
    "Wald": wald_fails,
}


def boundary(passes: Passes, n: int, margin: float) -> np.ndarray:
    """The fewest better pairs that pass, for every number of worse ones."""
    fewest, least = np.empty(n + 1, dtype=int), 0
    for worse in range(n + 1):
        while least <= n - worse and not passes(least, worse, n, margin):
            least += 1
        fewest[worse] = least
    return fewest


def rate(fewest: np.ndarray, n: int, difference: float, disagree: float) -> float:
    """The probability of passing."""
    p_better, p_worse = (disagree + difference) / 2, (disagree - difference) / 2
    worse = np.arange(n + 1)
    return float((binom.pmf(worse, n, p_worse) * binom.sf(fewest - 1, n - worse, p_better / (1 - p_worse))).sum())


def fail_rate(fewest: np.ndarray, n: int, difference: float, disagree: float) -> float:
    """The probability of failing, from the fewest better pairs that are not failed."""
    return 1 - rate(fewest, n, difference, disagree)


Row = tuple[int, float, float, dict[str, tuple[float, float]]]


def rows() -> Iterator[Row]:
    """n, q, m, and by method the probability to pass at the margin and where nothing changed."""
    for n in SIZES:
        for margin in MARGINS:
            ends = {name: boundary(passes, n, margin) for name, passes in METHODS.items() if name != "exact unconditional" or n <= 200}
            for share in SHARES:
                if margin <= share:
                    yield n, share, margin, {k: (rate(e, n, -margin, share), rate(e, n, 0.0, share)) for k, e in ends.items()}


def failing_rows() -> Iterator[Row]:
    """n, q, m, and by method the probability to be failed at the margin, and of a drop of twice that (NaN where q is less)."""
    for n in (*SIZES, 1000):
        for margin in MARGINS:
            ends = {
                name: boundary(lambda b, w, n, m, f=fails: not f(b, w, n, m), n, margin)  # type: ignore[misc]
                for name, fails in FAILING.items()
            }
            for share in (margin, *(share for share in SHARES if share > margin)):
                found = {}
                for name, end in ends.items():
                    twice = fail_rate(end, n, -2 * margin, share) if 2 * margin <= share else math.nan
                    found[name] = (fail_rate(end, n, -margin, share), twice)
                yield n, share, margin, found


def page(found: list[Row], failing: list[Row]) -> Iterator[str]:
    """The Markdown: both summaries first, then every cell."""
    yield from ("# Intervals for paired shares, enumerated", "", "`python benchmarks/enumeration.py`: exact, nothing is drawn.", "")
    yield from (
        "## Passing",
        "",
        "| method | worst false pass | cells over 3.0 % | mean pass of a harmless change, n ≤ 200 |",
        "|---|---|---|---|",
    )
    yield from _summary(METHODS, found, lambda n: n <= 200)
    yield from (
        "",
        "## Failing",
        "",
        "| method | worst false fail | cells over 3.0 % | mean fail of a drop of twice the margin |",
        "|---|---|---|---|",
    )
    yield from _summary(FAILING, failing, lambda n: True)
    yield from ("", "## Passing, every cell: passes at the margin / passes where nothing changed, in %", "")
    yield from _cells(METHODS, found)
    yield from ("", "## Failing, every cell: is failed at the margin / of a drop of twice that, in %", "")
    yield from _cells(FAILING, failing)


def _summary(methods: dict[str, Passes], found: list[Row], counts: Callable[[int], bool]) -> Iterator[str]:
    for name in methods:
        mine = [by[name] for _, _, _, by in found if name in by]
        over = sum(false > 0.03 for false, _ in mine)
        right = np.nanmean([by[name][1] for n, _, _, by in found if counts(n)])
        yield f"| {name} | {100 * max(f for f, _ in mine):.2f} % | {over} of {len(mine)} | {100 * right:.1f} % |"


def _cells(methods: dict[str, Passes], found: list[Row]) -> Iterator[str]:
    yield "| n | q | margin | " + " | ".join(methods) + " |"
    yield "|---|---|---|" + "---|" * len(methods)
    for n, share, margin, by in found:
        cells = (_rates(*by[name]) if name in by else "–" for name in methods)
        yield f"| {n} | {100 * share:g}% | {margin:g} | " + " | ".join(cells) + " |"


def _rates(false: float, right: float) -> str:
    return f"{100 * false:.2f} / " + ("–" if math.isnan(right) else f"{100 * right:.1f}")


def main() -> None:
    """Write the table."""
    lines = list(page(list(rows()), list(failing_rows())))
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines[4:24]))


if __name__ == "__main__":
    main()
