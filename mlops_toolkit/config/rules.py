"""What `gate:` and `accepted:` of mlops.yaml say: what is allowed of one metric, and what was said yes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.quantities import Better, Margin, doc

WhenUncertain = Literal["ask", "warn", "fail"]
SeverityLevel = Literal["gate", "warn", "info"]


@dataclass(frozen=True)
class SliceRule:
    """What is allowed on each slice of a metric."""

    max_drop: Margin | None = field(default=None, metadata=doc("How much lower than the baseline is allowed.", example="3pp"))
    max_rise: Margin | None = field(default=None, metadata=doc("How much higher than the baseline is allowed.", example="5%"))
    min: float | None = field(default=None, metadata=doc("The least allowed value."))
    max: float | None = field(default=None, metadata=doc("The largest allowed value."))
    must: Literal["pass"] | None = field(
        default=None, metadata=doc("`pass`: each slice must be shown not worse, not merely not shown worse.")
    )
    min_examples: int | None = field(
        default=None, metadata=doc("Slices of fewer examples are listed as too small, and not judged.", example="200", least=1)
    )


@dataclass(frozen=True)
class GapRule:
    """How far apart the groups of one column may be in a metric."""

    max: Margin | None = field(
        default=None, metadata=doc("The largest allowed difference between any two groups; `sex: 5pp` says it alone.", example="5pp")
    )
    max_rise: Margin | None = field(
        default=None, metadata=doc("How much further apart than on the baseline any two groups may be.", example="1pp")
    )
    min_examples: int | None = field(
        default=None,
        metadata=doc("Groups of fewer examples are named and left out. Default: that of `slices`.", example="200", least=1),
    )


@dataclass(frozen=True)
class AgainstRule:
    """What is allowed against another baseline than main's: the last release, or a pinned run."""

    max_drop: Margin | None = field(default=None, metadata=doc("How much lower than that baseline is allowed.", example="2pp"))
    max_rise: Margin | None = field(default=None, metadata=doc("How much higher than that baseline is allowed.", example="10%"))


@dataclass(frozen=True)
class WarnRule:
    """Bounds that are shown where they are broken, and never block."""

    max_drop: Margin | None = field(default=None, metadata=doc("How much lower than the baseline is no warning.", example="0.5pp"))
    max_rise: Margin | None = field(default=None, metadata=doc("How much higher than the baseline is no warning.", example="5%"))
    improve_by: Margin | None = field(default=None, metadata=doc("How much better than the baseline it should be.", example="1pp"))
    max_gain: Margin | None = field(default=None, metadata=doc("A larger improvement is suspicious.", example="5pp"))
    min: float | None = field(default=None, metadata=doc("The least value without a warning."))
    max: float | None = field(default=None, metadata=doc("The largest value without a warning."))


@dataclass(frozen=True)
class Rule:
    """What is allowed of one metric or measure."""

    max_drop: Margin | None = field(
        default=None, metadata=doc("How much lower than the baseline is allowed: 1pp, 2% of the baseline, or a number.", example="1pp")
    )
    max_rise: Margin | None = field(default=None, metadata=doc("How much higher than the baseline is allowed.", example="10%"))
    improve_by: Margin | None = field(
        default=None,
        metadata=doc("How much better than the baseline it must be shown to be: 1pp, 2% of the baseline, or a number.", example="1pp"),
    )
    max_gain: Margin | None = field(
        default=None,
        metadata=doc(
            "An improvement shown to be larger than this is suspicious (a leak of the test data, a changed test) and fails.", example="10pp"
        ),
    )
    min: float | None = field(default=None, metadata=doc("The least allowed value.", example="0.80"))
    max: float | None = field(default=None, metadata=doc("The largest allowed value.", example="50"))
    better: Better | None = field(default=None, metadata=doc("For a measure whose direction its name does not tell."))
    slices: SliceRule | None = field(default=None, metadata=doc("What is allowed on each slice.", example="{max-drop: 3pp}"))
    gap: Mapping[str, GapRule] = field(
        default_factory=dict, metadata=doc("How far apart the groups of a column may be, by column.", example="{sex: 5pp}")
    )
    against: Mapping[str, AgainstRule] = field(
        default_factory=dict,
        metadata=doc(
            "Margins of its own against `release` or a pinned run, where they are not the same.", example="{release: {max-drop: 2pp}}"
        ),
    )
    warn: WarnRule | None = field(default=None, metadata=doc("Bounds that only warn.", example="{max-drop: 0.5pp}"))
    severity: SeverityLevel = field(default="gate", metadata=doc("`gate` blocks, `warn` and `info` only show."))


@dataclass(frozen=True)
class Accepted:
    """A regression somebody said yes to: bound to a value, until a day, with a reason."""

    check: str = field(metadata=doc("The metric, `metric [slice]`, or `gate` for a loosened gate.", example="accuracy"))
    reason: str = field(metadata=doc("Why; shown in the comment.", example="new label set"))
    down_to: float | None = field(
        default=None,
        metadata=doc(
            "The worst value that is accepted of a metric that should be high; of one that should be low, the best (a gain beyond `max-gain`).",
            example="0.941",
        ),
    )
    up_to: float | None = field(
        default=None,
        metadata=doc(
            "The worst value that is accepted of a metric that should be low; of one that should be high, the best (a gain beyond `max-gain`)."
        ),
    )
    until: str | None = field(default=None, metadata=doc("The last day it counts, YYYY-MM-DD.", example="2026-12-31", holds="day"))
