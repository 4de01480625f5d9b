"""The description is valid OpenAPI 3.1, and true: what it describes is read, what is answered is as described, its examples are the golden ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from mlops_toolkit.formats.load import load
from mlops_toolkit.serve import openapi, people, schemas, tensors
from mlops_toolkit.serve.app import route_of
from mlops_toolkit.serve.people import Shape
from mlops_toolkit.serve.refusals import Refused
from tests.unit.formats.saved import save
from tests.unit.serve.models import ALL, values
from tests.unit.serve.test_people import told


@pytest.mark.parametrize("names", [["frame"], ["tokens"], list(ALL)])
def test_the_description_is_valid(names: list[str]) -> None:
    models = [openapi.Shown(name + " (ü/x)", ("1", "2"), ALL[name]) for name in names]
    made = openapi.description(models, version="1.0", token=True, repository=True)
    OpenAPIV31SpecValidator(json.loads(json.dumps(made))).validate()
    assert ("/predict" in made["paths"]) is (len(names) == 1)
    assert "/v2/models/tokens%20%28%C3%BC%2Fx%29/versions/{version}/infer" in made["paths"] or "tokens" not in names


def test_what_is_open_to_everybody_is_described_as_open() -> None:
    """By the routes that answer without a token, not by a list of their own."""
    made = openapi.description(
        [openapi.Shown("m", ("1",), ALL["frame"])], version="1", token=True, repository=True, opened=["health", "page"]
    )
    for path, operations in made["paths"].items():
        route, *_ = route_of(path.encode())
        for operation in operations.values():
            assert operation.get("security") == ([] if route.open in ("health", "page") else None), path


def test_a_saved_models_golden_example_is_the_example(tmp_path: Path) -> None:
    loaded = load(save(tmp_path))
    made = openapi.description([openapi.shown("m", ["2", "1"], loaded)], version="1")
    infer = made["paths"]["/v2/models/m/infer"]["post"]
    asked = infer["requestBody"]["content"]["application/json"]["example"]
    answered = infer["responses"]["200"]["content"]["application/json"]["example"]
    request = tensors.read(json.dumps(asked).encode(), None, loaded.signature)
    body, _ = tensors.write(request, loaded.answer(request.inputs), model="m", version="2", signature=loaded.signature)
    assert json.loads(body) == answered  # of the newest version, whose example it is
    rows = made["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    inputs, shape = people.read(json.dumps(rows).encode(), None, loaded.signature)
    told_ = made["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert json.loads(people.write(loaded.answer(inputs), loaded.signature, shape)) == told_
    assert "x: FP32 [any, 4] in mm" in infer["description"]


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_requests_and_answers_are_as_described(data: Any) -> None:
    """Whatever fits a signature fits the schemas and is read; whatever a model answers fits theirs, NaN as well."""
    signature = data.draw(st.sampled_from(list(ALL.values())))
    arrays = data.draw(values(signature))
    columns = {name: told(array.tolist()) for name, array in arrays.items()}
    rows = [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    accepts = Draft202012Validator(schemas.rows(signature))
    for body in ({"rows": rows}, rows, rows[0], columns):
        accepts.validate(body)
        people.read(json.dumps(body).encode(), None, signature)
    if not any(tensor.files for tensor in signature.inputs):
        inputs = [
            {"name": tensor.name, "shape": list(arrays[tensor.name].shape), "datatype": tensor.dtype, "data": columns[tensor.name]}
            for tensor in signature.inputs
        ]
        Draft202012Validator(schemas.request(signature)).validate({"inputs": inputs})
        request = tensors.read(json.dumps({"inputs": inputs}).encode(), None, signature)
        count = request.rows
        shapes = [(count, *(2 if length is None else length for length in tensor.shape[1:])) for tensor in signature.outputs]
        found = {
            tensor.name: np.full(shape, "a", object)
            if tensor.dtype == "BYTES"
            else np.full(shape, data.draw(st.sampled_from(of(tensor.dtype))))
            for tensor, shape in zip(signature.outputs, shapes, strict=True)
        }
        made = json.loads(tensors.write(request, found, model="m", version="1", signature=signature)[0])
        Draft202012Validator(schemas.answer(signature)).validate(made)
        for shape in Shape:
            Draft202012Validator(schemas.predictions(signature)).validate(json.loads(people.write(found, signature, shape)))


def of(kind: str) -> list[Any]:
    return [np.float32(0.5), np.float32(np.nan)] if kind == "FP32" else [0.5, np.inf] if kind == "FP64" else [0, 1]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**64) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["", "a", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "age", "income", "job", "rows", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(JSONS, st.sampled_from(["frame", "matrix", "text"]))
def test_what_is_not_described_is_refused(body: Any, name: str) -> None:
    """Of any JSON, what the schema does not know is refused in words: the description hides nothing that works."""
    signature = ALL[name]
    described = Draft202012Validator(schemas.rows(signature)).is_valid(body)
    refused = None
    try:
        people.read(json.dumps(body).encode(), None, signature)
    except Refused as refusal:
        refused = refusal
    assert described if refused is None else 400 <= refused.status < 500
