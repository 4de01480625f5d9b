"""The gate as a whole is wrong as seldom as it says: a part of benchmarks/whole_gate.py, with seeds of its own."""

from __future__ import annotations

import pytest

from benchmarks.calibration import three_errors
from benchmarks.whole_gate import Question, answered, questions


@pytest.mark.slow
@pytest.mark.parametrize("question", list(questions()), ids=lambda question: question.name)
def test_the_gate_as_a_whole_is_seldom_wrong(question: Question) -> None:
    times = 60 if "20 slices" in question.name else 400
    assert answered(question, times, seed=41) <= question.most + three_errors(question.most, times)
