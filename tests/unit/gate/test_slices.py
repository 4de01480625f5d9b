"""Slices of a comparison: which are judged, which are too small for it, and whose word counts on that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.records.result import Result
from mlops_toolkit.report import rows
from tests.unit.gate.drawn import request, run, side
from tests.unit.gate.test_assemble import check, shifted

TEXT = "evaluate: {run: x, metrics: [accuracy], slices: [language]}\ngate: {accuracy: {max-drop: 9pp, slices: {max-drop: 3pp, MORE}}}\n"


def said(more: str) -> str:
    return TEXT.replace("MORE", more)


def sliced(broken: int, small: int = 150) -> dict[str, Any]:
    """2,000 examples, `small` of them in German, of which the first so many are broken."""
    return {**shifted(1900, 100, broken), "language": ["de" if i < small else "en" for i in range(2000)]}


def judged(text: str, broken: int = 60, **more: Any) -> Result:
    return assemble(request(text, **more), side(sliced(0)), side(sliced(broken)))


def test_a_slice_below_min_examples_is_listed_and_not_judged() -> None:
    without = judged(said("min-examples: 150"))
    assert (check(without, slice_name="language=de").verdict, without.exit) == ("fail", 1)
    result = judged(said("min-examples: 151"))
    small = check(result, slice_name="language=de")
    assert (small.verdict, small.reason) == ("inconclusive", "too-small")
    assert small.needs is not None
    assert (small.needs.n or 0) >= 151
    assert small.message == "150 examples are fewer than the 151 of min-examples"
    assert check(result, slice_name="language=en").verdict == "pass"
    assert (result.verdict, result.exit) == ("pass", 0)
    assert sum(rows.is_small_slice(c) for c in result.checks) == 1


def test_a_slice_too_small_to_be_judged_does_not_pass_either() -> None:
    result = judged(said("min: 0.5, min-examples: 500"), broken=0)
    assert check(result, slice_name="language=de").reason == "too-small"
    assert check(result, slice_name="language=en").verdict == "pass"


@pytest.mark.parametrize("broken", [0, 60])
def test_a_slice_that_must_pass_blocks_where_it_is_too_small(broken: int) -> None:
    result = judged(said("must: pass, min-examples: 500"), broken=broken)
    assert (result.verdict, result.exit) == ("inconclusive", 3)
    yes = judged(said("must: pass, min-examples: 500") + (result.next.accept or ""), broken=broken)
    assert (yes.gate, yes.exit) == ("passed", 0)


def test_the_base_branchs_smaller_number_counts() -> None:
    result = judged(said("min-examples: 500"), base=said("min-examples: 100"))
    assert check(result, slice_name="language=de").verdict == "fail"
    assert result.notes[0] == "gate loosened: accuracy slices 3pp from 100 examples → 3pp from 500 examples"
    assert judged(said("min-examples: 500"), base=said("min: 0.1")).exit == 1
    assert judged(said("min-examples: 100"), base=said("min-examples: 500")).exit == 1, "a stricter one is no loosening"
    assert judged(said("min-examples: 1"), base=said("min-examples: 500"), forks_gate=True).exit == 0, "a fork has no say"


def test_beside_the_same_model_no_slice_is_too_small() -> None:
    text = said("must: pass, min-examples: 500")
    result = assemble(request(text), side(sliced(0), run=run("m")), side(sliced(0), run=run("m")))
    assert (result.verdict, result.exit) == ("pass", 0)


def test_on_a_first_run_margins_wait_whatever_the_size() -> None:
    result = assemble(request(said("must: pass, min-examples: 500"), state="first-run"), None, side(sliced(0)))
    assert result.exit == 0
    assert check(result, slice_name="language=de").reason == "first-run"


def test_a_value_that_only_one_side_has_is_a_slice_as_the_head_says() -> None:
    base, head = sliced(0), sliced(60)
    base["language"] = ["fr"] * 2000
    result = assemble(request(said("min: 0.1")), side(base), side(head))
    assert sorted(c.slice for c in result.checks if c.slice) == ["language=de", "language=en"]
    assert check(result, slice_name="language=de").verdict == "fail"
    without = {name: values for name, values in base.items() if name != "language"}
    assert assemble(request(said("min: 0.1")), side(without), side(head)).checks == result.checks


@pytest.mark.slow
def test_of_twenty_slices_that_lie_exactly_on_their_min_one_fails_seldom() -> None:
    draw, many, size, times, failed = np.random.default_rng(0), 20, 200, 80, 0
    text = "evaluate: {run: x, metrics: [accuracy], slices: [part]}\ngate: {accuracy: {slices: {min: 0.9}}}\n"
    target = ["cat" if i % 2 else "dog" for i in range(many * size)]
    for _ in range(times):
        wrong = draw.random(many * size) < 0.1
        prediction = [{"cat": "dog", "dog": "cat"}[t] if w else t for t, w in zip(target, wrong, strict=True)]
        head = side({"target": target, "prediction": prediction, "part": [f"p{i % many:02}" for i in range(many * size)]})
        failed += assemble(request(text), None, head).exit == 1
    assert failed / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5
