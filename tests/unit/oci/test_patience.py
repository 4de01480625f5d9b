"""How often and how long a registry is asked again."""

from __future__ import annotations

import random
from datetime import datetime, timezone

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.patience import Patience, Stumbled, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:05", 5.0),
        ("soon", None),
        ("", None),
        ("9" * 5000, 999_999_999_999.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, lambda: NOW) == seconds


def test_waits_grow_differ_and_end() -> None:
    def waits(seed: int) -> list[float]:
        slept: list[float] = []
        patience = Patience(slept.append, tries=8, rng=random.Random(seed))
        with pytest.raises(EnvironmentFailure, match="asking failed: nothing came"):
            patience.persist(lambda: (_ for _ in ()).throw(Stumbled("nothing came")), "asking")
        return slept

    one, other = waits(1), waits(2)
    assert len(one) == 7
    assert one != other
    assert all(min(15, 0.25 * 2**n) <= wait <= min(30, 0.5 * 2**n) for n, wait in enumerate(one, 1))


def test_all_waits_together_are_bounded() -> None:
    slept: list[float] = []
    patience = Patience(slept.append, seconds=100)
    for _ in range(3):
        patience.wait(Stumbled("busy", 30), "asking")
        patience.progress()
    with pytest.raises(EnvironmentFailure):
        patience.wait(Stumbled("busy", 30), "asking")
    assert sum(slept) <= 100


def test_a_negative_wait_is_none() -> None:
    slept: list[float] = []
    Patience(slept.append).wait(Stumbled("busy", -5), "asking")
    assert 0 < slept[0] < 1
