"""How a metric moved over the runs of a branch: the lines of a terminal, and the picture. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlops_toolkit.report import escape, words
from mlops_toolkit.report.charts import _png, _style
from mlops_toolkit.report.drawing import BLUE, GREY, ORANGE, WIDTH, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 3.1


@dataclass(frozen=True)
class Commit:
    """A commit that a move may have come with. author: None where the clone does not have it."""

    commit: str
    subject: str
    author: str | None = None
    pull_request: int | None = field(default=None, metadata={"key": "pull-request"})


@dataclass(frozen=True)
class Point:
    """A run's value, with the interval of its own."""

    run: str
    commit: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Named:
    """A move. kind: it came with one `commit`, with one of several (`range`), or bit by bit, no step of it large enough (`span`).

    change, low, high: in the metric's own direction (after − before). first, last: the places of its ends among the points.
    """

    kind: Literal["commit", "range", "span"]
    first: int
    last: int
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    better: bool
    commits: tuple[Commit, ...] = ()


@dataclass(frozen=True)
class Moves:
    """What a walk found. passed: run -> why it was passed over; error: the largest chance that anything named did not move."""

    model: str
    metric: str
    slice: str | None
    unit: str
    direction: Literal["higher", "lower"]
    branch: str
    n: int
    confidence: float
    error: float
    points: tuple[Point, ...]
    moves: tuple[Named, ...]
    passed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: int = 1


def title(found: Moves) -> str:
    """`accuracy [language=de]`"""
    return found.metric + (f" [{found.slice}]" if found.slice else "")


def sentence(found: Moves) -> str:
    """`accuracy moved 2 times over 14 runs of main (2,000 examples): 0.9500 to 0.9210`."""
    first, last = found.points[0], found.points[-1]
    times = {0: "did not move that could be told from chance", 1: "moved once"}.get(len(found.moves), f"moved {len(found.moves)} times")
    values = " to ".join(words.value(p.value, found.unit, low=p.low, high=p.high) for p in (first, last))
    runs = f"{words.count(len(found.points), 'run')} of {escape.clean(found.branch, 60)} ({words.count(found.n, 'example')})"
    return f"{escape.clean(title(found), 80)} {times} over {runs}: {values}"


def cells(found: Moves) -> list[tuple[str, ...]]:
    """The rows of the table, its head first; nothing is escaped for a terminal yet."""
    rows: list[tuple[str, ...]] = [
        ("", "COMMIT", "CHANGE (95 % INTERVAL)".replace("95 %", words.percent(found.confidence)), "BEFORE → AFTER", "WHAT")
    ]
    for move in found.moves:
        change = words.change(move.change, move.low, move.high, found.unit).replace("\u00a0", " ")
        ends = f"{words.value(move.before, found.unit)} → {words.value(move.after, found.unit)}"
        rows.append(("better" if move.better else "worse", _where(found, move), change, ends, _what(found, move)))
    return rows


def _where(found: Moves, move: Named) -> str:
    if move.kind == "commit":
        return move.commits[0].commit[:7]
    return f"{found.points[move.first].commit[:7]}..{found.points[move.last].commit[:7]}"


def _what(found: Moves, move: Named) -> str:
    if move.kind == "commit":
        return told(move.commits[0])
    if move.kind == "range":
        some = ", ".join(f"{one.commit[:7]} {one.subject}".strip() for one in move.commits[:3])
        more = f", +{len(move.commits) - 3} more" if len(move.commits) > 3 else ""
        return f"one of {words.count(len(move.commits), 'commit')} between two runs: {some}{more}"
    went = "rose" if move.change > 0 else "fell"
    sure = move.low is not None and move.high is not None and move.low * move.high > 0
    by = f" by {words.alone(move.change, move.low, move.high, found.unit).lstrip('+' + words.MINUS)}" if sure else ""
    runs = words.count(move.last - move.first + 1, "run")
    return f"{went}{by} over {runs}, no single commit can be named"


def told(one: Commit) -> str:
    """`#12 Fix the tokenizer (Ada)`"""
    number = f"#{one.pull_request} " if one.pull_request and f"#{one.pull_request}" not in one.subject else ""
    return f"{number}{one.subject}" + (f" ({one.author})" if one.author else "")


def picture(found: Moves) -> bytes:
    """A PNG: values with their intervals over the runs, and what is named marked."""
    with _style():
        made = figure(WIDTH, HEIGHT)
        axes = made.add_axes((0.75 / WIDTH, 0.5 / HEIGHT, (WIDTH - 0.95) / WIDTH, (HEIGHT - 1.05) / HEIGHT))
        made.text(0.02, 1 - 0.14 / HEIGHT, escape.clean(sentence(found), 130), va="top", size=9)
        _draw(axes, found)
        return _png(made)


def _draw(axes: Axes, found: Moves) -> None:
    x = list(range(len(found.points)))
    for place, point in zip(x, found.points, strict=True):
        if point.low is not None and point.high is not None:
            axes.plot([place, place], [point.low, point.high], color=GREY, lw=2.4, alpha=0.3, solid_capstyle="butt")
    axes.plot(x, [point.value for point in found.points], color=GREY, lw=1.1, marker="o", ms=3)
    for move in found.moves:
        color = BLUE if move.better else ORANGE
        if move.kind == "span":
            axes.axvspan(move.first, move.last, color=color, alpha=0.12, lw=0)
        places = list(range(move.first, move.last + 1))
        axes.plot(places, [found.points[place].value for place in places], color=color, lw=2)
        axes.plot([move.last], [move.after], marker="o" if move.better else "s", color=color, ms=6)
    _names(axes, found)
    axes.set_xlim(-0.6, len(x) - 0.4)
    axes.margins(y=0.2)
    axes.locator_params(axis="y", nbins=5)
    shown = sorted({0, len(x) - 1, *_apart([move.last for move in found.moves], len(x))})
    axes.set_xticks(shown, [found.points[place].commit[:7] for place in shown])
    axes.tick_params(axis="x", length=2.5)


def _names(axes: Axes, found: Moves) -> None:
    """The change of each, above where it rose and below where it fell, as far as they do not cover one another."""
    kept = _apart([move.last for move in found.moves], len(found.points))
    for move in found.moves:
        if move.last in kept:
            point, up = found.points[move.last], move.change > 0
            edge = (point.high if up else point.low) if point.high is not None and point.low is not None else point.value
            text = words.alone(move.change, move.low, move.high, found.unit)
            place = (move.first + move.last) / 2 if move.kind == "span" else move.last
            axes.annotate(
                text,
                (place, edge or point.value),
                xytext=(0, 5 if up else -5),
                textcoords="offset points",
                ha="center",
                va="bottom" if up else "top",
                size=8,
                color=BLUE if move.better else ORANGE,
            )


def _apart(places: Sequence[int], runs: int) -> list[int]:
    """Of some places, those far enough from the ends and from each other for a word."""
    least, kept = max(1, runs // 9), list[int]()
    for place in places:
        if least <= place and (not kept or place - kept[-1] >= least):
            kept.append(place)
    return kept
