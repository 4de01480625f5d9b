"""The Open Inference Protocol, version 2, byte by byte: its own examples, every type both ways, and each refusal in its words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor
from mlops_toolkit.serve import tensors
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import Limits

Y = Tensor("output0", "FP32", (None, 2))
TWO = Signature((Tensor("input0", "UINT32", (None, 2)), Tensor("input1", "BOOL", (None,))), (Y,))
ONE = Signature((Tensor("x", "FP32", (None, 3)),), (Y,))


def said(data: Any, **more: Any) -> bytes:
    """A request for ONE."""
    return json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": data, **more}]}).encode()


def refused(body: bytes, signature: Signature = ONE, header: Any = None, limits: Limits | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        tensors.read(body, header, signature, limits=limits or Limits())
    assert caught.value.status == 400
    return caught.value


def test_the_protocols_own_example() -> None:
    """inference_rest.md: an id, a flat matrix, truth values, a wanted output (its input1 holds one value for three; here it holds two)."""
    body = b"""{"id" : "42", "inputs" : [
      {"name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "data" : [ 1, 2, 3, 4 ]},
      {"name" : "input1", "shape" : [ 2 ], "datatype" : "BOOL", "data" : [ true, false ]}
    ], "outputs" : [{"name" : "output0"}]}"""
    request = tensors.read(body, None, TWO)
    assert request.id == "42"
    assert request.rows == 2
    assert request.inputs["input0"].dtype == np.uint32
    assert request.inputs["input0"].tolist() == [[1, 2], [3, 4]]
    assert request.inputs["input1"].tolist() == [True, False]
    answer = {"output0": np.array([[1.0, 1.1], [2.0, 2.1], [3.0, 3.1]], np.float32)}
    made, headers = tensors.write(request, answer, model="mymodel", version="1", signature=TWO)
    output = {"name": "output0", "datatype": "FP32", "shape": [3, 2], "data": [1.0, 1.1, 2.0, 2.1, 3.0, 3.1]}
    assert json.loads(made) == {"model_name": "mymodel", "model_version": "1", "id": "42", "outputs": [output]}
    assert dict(headers) == {b"content-type": b"application/json"}


def test_the_binary_extensions_own_example() -> None:
    """extension_binary_data.md: 16 bytes of a matrix and 3 of truth values after the JSON; 24 bytes come back after theirs."""
    signature = Signature((Tensor("input0", "UINT32", (2, 2)), Tensor("input1", "BOOL", (3,))), (Y,))
    head = json.dumps(
        {
            "model_name": "mymodel",
            "inputs": [
                {"name": "input0", "shape": [2, 2], "datatype": "UINT32", "parameters": {"binary_data_size": 16}},
                {"name": "input1", "shape": [3], "datatype": "BOOL", "parameters": {"binary_data_size": 3}},
            ],
            "outputs": [{"name": "output0", "parameters": {"binary_data": True}}],
        }
    ).encode()
    body = head + np.array([1, 2, 3, 2**32 - 1], "<u4").tobytes() + b"\x01\x00\x01"
    with pytest.raises(Refused, match="different numbers of examples"):  # the document's shapes are those of no batch
        tensors.read(body, str(len(head)), signature)
    head = head.replace(b"[3]", b"[2]").replace(b'size": 3', b'size": 2')
    body = head + np.array([1, 2, 3, 2**32 - 1], "<u4").tobytes() + b"\x01\x00"
    request = tensors.read(
        body, str(len(head)).encode(), Signature((Tensor("input0", "UINT32", (None, 2)), Tensor("input1", "BOOL", (None,))), (Y,))
    )
    assert request.inputs["input0"].tolist() == [[1, 2], [3, 4294967295]]
    assert request.inputs["input1"].tolist() == [True, False]
    answer = np.array([[1.0, 1.1], [2.0, 2.1], [3.0, 3.1]], np.float32)
    made, headers = tensors.write(request, {"output0": answer}, model="m", version=None, signature=signature)
    length = int(dict(headers)[b"inference-header-content-length"])
    assert dict(headers)[b"content-type"] == b"application/octet-stream"
    assert json.loads(made[:length])["outputs"] == [
        {"name": "output0", "datatype": "FP32", "shape": [3, 2], "parameters": {"binary_data_size": 24}}
    ]
    assert made[length:] == answer.astype("<f4").tobytes()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def tensor(draw: Any) -> tuple[Tensor, Any]:
    """A tensor of any type, rank and size, and its values."""
    kind = draw(st.sampled_from(sorted(NUMPY)))
    shape = draw(arrays.array_shapes(max_dims=4, max_side=4))
    files = kind == "BYTES" and draw(st.booleans())
    if kind == "BYTES":
        count = int(np.prod(shape))
        flat = draw(st.lists(st.binary(max_size=12) if files else TEXTS, min_size=count, max_size=count))
        values = np.empty(count, object)
        values[:] = flat
        values = values.reshape(shape)
    else:
        more = {"allow_nan": False, "allow_infinity": False} if kind.startswith("FP") else {}
        values = draw(arrays.arrays(NUMPY[kind], shape, elements=arrays.from_dtype(np.dtype(NUMPY[kind]), **more)))
    free = draw(st.tuples(*[st.booleans()] * (len(shape) - 1)))
    fixed = (None, *(None if one else length for one, length in zip(free, shape[1:], strict=True)))
    return Tensor("x", kind, fixed, files=files), values


@settings(max_examples=250, deadline=None)
@given(tensor(), st.booleans(), st.booleans(), st.booleans())
def test_every_type_goes_both_ways_as_it_is(drawn: tuple[Tensor, Any], binary: bool, nested: bool, writable: bool) -> None:
    """In as JSON (flat or nested) or as bytes, out as the same: equal values of equal types, whatever stands before them in the body."""
    one, values = drawn
    if one.dtype == "FP16" or (one.files and not all(_text(value) for value in values.reshape(-1))):
        binary = True
    signature = Signature((one,), (Tensor("y", one.dtype, one.shape, files=one.files),))
    said_: dict[str, Any] = {"name": "x", "shape": list(values.shape), "datatype": one.dtype}
    raw = b""
    if binary:
        raw = tensors.to_bytes(values)
        said_["parameters"] = {"binary_data_size": len(raw)}
    else:
        told = np.vectorize(lambda value: value.decode(), otypes=[object])(values) if one.files else values
        said_["data"] = told.tolist() if nested else told.reshape(-1).tolist()
    head = json.dumps({"inputs": [said_], "parameters": {"binary_data_output": binary or one.files}}).encode()
    request = tensors.read(head + raw, len(head) if binary else None, signature, limits=Limits(writable=writable))
    found = request.inputs["x"]
    assert found.dtype == np.dtype(NUMPY[one.dtype])
    assert found.shape == values.shape
    assert (found == values).all()
    assert found.flags.aligned
    assert found.flags.writeable or not writable
    made, headers = tensors.write(request, {"y": found}, model="m", version="1", signature=signature)
    length = int(dict(headers).get(b"inference-header-content-length", len(made)))
    (output,) = json.loads(made[:length])["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", one.dtype, list(values.shape))
    if "data" in output:
        assert (np.array(output["data"], NUMPY[one.dtype]).reshape(values.shape) == values).all()
    else:
        assert made[length:] == tensors.to_bytes(values)


def _text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("body", "name", "sentence"),
    [
        (b"", "bad-json", "the request is no JSON: Input is a zero-length, empty document"),
        (b"[]", "bad-request", "the request is a list of 0, not an object"),
        (b"{}", "missing-input", "inputs are null, not a list; inputs: x"),
        (b'{"inputs": []}', "missing-input", 'the input "x" is missing: FP32 [any, 3]'),
        (b'{"inputs": [3]}', "bad-request", "an input is 3, not an object"),
        (said([1, 2]), "wrong-shape", 'the input "x" holds 2 values, and its shape [1, 3] 3'),
        (said([1, 2, 3], name="X"), "unknown-input", 'there is no input "X"; did you mean "x"?'),
        (said([1, 2, 3], datatype="FP64"), "wrong-type", 'the input "x" is FP32, not FP64; types are not cast'),
        (said([1, 2, 3], datatype="FLOAT"), "wrong-type", 'the input "x" is FP32, not FLOAT'),
        (said([1, 2, 3], shape=[3, 1]), "wrong-shape", 'axis 1 of the input "x" is 3 long, not 1: FP32 [any, 3]'),
        (said([1, 2, 3], shape=[3]), "wrong-shape", 'the input "x" has 2 axes, not 1'),
        (said([], shape=[0, 3]), "wrong-shape", 'axis 0 of the input "x" is empty'),
        (said([1, 2, 3], shape=[-1, 3]), "wrong-shape", "is negative"),
        (said([1, 2, 3], shape=[True, 3]), "wrong-shape", "not a list of whole numbers"),
        (said([1, 2, 3], shape=[2**63, 3]), "wrong-shape", "holds 3 values"),
        (said([1, 2, 3], shape=[1] * 100_000), "wrong-shape", "has 2 axes, not 100000"),
        (said([[1, 2]]), "wrong-shape", "holds 2 where axis 1 is 3 long (the 1st list)"),
        (said([[1, 2, [3]]]), "wrong-value", "holds a list of 1 (the 3rd value), not a number"),
        (said([[1, 2, 3], 4, 5]), "wrong-shape", "holds 3 in its first axis, not 1"),
        (said([1, True, 3]), "wrong-value", "holds true (the 2nd value), not a number"),
        (said([1, "2", 3]), "wrong-value", 'holds "2" (the 2nd value), not a number'),
        (said([1, None, 3]), "not-a-number", "holds null (the 2nd value), not a number; in the example that the model was saved with"),
        (said([1, 1e39, 3]), "wrong-value", "holds 1e+39 (the 2nd value): no FP32 is that large"),
        (said([1, 2, 3]).replace(b"2", b"NaN"), "bad-json", "NaN and Infinity are no JSON"),
        (said([1, 2, 3]).replace(b"2", b"1e999"), "bad-json", "number is infinity"),
        (said({"a": 1}), "bad-tensor", "data of the input"),
        (said([1, 2, 3], parameters={"shared_memory_region": "r"}), "unsupported-parameter", "shared_memory_region"),
        (said([1, 2, 3], parameters={"binary_data_size": 12}), "bad-tensor", "binary_data_size"),
        (said([1, 2, 3], parameters=3), "bad-request", "are 3, not an object"),
        (b'{"id": 3, ' + said([1, 2, 3])[1:], "bad-request", "the id 3 is no text"),
        (b'{"outputs": [{"name": "z"}], ' + said([1, 2, 3])[1:], "unknown-output", 'there is no output "z"; known: output0'),
        (
            b'{"outputs": [{"name": "output0", "parameters": {"classification": 2}}], ' + said([1, 2, 3])[1:],
            "unsupported-parameter",
            "ask POST /predict",
        ),
        (
            b'{"outputs": [{"name": "output0", "parameters": {"binary_data": 1}}], ' + said([1, 2, 3])[1:],
            "bad-request",
            "is 1, not true or false",
        ),
        (b'{"outputs": [{"name": "output0"}, {"name": "output0"}], ' + said([1, 2, 3])[1:], "bad-request", "asked for twice"),
        (b'{"a": "\\ud800", ' + said([1, 2, 3])[1:], "bad-json", "surrogate"),
        (b"[" * 100_000, "bad-json", "depth limit"),
    ],
)
def test_each_refusal_says_what_is_there_and_what_is_wanted(body: bytes, name: str, sentence: str) -> None:
    found = refused(body)
    assert found.name == name
    assert sentence in found.sentence
    assert json.loads(found.body()) == {"error": found.sentence, "name": name}
    assert len(found.body()) < 3000


def test_all_differences_are_named_at_once() -> None:
    body = {"inputs": [{"name": "input0", "shape": [2, 3], "datatype": "INT32", "data": []}]}
    found = refused(json.dumps(body).encode(), TWO).sentence
    assert 'the input "input0" is UINT32, not INT32' in found
    assert 'axis 1 of the input "input0" is 2 long, not 3' in found
    assert 'the input "input1" is missing: BOOL [any]' in found


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        ("INT64", 2**63 - 1, True),
        ("INT64", 2**63, False),
        ("INT64", -(2**63), True),
        ("UINT64", 2**64 - 1, True),
        ("UINT64", 2**64, False),
        ("UINT64", -1, False),
        ("UINT8", 256, False),
        ("INT8", -128, True),
        ("INT32", 1.5, False),
        ("INT32", 4.0, True),
        ("INT64", 1e17, False),  # past 2^53 a decimal may have lost digits
        ("BOOL", 1, False),
        ("BYTES", 1, False),
        ("FP64", 2**64, True),
        ("FP32", 3.4028234663852886e38, True),
        ("FP32", 3.5e38, False),
    ],
)
def test_a_number_is_taken_exactly_or_not_at_all(kind: str, value: Any, taken: bool) -> None:
    signature = Signature((Tensor("x", kind, (None,)),), (Y,))
    body = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": kind, "data": [value]}]}).encode()
    if taken:
        assert tensors.read(body, None, signature).inputs["x"].tolist() == [value]
    else:
        assert refused(body, signature).name == "wrong-value"


@pytest.mark.parametrize("nan", ["signature", "refuse", "allow"])
@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_goes_in_where_the_model_knows_it_and_infinity_only_where_all_is_allowed(nan: Any, missing: bool, value: float) -> None:
    signature = Signature((Tensor("x", "FP32", (None,), missing=missing),), (Y,))
    head = b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}]}'
    body = head + np.array([1, value], "<f4").tobytes()
    if nan == "allow" or (nan == "signature" and missing and np.isnan(value)):
        assert np.array_equal(tensors.read(body, len(head), signature, limits=Limits(nan=nan)).inputs["x"], [1, value], equal_nan=True)
    else:
        found = refused(body, signature, len(head), Limits(nan=nan))
        assert (found.name, "(the 2nd value)" in found.message) == ("not-a-number", True)
    null = json.dumps({"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, None]}]}).encode()
    if nan == "allow" or (nan == "signature" and missing):
        assert np.isnan(tensors.read(null, None, signature, limits=Limits(nan=nan)).inputs["x"][1])
    else:
        assert refused(null, signature, limits=Limits(nan=nan)).name == "not-a-number"


def test_json_has_a_limit_of_its_own_and_bytes_have_not() -> None:
    """It is read in one go, into objects of many times its size."""
    with pytest.raises(Refused, match="bytes of text, and 150 may be") as caught:
        tensors.read(said([1, 2, 3]) + b" " * 100, None, ONE, limits=Limits(texts=150))
    assert (caught.value.status, caught.value.name) == (413, "too-large")
    head = said([1, 2, 3]).replace(b'"data": [1, 2, 3]', b'"parameters": {"binary_data_size": 1200}').replace(b"[1, 3]", b"[100, 3]")
    assert tensors.read(head + bytes(1200), len(head), ONE, limits=Limits(texts=150)).rows == 100


def test_half_precision_and_files_travel_as_bytes_only() -> None:
    half = Signature((Tensor("x", "FP16", (None,)),), (Y,))
    assert refused(b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP16", "data": [1]}]}', half).name == "binary-only"
    for output in (Tensor("y", "FP16", (None,)), Tensor("y", "BYTES", (None,), files=True)):
        signature = Signature(ONE.inputs, (output, Y))
        assert refused(said([1, 2, 3]), signature).name == "binary-only"
        assert refused(b'{"outputs": [{"name": "y"}], ' + said([1, 2, 3])[1:], signature).name == "binary-only"
        assert tensors.read(b'{"outputs": [{"name": "output0"}], ' + said([1, 2, 3])[1:], None, signature).outputs is not None
        assert tensors.read(b'{"parameters": {"binary_data_output": true}, ' + said([1, 2, 3])[1:], None, signature).binary_default


def test_an_answer_that_is_no_number_is_null_and_said_and_as_bytes_itself() -> None:
    request = tensors.read(said([1, 2, 3]), None, ONE)
    answer = {"output0": np.array([[np.nan, 1], [np.inf, 2]], np.float32), "note": np.array(["null", "b"], object)}
    made = json.loads(tensors.write(request, answer, model="m", version="1", signature=ONE)[0])
    assert made["outputs"][0]["data"] == [None, 1.0, None, 2.0]
    assert made["outputs"][0]["parameters"] == {"not-a-number": 2}
    assert "parameters" not in made["outputs"][1]
    request.binary_default = True
    raw = tensors.write(request, answer, model="m", version="1", signature=ONE)[0]
    assert answer["output0"].tobytes() in raw


def test_a_model_that_does_not_give_what_it_should_is_an_error_of_the_server() -> None:
    request = tensors.read(b'{"outputs": [{"name": "output0"}], ' + said([1, 2, 3])[1:], None, ONE)
    for answer in ({}, {"output0": np.array([1j])}, {"output0": np.array(["\ud800"], object)}):
        with pytest.raises(Refused) as caught:
            tensors.write(request, answer, model="m", version="1", signature=ONE)
        assert caught.value.status == 500


def test_an_answer_in_any_memory_order_is_the_same_bytes() -> None:
    request = tensors.read(said([1, 2, 3]), None, ONE)
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    for binary in (False, True):
        request.binary_default = binary
        made = {
            tensors.write(request, {"output0": one}, model="m", version="1", signature=ONE)[0]
            for one in (matrix, np.asfortranarray(matrix), matrix.astype(">f4"), np.repeat(matrix, 2, axis=1)[:, ::2])
        }
        assert len(made) == 1
