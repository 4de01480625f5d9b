"""The curve of `mlops power`: which margin so many examples decide, on logarithmic scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_toolkit.report import charts
from mlops_toolkit.report.drawing import BLUE, GREY, ORANGE, WIDTH, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = tuple[str, Sequence[int], Sequence[float]]
STYLES = ((GREY, ":"), (BLUE, "-"), (ORANGE, "--"))


def sample_size(lines: Sequence[Line], caption: str, *, at: tuple[int, float] | None, fraction: bool, of: str = "examples") -> bytes:
    """PNG. lines: name, examples, margins; at: the point that was asked about. fraction: margins are shown in percentage points; of: what is counted."""
    return charts.drawn(lambda: _draw(lines, caption, at, fraction=fraction, of=of))


def _draw(lines: Sequence[Line], caption: str, at: tuple[int, float] | None, *, fraction: bool, of: str) -> Figure:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    made = figure(WIDTH, 4.2)
    axes = made.add_subplot()
    scale = 100 if fraction else 1
    for (name, xs, ys), (colour, style) in zip(lines, STYLES, strict=True):
        if xs:
            axes.plot(xs, [y * scale for y in ys], style, color=colour, label=name, linewidth=1.8)
    if at is not None:
        axes.plot([at[0]], [at[1] * scale], "o", color=BLUE, markersize=7)
        caption += f" · {at[0]:,} {of}: {at[1] * scale:.3g}{' percentage points' if fraction else ''}"
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_xlabel(of)
    axes.set_ylabel("margin, percentage points" if fraction else "margin")
    axes.set_title(caption, loc="left", fontsize=10)
    axes.grid(visible=True, which="major", linewidth=0.4, alpha=0.5)
    if any(xs for _, xs, _ in lines):
        axes.legend(frameon=False, fontsize=8)
    made.tight_layout()
    return made
