"""Numbers, dates and plurals as people read them: never more digits than an interval supports, a true minus sign, no −0.0.

A half-width h of an interval supports the digits down to its second significant one: ±1.3 pp supports 0.1 pp. Numbers
without an interval show four significant digits, changes without one two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone

from mlops_toolkit.report.escape import clean

MINUS = "−"
MOST_DECIMALS = 8
FEW_LEFT = 10.0 ** (2 - MOST_DECIMALS)  # below, so many decimals leave less than three digits
NOTHING = "n/a"
_BYTES = ("bytes", "B")


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 example`, `3 examples`, `12,600 examples`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}".replace("-", MINUS)


def decimals_of(half_width: float | None, *, least: int = 0) -> int | None:
    """How many decimals an interval of this half-width supports (two significant digits); None where there is no interval."""
    if half_width is None or not math.isfinite(half_width) or half_width <= 0:
        return None
    return min(max(1 - math.floor(math.log10(half_width)), least), MOST_DECIMALS)


def significant(value: float, digits: int) -> int:
    """How many decimals show `value` with this many significant digits."""
    return 0 if value == 0 else min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), MOST_DECIMALS)


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """`value` with this many decimals, thousands separated; `sign` adds + to what is above 0. Zero after rounding has no sign."""
    text = f"{abs(value):.1e}" if abs(value) >= 1e15 else f"{abs(value):,.{decimals}f}"
    if decimals >= MOST_DECIMALS and 0 < abs(value) < FEW_LEFT:
        text = f"{abs(value):.2e}"
    if not any(c in "123456789" for c in text):
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def trimmed(value: float, digits: int = 4, *, sign: bool = False) -> str:
    """`value` to so many significant digits without trailing zeros: a number somebody wrote, shown as they wrote it."""
    if 0 < abs(value) < 0.5 * 10.0**-MOST_DECIMALS:
        return (MINUS if value < 0 else "+" if sign else "") + f"{abs(value):.1e}"
    text = fixed(value, significant(value, digits), sign=sign)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def suffix(unit: str) -> str:
    """What stands behind a change in this unit: ` pp` for fractions, nothing for plain numbers and bytes (whose number has it), else the word."""
    if unit in _BYTES:
        return ""
    return " pp" if unit == "fraction" else f" {clean(unit, 16)}" if unit else ""


def scale(unit: str) -> float:
    """What a change is multiplied with to be shown: 100 for fractions (percentage points)."""
    return 100.0 if unit == "fraction" else 1.0


def half(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval; None where there is none."""
    return None if low is None or high is None else (high - low) / 2


def change_decimals(low: float | None, high: float | None, unit: str) -> int | None:
    """Decimals a change is shown with, in its shown unit (percentage points for fractions); None without an interval."""
    width = half(low, high)
    return decimals_of(None if width is None else width * scale(unit))


def alone(value: float, low: float | None, high: float | None, unit: str) -> str:
    """A change with its unit and without its interval, which yet limits its digits: `−3.1 pp`, `+1.5 MB`."""
    if unit in _BYTES:
        text = size(abs(value))
        return text if text.startswith("0 ") else f"{MINUS if value < 0 else '+'}{text}"
    decimals = change_decimals(low, high, unit)
    if decimals is not None:
        return fixed(value * scale(unit), decimals, sign=True) + suffix(unit)
    return (_points(value * 100, 2) if unit == "fraction" else trimmed(value, 3, sign=True)) + suffix(unit)


def change(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """`−3.1 pp [−4.4, −1.8]`, `+0.4 pp`, `+4.2 ms [+2.1, +6.3]`; `n/a` where there is none."""
    if value is None:
        return NOTHING
    shown = alone(value, low, high, unit)
    if low is None or high is None or low == high:
        return shown
    return f"{shown} [{bound(low, low, high, unit)}, {bound(high, low, high, unit)}]"


def bound(end: float, low: float, high: float, unit: str) -> str:
    """One end of an interval, without its unit."""
    return alone(end, low, high, unit).removesuffix(suffix(unit))


def margin(value: float, unit: str, *, sign: bool = True, digits: int = 3) -> str:
    """A margin, signed as it is meant (`−1.0`, `+10`), without its unit. Percentage points have at least one decimal."""
    if unit in _BYTES:
        return alone(value, None, None, unit) if sign else size(value)
    return _points(value * 100, digits, sign=sign) if unit == "fraction" else trimmed(value, digits, sign=sign)


def _points(value: float, digits: int, *, sign: bool = True) -> str:
    text = trimmed(value, digits, sign=sign)
    return fixed(value, 1, sign=sign) if "." not in text and "e" not in text else text


def value(number: float | None, unit: str, *, low: float | None = None, high: float | None = None) -> str:
    """A metric's or measure's value: `0.9412`, `12,600`, `44.1 ms`, `1.2 GB`. low, high: an interval that limits its digits.

    Fractions have 4 decimals where the interval allows (then the change in percentage points can be read off them).
    """
    if number is None:
        return NOTHING
    if unit in _BYTES:
        return size(number)
    supported = decimals_of(half(low, high))
    if unit == "fraction":
        return fixed(number, 4 if supported is None else min(supported, 6) if supported > 4 else min(supported + 1, 4))
    word = suffix(unit)
    if supported is not None:
        return fixed(number, supported) + word
    if number == int(number) and abs(number) < 1e15:
        return fixed(number, 0) + word
    return trimmed(number) + word


def size(number: float) -> str:
    """Bytes in decimal units: `512 bytes`, `1.5 kB`, `44.1 MB`."""
    units = ("kB", "MB", "GB", "TB", "PB")
    if abs(number) < 1000:
        return f"{fixed(number, 0)} {'byte' if abs(number) == 1 else 'bytes'}"
    power = min(int(math.log10(abs(number)) // 3), len(units))
    shown = number / 1000**power
    return f"{fixed(shown, significant(shown, 3))} {units[power - 1]}"


def seconds(number: float) -> str:
    """A length of time: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if number < 10:
        return f"{trimmed(number, 2)} s"
    whole = round(number)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def date(text: str | None) -> str:
    """`24 Nov 2026 15:37 UTC` for an ISO time; the text itself where it is not one."""
    if not text:
        return NOTHING
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{moment.day} {months[moment.month - 1]} {moment.year} {moment.hour:02d}:{moment.minute:02d} UTC"


def short(commit: str | None) -> str:
    """A commit as people write it: its first seven characters."""
    return (commit or "")[:7]


def percent(part: float) -> str:
    """A share as a whole percentage: `95 %`; a fraction of one is kept (`99.5 %`), and what is not all of it is not called so (`99.955 %`)."""
    rest = 100 * (1 - part)
    if 0 < rest < 1:
        return f"{part * 100:.{1 - math.floor(math.log10(rest))}f}".rstrip("0") + " %"
    return f"{trimmed(part * 100, 3)} %"


def listed(parts: Sequence[str], *, most: int = 3, noun: str = "more") -> str:
    """`a, b, c, +2 more`."""
    rest = len(parts) - most
    return ", ".join([*parts[:most], *([f"+{rest} {noun}"] if rest > 0 else [])])
