"""Two answers held together: the worst difference by kind, the largest of numbers, and rows that got another label."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.formats.signature import Signature, Tensor
from mlops_toolkit.serve import alike, answers, tensors
from mlops_toolkit.serve.alike import Difference, compared

SIGNATURE = Signature(
    (Tensor("x", "FP32", (None,)),),
    (Tensor("label", "INT64", (None,)), Tensor("word", "BYTES", (None,)), Tensor("p", "FP32", (None, 2))),
)


def answer(label: list[int], word: list[str], p: Any, *, binary: bool, version: str = "1") -> tuple[bytes, str | None]:
    """As the server itself writes it."""
    outputs = {"label": np.array(label), "word": np.array(word, object), "p": np.array(p, np.float32)}
    request = tensors.Request("7", {}, None, {}, binary)
    body, headers = tensors.write(request, outputs, model="m", version=version, signature=SIGNATURE)
    length = dict(headers).get(tensors.LENGTH)
    return body, None if length is None else length.decode()


def held(one: tuple[bytes, str | None], other: tuple[bytes, str | None]) -> Difference | None:
    return compared(one[0], other[0], (one[1], other[1]), protocol=True)


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
def test_answers_of_the_protocol(binary: bool) -> None:
    """Another version's name is no difference; NaN is NaN; numbers within the tolerance of loading are alike."""
    p = [[0.25, 0.75], [np.nan, 0.5]]
    one = answer([1, 0], ["yes", "é"], p, binary=binary)
    assert held(one, answer([1, 0], ["yes", "é"], p, binary=binary, version="2")) == Difference(None, 0.0, 2, 0)
    near = held(one, answer([1, 0], ["yes", "é"], [[0.25, 0.75002], [np.nan, 0.5]], binary=binary))
    assert near is not None
    assert (near.kind, near.apart) == (None, pytest.approx(0.00002, rel=0.01))
    far = held(one, answer([1, 0], ["yes", "é"], [[0.5, 0.5], [np.nan, 0.5]], binary=binary))
    assert far == Difference("number", 0.25, 2, 0)
    assert held(one, answer([1, 0], ["yes", "é"], [[0.25, 0.75], [0.5, 0.5]], binary=binary)) == Difference("number", 0.0, 2, 0)
    assert held(one, answer([0, 0], ["yes", "e"], [[0.5, 0.5], [np.nan, 0.5]], binary=binary)) == Difference("label", 0.25, 2, 2)
    assert held(one, answer([1], ["yes"], [[0.25, 0.75]], binary=binary)) == Difference("shape")
    assert held(one, (b"<html>", None)) == Difference("unreadable")
    assert held(one, (one[0][:-3], one[1])) == Difference("unreadable")


@pytest.mark.parametrize(
    ("live", "beside", "found"),
    [
        ({"label": "a", "p": 0.5}, {"label": "a", "p": 0.5}, (None, 0.0, 1, 0)),
        ({"label": "a", "p": 0.5}, {"label": "b", "p": 0.75}, ("label", 0.25, 1, 1)),
        ([{"p": 0.5}, {"p": 1}], [{"p": 0.5}, {"p": 1.5}], ("number", 0.5, 2, 0)),
        ({"rows": [{"n": 1}, {"n": 2}]}, {"rows": [{"n": 1}, {"n": 3}]}, ("label", 0.0, 2, 1)),
        ({"p": None}, {"p": 0.5}, ("number", 0.0, 1, 0)),
        ({"p": True}, {"p": 1}, ("shape", 0.0, 1, 0)),
        ({"p": {"a": 0.5}}, {"p": {"b": 0.5}}, ("shape", 0.0, 1, 0)),
        ([{"n": 1}], [], ("shape", 0.0, 0, 0)),
        (1, [1], ("shape", 0.0, 1, 0)),
    ],
)
def test_rows_for_people(live: Any, beside: Any, found: tuple[str | None, float, int, int]) -> None:
    """One row, rows, columns; whole numbers and texts are labels, others numbers."""
    assert compared(json.dumps(live).encode(), json.dumps(beside).encode(), protocol=False) == Difference(*found)


def test_what_is_too_large_or_too_deep() -> None:
    """Large JSON is compared by its bytes alone; depth ends nothing."""
    large = json.dumps([0.5] * 300_000).encode()
    assert compared(large, large, protocol=False) == Difference(None)
    assert compared(large, large.replace(b"5", b"6", 1), protocol=False) is None
    deep = b"[" * 900 + b"1" + b"]" * 900
    assert compared(deep, deep.replace(b"1", b"2"), protocol=False) == Difference("label", 0.0, 1, 1)


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"[]", None),
        (b"{}", None),
        (b'{"outputs": [1]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "FP99", "shape": [1], "data": [1]}]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [-1], "data": [1]}]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [1000]}]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [{}]}]}', None),
        (b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 9}}]}', None),
        (b'{"outputs": []}x', None),
        (b'{"outputs": []}x', "15"),
        (b'{"outputs": []}', "16"),
        (b'{"outputs": []}', "-1"),
        (b'{"outputs": []}', "x"),
    ],
)
def test_answers_that_are_none(body: bytes, length: str | None) -> None:
    """ValueError and nothing else, whatever a server sent."""
    with pytest.raises(ValueError):
        answers.read(body, length)
    assert alike.compared(body, b'{"outputs": []}', (length, None), protocol=True) == Difference("unreadable")
