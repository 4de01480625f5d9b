"""What a comparison proposes to paste can be pasted: mlops.yaml accepts it and means the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.proposal import next_steps
from mlops_toolkit.records.result import Check, Result


def read(text: str) -> Config:
    return parse(text, where="mlops.yaml", path=Path("/r/mlops.yaml")).config


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 60).map(lambda n: n / 100) | st.integers(1, 9).map(lambda n: n / 1000),
    st.floats(0.3, 1.0),
    st.sampled_from(["accuracy", "recall:no", "f1:a b"]),
)
def test_a_proposed_margin_is_accepted_however_small_the_test_set_is(margin: float, baseline: float, name: str) -> None:
    check = Check(name, baseline=baseline, head=baseline, suggested=margin, unit="fraction")
    block = next_steps(Result("m", "ungated", "none", "s", checks=(check,)), Config("m"), date(2026, 1, 1)).gate
    assert block is not None
    proposed = read(f"name: m\nevaluate: {{run: e}}\n{block}\n").gate[name].max_drop
    assert proposed is not None
    allowed = proposed.of(baseline)
    assert allowed is not None
    assert margin - 1e-12 <= allowed <= margin + 0.011


def test_what_is_accepted_can_be_pasted_too() -> None:
    check = Check("accuracy", slice="language=de", baseline=0.9, head=0.85, margin=0.01, verdict="fail")
    block = next_steps(Result("m", "fail", "failed", "s", checks=(check,), blocks=True), Config("m"), date(2026, 1, 1)).accept
    assert block is not None
    (accepted,) = read(f"name: m\nevaluate: {{run: e}}\n{block}\n").accepted
    assert accepted.check == "accuracy [language=de]"
    assert accepted.down_to == 0.85
    assert accepted.until == "2026-01-31"
