"""What goes in is held against the signature, every difference in a sentence of its own; nothing is cast that would change a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_toolkit.formats.signature import NUMPY, Tensor, cast, described, dtype_of, problems

AGE, TEXT = Tensor("age", "FP32", (None, 3)), Tensor("text", "BYTES", (None,))


def test_an_example_describes_its_own_shape_and_only_the_first_axis_is_free() -> None:
    made = described(
        {"x": np.zeros((5, 3, 2), np.float32), "text": np.array(["a"] * 5)}, dynamic={"x": [2]}, units={"x": "mm"}, labels={"x": ["a", "b"]}
    )
    assert made == (Tensor("x", "FP32", (None, 3, None), "mm", ("a", "b")), Tensor("text", "BYTES", (None,)))
    assert made[0].text == "FP32 [any, 3, any]"


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"age": np.zeros((2, 3), np.float32), "text": np.array(["a", "b"], object)}, []),
        ({"age": np.zeros((2, 3), np.float32)}, ['the input "text" is missing: BYTES [any]']),
        (
            {"age": np.zeros((2, 4), np.float64), "text": np.array(["a"] * 3, object), "id": np.zeros(2)},
            [
                'there is no input "id" (inputs: age, text)',
                'the input "age" is FP32, not FP64',
                'axis 1 of the input "age" is 3 long, not 4: FP32 [any, 3]',
                "the inputs hold different numbers of examples: age 2, text 3",
            ],
        ),
        ({"age": np.zeros(3, np.float32), "text": np.array(["a"] * 3, object)}, ['the input "age" has 2 axes, not 1: FP32 [any, 3]']),
    ],
)
def test_every_difference_is_a_sentence(given_: dict[str, Any], said: list[str]) -> None:
    assert problems(given_, (AGE, TEXT)) == said


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(st.sampled_from([np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64]), st.integers(0, 6)),
    st.sampled_from(sorted(NUMPY)),
)
def test_casting_changes_no_value_beyond_rounding(array: Any, wanted: str) -> None:
    made = cast(array, Tensor("x", wanted, (None,)))
    if made is None:
        return
    assert dtype_of(made) == wanted
    if made.dtype.kind == "f":
        precision = np.finfo(made.dtype)
        with np.errstate(all="ignore"):
            near = np.isclose(
                made.astype(np.float64), array.astype(np.float64), rtol=float(precision.eps), atol=float(precision.tiny), equal_nan=True
            )
        assert near.all()
        assert (np.isfinite(made) == np.isfinite(array.astype(np.float64))).all()
    else:
        assert (made == array).all()


def test_a_number_that_does_not_fit_is_not_cast() -> None:
    assert cast(np.array([300]), Tensor("x", "UINT8", (None,))) is None
    assert cast(np.array([1e300]), Tensor("x", "FP32", (None,))) is None
    assert cast(np.array([1.5]), Tensor("x", "INT64", (None,))) is None
    assert cast(np.array(["1"]), Tensor("x", "FP32", (None,))) is None
