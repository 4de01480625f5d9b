"""Signatures of every kind of model, and values that fit them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor

LABELS = ("ham", "spam")
CLASSES = (Tensor("label", "INT64", (None,), labels=LABELS), Tensor("probability", "FP32", (None, 2), labels=LABELS))
FRAME = Signature(
    (Tensor("age", "INT64", (None,)), Tensor("income", "FP64", (None,), "EUR", missing=True), Tensor("job", "BYTES", (None,))), CLASSES
)
MATRIX = Signature((Tensor("x", "FP32", (None, 3), "mm", ("length", "width", "height")),), CLASSES)
TEXT = Signature((Tensor("text", "BYTES", (None,)),), (Tensor("label", "BYTES", (None,)), Tensor("score", "FP64", (None,))))
PICTURE = Signature((Tensor("file", "BYTES", (None,), files=True),), (Tensor("boxes", "FP32", (None, None, 4)),))
TOKENS = Signature((Tensor("ids", "INT64", (None, None)), Tensor("mask", "BOOL", (None, None))), (Tensor("logits", "FP32", (None, 5)),))
ALL = {"frame": FRAME, "matrix": MATRIX, "text": TEXT, "picture": PICTURE, "tokens": TOKENS}

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def values(draw: Any, signature: Signature) -> dict[str, Any]:
    """Arrays that fit the inputs: rows in step, every free axis of some length."""
    rows = draw(st.integers(1, 4))
    made = {}
    for tensor in signature.inputs:
        shape = (rows, *(draw(st.integers(1, 4)) if length is None else length for length in tensor.shape[1:]))
        made[tensor.name] = _array(draw, tensor, shape)
    return made


def _array(draw: Any, tensor: Tensor, shape: tuple[int, ...]) -> Any:
    if tensor.dtype != "BYTES":
        kind = np.dtype(NUMPY[tensor.dtype])
        more = {"allow_nan": tensor.missing, "allow_infinity": False} if kind.kind == "f" else {}
        return draw(arrays.arrays(kind, shape, elements=arrays.from_dtype(kind, **more)))
    count = int(np.prod(shape))
    array = np.empty(count, object)
    array[:] = draw(st.lists(st.binary(max_size=8) if tensor.files else WORDS, min_size=count, max_size=count))
    return array.reshape(shape)
