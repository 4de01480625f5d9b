"""The forest plot: every check's change with its interval, and the region that its margin forbids. Right is better.

Fractions share an axis in percentage points; other units, which cannot share one, an axis in per cent of the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import escape, rows, words
from mlops_toolkit.report.drawing import BLUE, GREY, ORANGE, WIDTH, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
_ROW, _PAD, _AXIS = 0.27, 0.12, 0.62  # inches
_LEFT, _RIGHT = 2.75, 2.25
_NAME = 36
_MARKS: dict[rows.Tone, tuple[str, str, bool]] = {
    "bad": ("s", ORANGE, True),
    "ask": ("D", ORANGE, False),
    "open": ("o", GREY, False),
    "good": ("o", BLUE, True),
    "plain": ("o", GREY, True),
}


def changes(result: Result) -> Figure | None:
    """One row a check, worst first, whole metrics before slices where not all fit; None where no check has a change."""
    found = [row for row in rows.ordered(result.checks, result.policy) if row.check.change is not None]
    kept = {id(row) for row in sorted(found, key=lambda row: row.check.slice is not None)[:MOST]}
    groups = [
        ("percentage points", [(row, 100.0) for row in found if id(row) in kept and row.check.unit == "fraction"]),
        (
            "per cent of the baseline",
            [
                (row, 100.0 / abs(row.check.baseline))
                for row in found
                if id(row) in kept and row.check.unit != "fraction" and row.check.baseline
            ],
        ),
    ]
    groups = [(caption, group) for caption, group in groups if group]
    if not groups:
        return None
    left_out = len(found) - sum(len(group) for _, group in groups)
    height = sum(len(group) * _ROW + _PAD + _AXIS for _, group in groups) + (_ROW if left_out else 0)
    made, top = figure(WIDTH, height), height
    for caption, group in groups:
        tall = len(group) * _ROW + _PAD
        axes = made.add_axes((_LEFT / WIDTH, (top - tall) / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, tall / height))
        _panel(axes, caption, group)
        top -= tall + _AXIS
    if left_out:
        made.text(0.01, _ROW / 2 / height, f"{words.count(left_out, 'more check')} in the report page", va="center", size=8)
    return made


def _panel(axes: Axes, caption: str, group: Sequence[tuple[rows.Row, float]]) -> None:
    reach = _reach(group)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(group) - 0.5 + _PAD / _ROW / 2, -0.5 - _PAD / _ROW / 2)
    axes.axvline(0, color=GREY, lw=0.8)
    for y, (row, by) in enumerate(group):
        _line(axes, y, row, by, reach)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=2.5)
    axes.set_xlabel(f"worse  ←  {caption}  →  better", labelpad=3, size=8)


def _reach(group: Sequence[tuple[rows.Row, float]]) -> float:
    """Half the width of the axis: all changes, margins and whole metrics' intervals fit; a wide slice's interval may run out."""
    found = [1e-9]
    for row, by in group:
        check = row.check
        ends = [check.change, rows.asked(check), check.gain if row.word == "suspicious gain" else None] + (
            [check.low, check.high] if check.slice is None or row.tone == "bad" else []
        )
        found += [abs(end) * by for end in ends if end is not None]
    return max(found) * 1.12


def _line(axes: Axes, y: float, row: rows.Row, by: float, reach: float) -> None:
    check = row.check
    shape, color, filled = _MARKS[row.tone]
    for limit, side in ((rows.asked(check), -reach), (check.gain, reach)):
        if limit is not None and abs(limit * by) < reach:
            axes.fill_betweenx([y - 0.36, y + 0.36], side, limit * by, color=ORANGE, alpha=0.13, lw=0)
            axes.plot([limit * by, limit * by], [y - 0.36, y + 0.36], color=ORANGE, lw=1.0)
    if check.low is not None and check.high is not None:
        low, high = check.low * by, check.high * by
        axes.plot([max(low, -reach), min(high, reach)], [y, y], color=color, lw=1.7, solid_capstyle="butt")
        for end, mark, outside in ((-reach, "<", low < -reach), (reach, ">", high > reach)):
            if outside:
                axes.plot([end], [y], marker=mark, color=color, ms=5, clip_on=False)
    at = (check.change or 0.0) * by
    axes.plot([at], [y], marker=shape, color=color, ms=5.5, mew=1.4, mfc=color if filled else "none", clip_on=False)
    axes.text(
        -0.02,
        y,
        escape.clean(row.name, _NAME),
        transform=axes.get_yaxis_transform(),
        ha="right",
        va="center",
        weight="bold" if check.slice is None else "normal",
    )
    axes.text(
        1.03,
        y,
        escape.clean(row.change, 36),
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="center",
        color=color if row.tone == "bad" else GREY,
    )
