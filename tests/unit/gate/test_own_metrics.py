"""Metrics that are programs, judged by what both records hold of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.records.result import Check, Result, Side
from mlops_toolkit.records.run import MetricValue, Model, Run
from tests.unit.gate.drawn import TODAY, config

OWN = "evaluate: {run: x, metrics: [{python: 'metrics.py:cost', better: lower, unit: eur}]}\n"
GATED = OWN + "gate: {cost: {max-rise: 0.5, slices: {max-rise: 2}}}\n"


def request(text: str, *, base: str | None = None, forks_gate: bool = False) -> Request:
    return Request(config(text), Side(label="main"), Side(label="this PR"), TODAY, config(base) if base else None, forks_gate)


def value(mean: float, seed: int, *, signature: str = "python:cost@1", groups: str = "100:a", spread: float = 0.01) -> MetricValue:
    left = mean + spread * np.random.default_rng(seed).standard_normal(100)
    return MetricValue(mean, 1000, signature, "lower", 0.1, "ok", tuple(map(float, left)), groups)


def side(one: MetricValue | None, name: str = "1", slices: Mapping[str, MetricValue] | None = None) -> Loaded:
    run = Run(id=f"20260101-000000-{name:0>6}", model="pets", metrics={"cost": one} if one else {})
    return Loaded("x", run=replace(run, slices={k: {"cost": v} for k, v in (slices or {}).items()}), scalars=run.metrics)


def check(result: Result, slice_name: str | None = None) -> Check:
    return next(one for one in result.checks if one.metric == "cost" and one.slice == slice_name)


def test_it_passes_and_fails_by_the_interval_of_what_is_left_out() -> None:
    base = side(value(10, 1))
    same, worse = (assemble(request(GATED), base, side(value(v, 2), "2")) for v in (10.0, 13.0))
    assert (check(same).verdict, check(same).method, check(same).unit) == ("pass", "jackknife", "eur")
    assert (check(worse).verdict, worse.exit) == ("fail", 1)
    assert not any("noise not tested" in note for note in same.notes), "it is no bare number"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"signature": "python:cost@2"}, "metric-redefined"), ({"groups": "100:b"}, "data-changed"), ({"groups": "20:a"}, "data-changed")],
)
def test_another_program_or_other_examples_are_never_compared(change: dict[str, str], reason: str) -> None:
    result = assemble(request(GATED), side(value(10, 1)), side(value(5, 2, **change), "2"))
    assert (check(result).verdict, check(result).reason, check(result).change) == ("inconclusive", reason, None)
    assert result.exit == 3


def test_a_stranger_never_passes_by_it() -> None:
    result = assemble(request(OWN, base=GATED, forks_gate=True), side(value(10, 1)), side(value(5, 2), "2"))
    assert (check(result).verdict, check(result).reason, result.exit) == ("inconclusive", "own-metric", 3)
    alone = OWN + "gate: {cost: {max: 50}}\n"
    result = assemble(request(alone, base=alone, forks_gate=True), side(value(10, 1)), side(value(5, 2), "2"))
    assert (check(result).verdict, result.exit) == ("inconclusive", 3)


def test_the_base_branch_says_what_is_allowed_and_which_way_is_better() -> None:
    looser = OWN.replace("better: lower", "better: higher")
    result = assemble(request(looser, base=GATED), side(value(10, 1)), side(value(13, 2), "2"))
    assert result.exit == 1
    with pytest.raises(InvalidFile, match="cost"):
        assemble(request("evaluate: {run: x, metrics: [accuracy]}\n", base=GATED), side(value(10, 1)), side(None, "2"))


def test_slices_limits_and_a_first_run() -> None:
    base = side(value(10, 1), slices={"de": value(10, 3), "en": value(10, 5)})
    head = side(value(10, 2), "2", slices={"de": value(15, 4), "en": value(10, 6)})
    result = assemble(request(GATED), base, head)
    assert (check(result, "de").verdict, check(result, "en").verdict) == ("fail", "pass")
    first = assemble(request(GATED), None, side(value(10, 1)))
    assert (check(first).verdict, first.exit) == ("ungated", 0)
    text = OWN + "gate: {cost: {max: 9}}\n"
    assert assemble(request(text), None, side(value(10, 1))).exit == 1


def test_no_value_is_in_doubt_and_the_same_model_is_no_change() -> None:
    nothing = MetricValue(None, 1000, "python:cost@1", "lower", None, "undefined", (), "100:a")
    result = assemble(request(GATED), side(value(10, 1)), side(nothing, "2"))
    assert (check(result).verdict, check(result).reason) == ("inconclusive", "undefined")
    base, head = side(value(10, 1)), side(value(10, 1), "2")
    model = Model("sha256:1", 1, "model")
    base, head = (replace(one, run=replace(one.run, trained=model)) for one in (base, head))  # type: ignore[type-var]
    assert check(assemble(request(GATED), base, head)).verdict == "pass"
