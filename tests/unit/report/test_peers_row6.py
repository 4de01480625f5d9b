"""Rounding, where peers printed `+7.000000000000001pp`, `(+0pp)` for 0.4 points, and −0.0."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.records.result import Check
from mlops_toolkit.report import rows, words

numbers = st.floats(-1e6, 1e6)


def test_seven_hundredths_are_seven_points() -> None:
    """0.07 is +7.0 pp, whatever binary makes of it."""
    assert words.change(0.07, None, None, "fraction") == "+7.0 pp"
    assert words.change(0.14 - 0.07, 0.05, 0.09, "fraction") == "+7.0 pp [+5.0, +9.0]"


@pytest.mark.parametrize(("low", "high"), [(None, None), (-0.002, 0.01), (-0.02, 0.03)])
def test_four_tenths_of_a_point_are_visible(low: float | None, high: float | None) -> None:
    """0.4 pp does not become 0."""
    assert words.change(0.004, low, high, "fraction").startswith("+0.4")


@pytest.mark.parametrize("value", [-0.0, -1e-12, 0.0, -0.0004])
def test_zero_has_no_sign(value: float) -> None:
    """What rounds to zero is 0.0, not −0.0 and not +0.0."""
    assert words.change(value, -0.02, 0.02, "fraction") == "0.0 pp [−2.0, +2.0]"


@given(value=numbers, half=st.floats(1e-6, 1e6), unit=st.sampled_from(["fraction", "", "ms"]))
@settings(deadline=None, max_examples=300)
def test_no_more_digits_than_the_interval_supports(value: float, half: float, unit: str) -> None:
    """The last digit shown is never below the second significant digit of the interval's half-width."""
    low, high = value - half, value + half
    width = words.half(low, high)
    assert width is not None
    text = words.change(value, low, high, unit)
    shown = re.findall(r"\.(\d+)", text.split(" [")[0])
    if shown and "e" not in text:
        assert 10.0 ** -len(shown[0]) * 10 <= width * words.scale(unit) * (1 + 1e-9) * 10
        assert 10.0 ** -len(shown[0]) >= width * words.scale(unit) / 100 * (1 - 1e-9)


@given(value=numbers, low=st.none() | numbers, high=st.none() | numbers, unit=st.sampled_from(["fraction", "", "ms", "bytes"]))
@settings(deadline=None, max_examples=300)
def test_no_number_is_a_negative_zero_or_has_a_hyphen_for_a_minus(value: float, low: float | None, high: float | None, unit: str) -> None:
    """No −0, no -1, no nan, in any unit."""
    for text in (words.change(value, low, high, unit), words.value(value, unit, low=low, high=high), words.margin(value, unit)):
        mantissa = re.sub(r"e[+-]?\d+", "", text)
        assert "-" not in mantissa
        assert not re.search(r"[−+]0(?:\.0+)?(?![\d.,])", mantissa)
        assert "nan" not in mantissa


@given(base=st.floats(0, 1), head=st.floats(0, 1), n=st.integers(10, 10**6))
@settings(deadline=None, max_examples=200)
def test_a_row_agrees_with_itself(base: float, head: float, n: int) -> None:
    """The shown change is the shown difference of the shown values, up to one unit in the last place of each."""
    half = 2 / n**0.5
    row = rows.row(
        Check(
            "accuracy", baseline=base, head=head, change=head - base, low=head - base - half, high=head - base + half, n=n, unit="fraction"
        )
    )
    number = lambda text: float(text.replace("−", "-").replace(",", ""))
    change = number(row.change.split(" ")[0]) / 100
    places = len(row.head.partition(".")[2])
    places_change = len(row.change.split(" ")[0].partition(".")[2]) + 2
    assert abs((number(row.head) - number(row.baseline)) - change) <= 10.0**-places + 0.5 * 10.0**-places_change + 1e-12
