"""What choosing the best of several is worth: against the tables, and against choosing."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from mlops_toolkit.stats.best_of import expected_maximum, flattery


@pytest.mark.parametrize(
    ("n", "wanted"),
    [
        (1, 0.0),
        (2, 1 / math.sqrt(math.pi)),
        (3, 1.5 / math.sqrt(math.pi)),
        (5, 1.16296447364),
        (10, 1.53875273084),
        (20, 1.86747505979),
        (100, 2.50759363939),
    ],
)
def test_the_expected_maximum_is_that_of_the_tables(n: int, wanted: float) -> None:
    """Harter, Biometrika 48 (1961), table 1; of two and three there is a closed form."""
    assert expected_maximum(n) == pytest.approx(wanted, abs=2e-8)


def test_it_goes_on_growing_for_any_count() -> None:
    found = [expected_maximum(10**k) for k in range(13)]
    assert all(a < b < a + 1.6 for a, b in pairwise(found))
    assert all(value < math.sqrt(2 * k * math.log(10)) for k, value in enumerate(found) if k)


def test_the_best_of_equally_good_models_looks_that_much_better() -> None:
    """Fifty models that are right with 0.9 each, independently, on 2,000 examples; the best of them on average."""
    draws = np.random.default_rng(4).binomial(2000, 0.9, size=(4000, 50)) / 2000
    error = math.sqrt(0.9 * 0.1 / 2000)
    assert draws.max(axis=1).mean() - 0.9 == pytest.approx(flattery(50, error), rel=0.03)
