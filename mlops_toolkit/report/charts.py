"""Pictures of a result, by matplotlib: the same result gives the same bytes, legible on a white page and on a dark one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import forest, panels
from mlops_toolkit.report.drawing import GREY
from mlops_toolkit.report.findings import TITLES, findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A picture: `alt` states what it shows, with numbers; png is its file."""

    name: str
    title: str
    alt: str
    png: bytes


def charts(result: Result) -> tuple[Chart, ...]:
    """The charts that the result has numbers for, the most important first: changes, confusion, curves, history."""
    drawers: dict[str, Callable[[Result], Figure | None]] = {
        "changes": forest.changes,
        "confusion": panels.confusion,
        "curves": panels.curves,
        "history": panels.history,
    }
    made = []
    for name, alt in findings(result).items():
        with _style():
            figure = drawers[name](result)
            if figure is not None:
                made.append(Chart(name, TITLES[name], alt, _png(figure)))
    return tuple(made)


def drawn(draw: Callable[[], Figure]) -> bytes:
    """One picture in the style of the others, as PNG."""
    with _style():
        return _png(draw())


@contextmanager
def _style() -> Iterator[None]:
    """matplotlib as it is delivered, whatever the user's matplotlibrc says, but for these; labels are never read as formulas."""
    import matplotlib

    ours = {
        "text.parse_math": False,
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "axes.edgecolor": GREY,
        "axes.linewidth": 0.6,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.formatter.useoffset": False,
        "axes.unicode_minus": True,
        "svg.hashsalt": "mlops",
    }
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.filterwarnings("ignore", message=r"(?s).*[Gg]lyph.*missing")  # DejaVu has not every script
        warnings.filterwarnings("ignore", message=r"(?s).*Matplotlib currently does not support")
        defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith(("backend", "interactive", "toolbar"))}
        settings: dict[Any, Any] = {**defaults, **ours}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some defaults of some versions are deprecated
            matplotlib.rcParams.update(settings)
        yield


def _png(figure: Figure) -> bytes:
    """The picture in a palette of 128 colours with transparency: a third of the bytes, kept for ever in a history branch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    out = BytesIO()
    picture = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    picture.quantize(128, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return out.getvalue()
