"""A metric or measure that is called like the gate, or like a check that another metric has, is refused in one clear error."""

from __future__ import annotations

import pytest

from mlops_toolkit.errors import ConfigErrors
from tests.unit.gate.drawn import config

EVALUATE = "evaluate: {run: x, metrics: [accuracy"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gate: {gate: {max-drop: 1, better: higher}}\n", "cannot be called gate"),
        ("measures: {gate: lower}\n", "cannot be called gate"),
        (EVALUATE + ", {mean: gate, better: lower}]}\n", "cannot be called gate"),
        (EVALUATE + ", {python: 'm.py:cost', name: 'accuracy gap [sex]', better: lower}]}\n", '"accuracy gap [sex]"'),
        ("gate: {'accuracy gap [sex]': {max: 0.1, better: lower}}\n", '"accuracy gap [sex]"'),
        ("gate: {'accuracy [language=de]': {max-drop: 1pp, better: higher}}\n", '"accuracy [language=de]"'),
        ("measures: {'accuracy against release': higher}\n", '"accuracy against release"'),
    ],
)
def test_it_is_refused_with_its_place(text: str, named: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        config(text)
    found = [problem for problem in caught.value.problems if problem.name == "invalid-name"]
    assert len(found) == len(caught.value.problems) == 1
    assert named in found[0].message
    assert (found[0].where or "").startswith("mlops.yaml:")


@pytest.mark.parametrize(
    "text",
    [
        "evaluate: {run: x, metrics: ['recall:a [b]']}\ngate: {'recall:a [b]': {max-drop: 1pp}}\n",
        "evaluate: {run: x, metrics: [{mean: gate, name: gates, better: lower}]}\n",
        "evaluate: {suites: {safety: {run: x, metrics: [{mean: length, name: gate, better: lower}]}}}\n",
        "gate: {'gates per second': {max-drop: 1, better: higher}}\n",
    ],
)
def test_what_cannot_be_mistaken_is_a_name_like_any_other(text: str) -> None:
    config(text)
