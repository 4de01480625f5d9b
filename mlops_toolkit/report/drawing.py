"""What every picture is drawn with: colours, width, an empty figure.

Grey, blue and orange are chosen with a contrast of at least 4.1 both on #ffffff and on #0d1117 (the background is
transparent), and are told apart by every common kind of colour blindness; shape says the same as colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREY, BLUE, ORANGE = "#767d87", "#1f7fc0", "#c8590f"
WIDTH, DPI = 8.8, 160  # inches: as wide as GitHub's comments at twice their resolution


def figure(width: float, height: float) -> Figure:
    """An empty transparent figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="none")
