"""From a plan to its answer: the examples, the margins, the chances under the policy `ask`; in words and as JSON. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.power.plan import Plan
from mlops_toolkit.stats import sizes
from mlops_toolkit.stats.sizes import Means, Shares
from mlops_toolkit.stats.spread import FEWEST_CLUSTERS

POWERS = (0.5, 0.8, 0.9)
WIDTH, HEIGHT = 56, 12  # of the plot in a terminal


@dataclass(frozen=True)
class Row:
    """So many examples decide these margins, in the order of POWERS; None: none below 1 (or 100 % of the value)."""

    n: int
    margins: tuple[float | None, ...]


@dataclass(frozen=True)
class Answer:
    """margin at `n` examples: `passed` of harmless changes; `asks` of them need a yes; `slips`: real drops of twice the margin that merge."""

    plan: Plan
    power: float
    margin: float | None
    n: int | None
    passed: float | None
    asks: float | None
    slips: float | None
    rows: tuple[Row, ...]


def answer(plan: Plan, margin: float | None, n: int | None, power: float) -> Answer:
    """margin None: the one that n examples decide; n None: the examples that the margin needs."""
    most = 1.0 if plan.fraction else _largest(plan)
    if margin is None and n is not None:
        margin = sizes.margin(plan.design, n, power=power, most=most)
    elif n is None and margin is not None:
        n = sizes.examples(plan.design, margin, power=power)
    passed = asks = slips = None
    if n is not None and margin is not None:
        harmless, real = plan.design.outcome(n, margin), plan.design.outcome(n, margin, -2 * margin)
        passed, asks, slips = harmless.passed, harmless.beyond, 1 - real.beyond
    rows = tuple(Row(one, tuple(sizes.margin(plan.design, one, power=p, most=most) for p in POWERS)) for one in _sizes(n, plan.n))
    return Answer(plan, power, margin, n, passed, asks, slips, rows)


def _largest(plan: Plan) -> float:
    assert isinstance(plan.design, Means)  # noqa: S101  # shares are fractions
    return 100 * plan.design.spread


def _sizes(*around: int | None) -> list[int]:
    """Sizes of test sets, three a decade, from a tenth of what is asked for to ten times it."""
    middle = next((one for one in around if one), 2000)
    low, high = max(30.0, middle / 12), min(sizes.MOST, max(1000.0, middle * 12))
    steps = [round(base * 10**k) for k in range(1, 10) for base in (1, 2, 5)]
    return sorted({one for one in steps if low <= one <= high} | {one for one in around if one})


def shown(value: float | None, *, fraction: bool) -> str:
    if value is None:
        return "—"
    return f"{value * 100:.3g} pp" if fraction else f"{value:.3g}"


def words(found: Answer) -> str:
    """The answer as a person reads it."""
    plan, fraction = found.plan, found.plan.fraction
    lines = [f"{plan.metric}: {'; '.join(plan.supposes)}."]
    exact = "exactly, by the interval that decides" if isinstance(plan.design, Shares) else "about, by a normal approximation"
    if found.margin is None and found.n is not None:
        lines.append(f"{found.n:,} {plan.of} decide no margin.{_why(found)}")
    elif found.n is None and found.margin is not None:
        lines.append(f"No number of {plan.of} that anybody has decides a margin of {shown(found.margin, fraction=fraction)}.{_why(found)}")
    elif found.passed is not None and found.n is not None:
        lines.append(f"{found.n:,} {plan.of} decide a margin of {shown(found.margin, fraction=fraction)}:")
        lines.append(f"  a harmless change passes in {_percent(found.passed)} of cases ({exact})")
        lines.append(f"  a harmless change needs a yes (when-uncertain: ask) in {_percent(found.asks)}")
        lines.append(
            f"  a real {plan.worse} of {shown(2 * (found.margin or 0), fraction=fraction)} merges unseen in {_percent(found.slips)}"
        )
    lines += ["", *_table(found), "", *plot(found)]
    return "\n".join(lines)


def _why(found: Answer) -> str:
    design = found.plan.design
    if isinstance(design, Means) and design.clusters and found.margin and design.alike:
        reach = design.guess(found.margin, found.power) * design.alike
        return f" More examples of the same clusters do not help: at least {max(math.ceil(reach), FEWEST_CLUSTERS):,} clusters do."
    if found.n is not None and found.n < design.fewest:
        return f" At least {design.fewest:,} are needed for any interval."
    return ""


def _percent(value: float | None) -> str:
    if value is None:
        return "—"
    return "less than 0.1 %" if value < 0.001 else f"{value * 100:.3g} %"


def _table(found: Answer) -> list[str]:
    head = [found.plan.of, *(f"{p * 100:g} %" for p in POWERS)]
    cells = [head, *([f"{row.n:,}", *(shown(m, fraction=found.plan.fraction) for m in row.margins)] for row in found.rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    said = "the smallest margin that a harmless change keeps so often:"
    return [said, *("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)]


def plot(found: Answer) -> list[str]:
    """Margin against examples, both on logarithmic scales, in characters; nothing where there is nothing to draw.

    It is the column of the power that was asked about, where the table has it, else of 80 %.
    """
    column = found.power if found.power in POWERS else 0.8
    points = [(row.n, m) for row in found.rows if (m := row.margins[POWERS.index(column)])]
    if len(points) < 3:
        return []
    xs, ys = [math.log(n) for n, _ in points], [math.log(m) for _, m in points]
    (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for place in range(WIDTH):
        x = left + (right - left) * place / (WIDTH - 1)
        k = max(i for i in range(len(xs)) if xs[i] <= x + 1e-9)
        after = min(k + 1, len(xs) - 1)
        y = ys[k] if after == k else ys[k] + (ys[after] - ys[k]) * (x - xs[k]) / (xs[after] - xs[k])
        grid[HEIGHT - 1 - round((y - low) / ((high - low) or 1) * (HEIGHT - 1))][place] = "·"
    if found.n and found.margin and left <= math.log(found.n) <= right and low <= math.log(found.margin) <= high:
        row = HEIGHT - 1 - round((math.log(found.margin) - low) / ((high - low) or 1) * (HEIGHT - 1))
        grid[row][round((math.log(found.n) - left) / (right - left) * (WIDTH - 1))] = "●"
    top, bottom = shown(math.exp(high), fraction=found.plan.fraction), shown(math.exp(low), fraction=found.plan.fraction)
    wide = max(len(top), len(bottom))
    marks = [top if i == 0 else bottom if i == HEIGHT - 1 else "" for i in range(HEIGHT)]
    lines = [f"{mark.rjust(wide)} │{''.join(line).rstrip()}" for mark, line in zip(marks, grid, strict=True)]
    first, last = f"{points[0][0]:,}", f"{points[-1][0]:,} {found.plan.of}"
    said = f"the same as a curve, for {column * 100:g} % (both scales logarithmic, ● what was asked):"
    return [said, *lines, f"{' ' * wide} └{'─' * WIDTH}", f"{' ' * wide}  {first}{last.rjust(WIDTH - len(first))}"]


def document(found: Answer) -> dict[str, Any]:
    """The answer as JSON: shares as numbers, None where there is none."""
    design = found.plan.design
    kind = {"disagree": design.disagree} if isinstance(design, Shares) else {"spread": getattr(design, "spread", None)}
    return {
        "metric": found.plan.metric,
        "supposes": list(found.plan.supposes),
        "exact": isinstance(design, Shares),
        **kind,
        "power": found.power,
        "margin": found.margin,
        "examples": found.n,
        "harmless-passes": found.passed,
        "harmless-needs-a-yes": found.asks,
        "twice-the-margin-merges": found.slips,
        "table": [{"examples": row.n, "margins": dict(zip(map(str, POWERS), row.margins, strict=True))} for row in found.rows],
    }
