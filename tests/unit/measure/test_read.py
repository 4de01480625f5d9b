"""What a measured command prints: numbers and JSON count, the rest is talk."""

from __future__ import annotations

import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.measure.read import by_name, numbers


def test_numbers_lists_and_objects_count_and_talk_does_not() -> None:
    text = 'loading…\n12.5\n[1, 2e1]\n{"tokens-per-second": [80, 81], "latency-ms": 3}\n"4"\ntrue\nnull\n12 ms\n'
    assert numbers(text, "latency-ms") == {"latency-ms": [12.5, 1.0, 20.0, 3.0], "tokens-per-second": [80.0, 81.0]}


@pytest.mark.parametrize("line", ["NaN", "[1, Infinity]", '{"latency-ms": null}', '{"latency-ms": "3"}', "[[1]]", "1e999"])
def test_what_is_no_number_is_refused(line: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        numbers(line, "latency-ms")
    assert caught.value.name == "not-a-number"


def test_runs_are_put_together_in_their_order() -> None:
    made = by_name([["1\n2", "3\n4"], ["5\n6", "7\n8"]], "x")
    assert made == {"x": ([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], 2)}


@pytest.mark.parametrize(
    ("runs", "name"),
    [
        ([["1"], ["nothing"]], "no-numbers"),
        ([["[]"]], "no-numbers"),
        ([["1"], ["1\n2"]], "uneven-numbers"),
        ([["1", '{"y": 1}']], "uneven-numbers"),
    ],
)
def test_a_run_without_numbers_or_with_another_count_is_refused(runs: list[list[str]], name: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        by_name(runs, "x")
    assert caught.value.name == name
