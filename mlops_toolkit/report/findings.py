"""What each chart shows, as a sentence with numbers: its alternative text, for mail, screen readers and whoever cannot see it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_toolkit.records.result import Confusion, Curve, Point, Result
from mlops_toolkit.report import escape, rows, words
from mlops_toolkit.report.sentence import detailed

TITLES = {
    "changes": "Change of each check, with its interval",
    "confusion": "Confusions gained and lost",
    "curves": "Ranking and calibration",
    "history": "Earlier runs",
}


def findings(result: Result) -> dict[str, str]:
    """chart name -> sentence, for the charts this result can draw, in the order they are shown."""
    found = {
        "changes": changes(result),
        "confusion": confusion(result.charts.confusion) if result.charts.confusion else None,
        "curves": curves(result),
        "history": history(result),
    }
    return {name: sentence for name, sentence in found.items() if sentence}


def changes(result: Result) -> str | None:
    """The worst check in full and how the others ended."""
    made = [row for row in rows.ordered(result.checks, result.policy) if row.check.change is not None]
    if not made:
        return None
    counts = [
        (sum(r.tone == t for r in made[1:]), word)
        for t, word in (("bad", "worse"), ("ask", "leaning worse"), ("open", "undecided"), ("good", "not worse"), ("plain", "ungated"))
    ]
    rest = ", ".join(f"{n} {word}" for n, word in counts if n)
    return f"{detailed(made[0])}: {made[0].word}" + (f"; of the others {rest}" if rest else "")


def confusion(found: Confusion) -> str | None:
    """The confusion that grew most and the one that shrank most."""
    cells = [
        (found.head[i][j] - found.baseline[i][j], i, j)
        for i in range(len(found.labels))
        for j in range(len(found.labels))
        if i != j and found.head[i][j] != found.baseline[i][j]
    ]
    if not cells:
        return "no class is confused with another more or less often than before"
    said = []
    for found_cell, more in ((max(cells), True), (min(cells), False)):
        change, i, j = found_cell
        if (change > 0) == more:
            target, prediction = (escape.clean(found.labels[k], 30) for k in (i, j))
            said.append(f"{target} taken for {prediction} in {words.count(found.head[i][j], 'example')}, {found.baseline[i][j]:,} before")
    return "; ".join(said)


def area(curve: Curve, *, steps: bool = False) -> float:
    """The area under a curve with ascending x: by trapezoids, or by `steps` (average precision)."""
    total, before_x, before_y = 0.0, 0.0, curve.y[0] if curve.y else 0.0
    for x, y in zip(curve.x, curve.y, strict=True):
        total += (x - before_x) * (y if steps else (y + before_y) / 2)
        before_x, before_y = x, y
    return total


def curves(result: Result) -> str | None:
    """Areas under the ROC and precision-recall curves, and the largest gap of the calibration."""
    charts = result.charts
    parts = [
        _areas("area under the ROC curve", charts.roc, steps=False),
        _areas("average precision", charts.pr, steps=True),
        _gaps(charts.calibration),
    ]
    return "; ".join(p for p in parts if p) or None


def _areas(name: str, drawn: Sequence[Curve], *, steps: bool) -> str | None:
    if not drawn:
        return None
    return f"{name} " + ", ".join(f"{area(c, steps=steps):.3f} ({escape.clean(c.name, 30)})" for c in drawn[:4])


def _gaps(drawn: Sequence[Curve]) -> str | None:
    said = []
    for curve in drawn[:4]:
        gaps = [(abs(y - x), x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        if gaps:
            _, x, y = max(gaps)
            said.append(f"a score of {x:.2f} means {y:.2f} ({escape.clean(curve.name, 30)})")
    return "calibration at its worst: " + ", ".join(said) if said else None


def tracked(result: Result, most: int = 4) -> Sequence[tuple[str, Sequence[Point]]]:
    """The metrics whose history is drawn: at least two earlier runs, worst checks first, at most `most`."""
    order = [row.check.metric for row in rows.overall(result)]
    named = sorted(result.charts.history, key=lambda m: (order.index(m) if m in order else len(order), m))
    return [(m, result.charts.history[m]) for m in named if len(result.charts.history[m]) > 1][:most]


def history(result: Result) -> str | None:
    """Each metric's first, last and present value."""
    now = {c.metric: c for c in rows.mine(result) if c.slice is None}
    said = []
    for metric, points in tracked(result):
        check = now.get(metric)
        unit = check.unit if check else ""
        text = f"{escape.clean(metric, 40)} over {words.count(len(points), 'run')}: {words.value(points[0].value, unit)} to {words.value(points[-1].value, unit)}"
        said.append(text + (f", now {words.value(check.head, unit)}" if check and check.head is not None else ""))
    return "; ".join(said) or None
