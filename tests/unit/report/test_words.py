"""Numbers, dates and plurals."""

from __future__ import annotations

import pytest

from mlops_toolkit.report import words


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (words.change(-0.031, -0.044, -0.018, "fraction"), "−3.1 pp [−4.4, −1.8]"),
        (words.change(0.0004, None, None, "fraction"), "+0.04 pp"),
        (words.change(-0.13, -0.3, 0.04, "fraction"), "−13 pp [−30, +4]"),
        (words.change(4.2, 2.1, 6.3, "ms"), "+4.2 ms [+2.1, +6.3]"),
        (words.change(1234567, 1200000, 1300000, ""), "+1,234,567 [+1,200,000, +1,300,000]"),
        (words.change(None, None, None, "fraction"), "n/a"),
        (words.change(0.5, 0.5, 0.5, ""), "+0.5"),
        (words.change(-8_100_000, None, None, "bytes"), "−8.10 MB"),
        (words.change(-0.0333333, None, None, ""), "−0.0333"),
        (words.change(1e-12, None, None, ""), "+1.0e-12"),
        (words.change(-1.9e-10, -1.96e-10, -1.85e-10, ""), "−1.90e-10 [−1.96e-10, −1.85e-10]"),
        (words.value(1.0507e-9, "", low=1.85e-10, high=1.96e-10), "1.05e-09"),
        (words.value(0.97218, "fraction"), "0.9722"),
        (words.value(0.97218, "fraction", low=-0.0005, high=0.0005), "0.97218"),
        (words.value(11_200_000, "parameters"), "11,200,000 parameters"),
        (words.value(44_100_000, "bytes"), "44.1 MB"),
        (words.value(1, "bytes"), "1 byte"),
        (words.value(1.5, "s"), "1.5 s"),
        (words.value(None, "s"), "n/a"),
        (words.value(-0.0, ""), "0"),
        (words.margin(-0.01, "fraction"), "−1.0"),
        (words.margin(-0.0025, "fraction"), "−0.25"),
        (words.margin(4.41, "ms"), "+4.41"),
        (words.margin(10, "ms"), "+10"),
        (words.margin(0.0, "fraction"), "0.0"),
        (words.count(1, "example"), "1 example"),
        (words.count(3, "example"), "3 examples"),
        (words.count(12600, "example"), "12,600 examples"),
        (words.count(2, "entry", "entries"), "2 entries"),
        (words.seconds(0.42), "0.42 s"),
        (words.seconds(59.7), "1 min 00 s"),
        (words.seconds(4320), "1 h 12 min"),
        (words.date("2026-11-24T15:37:00Z"), "24 Nov 2026 15:37 UTC"),
        (words.date("yesterday"), "yesterday"),
        (words.date(None), "n/a"),
        (words.percent(0.95), "95 %"),
        (words.percent(0.995), "99.5 %"),
        (words.listed(["a", "b", "c", "d", "e"]), "a, b, c, +2 more"),
    ],
)
def test_it_reads(got: str, wanted: str) -> None:
    """Each number as a person would write it."""
    assert got == wanted
