"""The other pictures: confusions gained and lost, ranking and calibration curves, metrics over earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_toolkit.records.result import Check, Confusion, Curve, Point, Result
from mlops_toolkit.report import escape, rows, words
from mlops_toolkit.report.drawing import BLUE, GREY, ORANGE, WIDTH, figure
from mlops_toolkit.report.findings import tracked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS, MOST_CURVES = 16, 4


def confusion(result: Result) -> Figure | None:
    """Head minus baseline, target by prediction: blue is better (more right, fewer wrong), orange is worse."""
    found = result.charts.confusion
    if found is None or not found.labels:
        return None
    kept = most_changed(found, MOST_LABELS)
    k, total = len(kept), len(found.labels)
    names = [escape.clean(found.labels[index], 22) for index in kept]
    longest = max(map(len, names))
    upright = longest <= 8 and k <= 8
    left, top = 0.45 + 0.085 * longest, 0.5 if upright else 0.4 + 0.062 * longest
    cell = min(0.62 if k <= 8 else 0.42, (WIDTH - left - 0.062 * longest) / k)
    foot = 0.3 if total > k else 0.08
    width, height = WIDTH, top + k * cell + foot  # as wide as the others, so that they are all shown at one scale
    made = figure(width, height)
    axes = made.add_axes((left / width, foot / height, k * cell / width, k * cell / height))
    axes.set_xlim(-0.5, k - 0.5)
    axes.set_ylim(k - 0.5, -0.5)
    axes.axis("off")
    change = [[found.head[i][j] - found.baseline[i][j] for j in kept] for i in kept]
    largest = max((abs(n) for line in change for n in line), default=0) or 1
    for y, line in enumerate(change):
        for x, n in enumerate(line):
            _cell(axes, x, y, n, largest)
    for place, name in enumerate(names):
        axes.text(-0.62, place, name, ha="right", va="center")
        axes.text(
            place, -0.62, name, ha="center" if upright else "left", va="bottom", rotation=0 if upright else 45, rotation_mode="anchor"
        )
    made.text(left / width, 1 - 0.04 / height, "predicted →", ha="left", va="top", size=8, style="italic")
    made.text(
        (left - 0.62 * cell + 0.5 * cell) / width, 1 - (top - 0.06) / height, "target ↓", ha="right", va="bottom", size=8, style="italic"
    )
    if total > k:
        made.text(0.02, 0.1 / height, f"the {k} of {total} classes that changed most", size=8, va="bottom")
    return made


def most_changed(found: Confusion, most: int) -> list[int]:
    """The classes with most gained and lost cells, in their own order."""
    size = range(len(found.labels))
    change = [sum(abs(found.head[i][j] - found.baseline[i][j]) + abs(found.head[j][i] - found.baseline[j][i]) for j in size) for i in size]
    return sorted(sorted(size, key=lambda i: -change[i])[:most])


def _cell(axes: Axes, x: int, y: int, n: int, largest: int) -> None:
    from matplotlib.patches import Rectangle

    good = (n > 0) == (x == y)
    color = GREY if n == 0 else BLUE if good else ORANGE
    alpha = 0.05 if n == 0 else 0.10 + 0.25 * abs(n) / largest
    axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, color=color, alpha=alpha, lw=0))
    text = "·" if n == 0 else words.fixed(n, 0, sign=True)
    axes.text(x, y, text, ha="center", va="center", color=color, weight="bold" if n else "normal", size=9 if len(text) < 4 else 7)


def curves(result: Result) -> Figure | None:
    """Up to three square panels: ROC, precision and recall, calibration; the baseline dashed."""
    drawn = [
        ("ROC", "false positive rate", "true positive rate", result.charts.roc, True),
        ("precision and recall", "recall", "precision", result.charts.pr, False),
        ("calibration", "score", "share that is positive", result.charts.calibration, True),
    ]
    drawn = [panel for panel in drawn if panel[3]]
    if not drawn:
        return None
    side, gap, left, foot, top = 2.2, 0.72, 0.55, 0.72, 0.3
    height = side + foot + top
    made = figure(WIDTH, height)
    for n, (title, x, y, lines, diagonal) in enumerate(drawn):
        axes = made.add_axes(((left + n * (side + gap)) / WIDTH, foot / height, side / WIDTH, side / height))
        axes.set_title(title, size=9, loc="left", pad=5)
        axes.set_xlabel(x, size=8, labelpad=2)
        axes.set_ylabel(y, size=8, labelpad=2)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.005)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        if diagonal:
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls=":")
        _lines(axes, lines, dots=title == "calibration")
    _legend(made, [line for *_, lines, _ in drawn[:1] for line in lines], height)
    return made


def _look(n: int, of: int) -> dict[str, object]:
    """The last is the head: blue and solid; the one before it the baseline, grey and dashed."""
    last = n == of - 1
    styles = ["--", "-.", ":"]
    return {
        "color": BLUE if last else GREY if n == of - 2 else ORANGE,
        "ls": "-" if last else styles[(of - 2 - n) % 3],
        "lw": 1.8 if last else 1.3,
    }


def _lines(axes: Axes, lines: Sequence[Curve], *, dots: bool) -> None:
    shown = lines[:MOST_CURVES]
    for n, curve in enumerate(shown):
        marker = "o" if dots else ""
        axes.plot(curve.x, curve.y, marker=marker, ms=3, **_look(n, len(shown)))  # type: ignore[arg-type]


def _legend(made: Figure, lines: Sequence[Curve], height: float) -> None:
    from matplotlib.lines import Line2D

    x, shown = 0.55 / WIDTH, lines[:MOST_CURVES]
    for n, curve in enumerate(shown):
        made.add_artist(Line2D([x, x + 0.03], [0.11 / height] * 2, **_look(n, len(shown))))  # type: ignore[arg-type]
        name = escape.clean(curve.name, 24)
        made.text(x + 0.037, 0.11 / height, name, va="center", size=8)
        x += 0.06 + 0.0095 * len(name)


def history(result: Result) -> Figure | None:
    """A small panel a metric: earlier runs with their intervals in grey, this one in blue (orange where it fails)."""
    found = tracked(result)
    if not found:
        return None
    now = {c.metric: c for c in rows.mine(result) if c.slice is None}
    across = 2 if len(found) > 1 else 1
    down = (len(found) + across - 1) // across
    cell_w, cell_h = WIDTH / across, 1.75
    made = figure(WIDTH, cell_h * down)
    for n, (metric, points) in enumerate(found):
        left, bottom = (n % across) * cell_w, (down - 1 - n // across) * cell_h
        axes = made.add_axes(
            ((left + 0.62) / WIDTH, (bottom + 0.34) / (cell_h * down), (cell_w - 0.9) / WIDTH, (cell_h - 0.68) / (cell_h * down))
        )
        _timeline(axes, metric, points, now.get(metric))
    return made


def _timeline(axes: Axes, metric: str, points: Sequence[Point], check: Check | None) -> None:
    axes.set_title(escape.clean(metric, 44), size=9, loc="left", pad=4)
    x = list(range(len(points)))
    axes.plot(x, [p.value for p in points], color=GREY, lw=1.2, marker="o", ms=2.5)
    for i, p in zip(x, points, strict=True):
        if p.low is not None and p.high is not None:
            axes.plot([i, i], [p.low, p.high], color=GREY, lw=2.6, alpha=0.35, solid_capstyle="butt")
    if check is not None and check.head is not None:
        failed = check.verdict == "fail"
        axes.plot([len(points)], [check.head], marker="s" if failed else "o", ms=6, color=ORANGE if failed else BLUE, clip_on=False)
    days = [words.date(p.at).rsplit(" ", 3)[0] for p in points]
    axes.set_xticks([0, len(points)], [days[0], "now"], ha="left" if len(days[0]) > 6 else "center")
    axes.get_xticklabels()[1].set_horizontalalignment("center")
    axes.set_xlim(-0.5, len(points) + 0.5)
    axes.locator_params(axis="y", nbins=4)
    axes.margins(y=0.14)
