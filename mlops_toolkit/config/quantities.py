"""What a person writes with a unit, and the metadata that every key of mlops.yaml carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["higher", "lower"]
NUMBER = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?$"


def doc(text: str, *, example: str | None = None, **more: Any) -> dict[str, Any]:
    """Field metadata."""
    return {"doc": text, **({"example": example} if example else {}), **more}


@dataclass(frozen=True)
class Margin:
    """How much worse is allowed. `text` is as written; `value` ≥ 0 is in the metric's unit, or a share of |baseline| if `relative`."""

    text: str
    value: float
    relative: bool = False

    PATTERN = re.compile(r"^\s*(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)\s*(?P<unit>pp|%)?\s*$")

    @classmethod
    def parse(cls, text: str) -> Margin:
        """`0.01`, `1pp` (= 0.01) or `2%` (of |baseline|). Anything else is a ValueError that says so."""
        match = cls.PATTERN.match(text)
        if not match:
            raise ValueError(
                f'"{text}" is not a margin: write 1pp (percentage points), 2% (of the baseline) or a number in the metric\'s unit'
            )
        number = float(match["number"])
        return cls(text.strip(), number / 100 if match["unit"] else number, match["unit"] == "%")

    def of(self, baseline: float | None) -> float | None:
        """The margin in the metric's unit; None where it is relative and there is no baseline to be relative to."""
        if not self.relative:
            return self.value
        return None if baseline is None else self.value * abs(baseline)


@dataclass(frozen=True)
class Duration:
    """A length of time, written `90s`, `30m`, `6h`, `2d`."""

    text: str
    seconds: float

    PATTERN = re.compile(r"^\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>s|m|h|d)\s*$")

    @classmethod
    def parse(cls, text: str) -> Duration:
        """`90s`, `30m`, `6h`, `2d`. Anything else is a ValueError that says so."""
        match = cls.PATTERN.match(text)
        if not match:
            raise ValueError(f'"{text}" is not a length of time: write 90s, 30m, 6h or 2d')
        return cls(text.strip(), float(match["number"]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match["unit"]])
