"""JSON Schemas (2020-12) of what a model takes and gives, from its signature: tensors of the protocol, and people's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor
from mlops_toolkit.serve.people import NULLS

Schema = dict[str, Any]
MANY = 200  # labels that are named in a description; rows of more are described by their type alone


def scalar(tensor: Tensor, *, out: bool = False) -> Schema:
    """One value. out: of an answer, in which any floating number may be null (it was NaN)."""
    if tensor.dtype == "BYTES":
        return {"type": "string"}
    if tensor.dtype == "BOOL":
        return {"type": "boolean"}
    kind = np.dtype(NUMPY[tensor.dtype])
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return {"type": "integer", "minimum": int(info.min), "maximum": int(info.max)}
    bounds: Schema = {}
    if kind.itemsize < 8:
        most = np.finfo(kind).max
        high = float(most) + float(most - np.nextafter(most, kind.type(0))) / 2  # below it: rounded to the largest number, not to infinity
        bounds = {"exclusiveMinimum": -high, "exclusiveMaximum": high}
    return {"type": ["number", "null"] if out or tensor.missing else "number", **bounds}


def nested(value: Schema, lengths: Sequence[int | None]) -> Schema:
    """Lists of lists of it, the outermost first."""
    for length in reversed(lengths):
        bounds = {"minItems": 1} if length is None else {"minItems": length, "maxItems": length}
        value = {"type": "array", "items": value, **bounds}
    return value


def noted(tensor: Tensor) -> str:
    """A tensor in words: `FP32 [any, 3] in mm: length, width, height`."""
    labels = f": {', '.join(tensor.labels[:MANY])}" if tensor.labels else ""
    more = f" ({tensor.noted})" if tensor.noted else ""
    return tensor.text + (f" in {tensor.unit}" if tensor.unit else "") + more + labels


def request(signature: Signature) -> Schema:
    """The body of an inference request as JSON."""
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 1024, "description": "comes back with the answer"},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
            "inputs": {
                "type": "array",
                "minItems": len(signature.inputs),
                "maxItems": len(signature.inputs),
                "items": _any([_tensor(tensor, out=False) for tensor in signature.inputs]),
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"enum": [tensor.name for tensor in signature.outputs]},
                        "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
                    },
                },
            },
        },
    }


def answer(signature: Signature) -> Schema:
    """The body of an answer, as JSON or before the bytes."""
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": _any([_tensor(tensor, out=True) for tensor in signature.outputs])},
        },
    }


def _tensor(tensor: Tensor, *, out: bool) -> Schema:
    value = scalar(tensor, out=out)
    forms = [{"type": "array", "items": value}]
    if len(tensor.shape) > 1 and not out:
        forms.append(nested(value, tensor.shape))
    binary = {
        "type": "object",
        "required": ["binary_data_size"],
        "properties": {"binary_data_size": {"type": "integer", "minimum": 0}},
    }
    any_ = {"type": "integer", "minimum": 1}
    # of answers less is said: there are readers of OpenAPI that take prefixItems in one for an error
    lengths: Schema = (
        {"items": any_} if out else {"prefixItems": [any_ if length is None else {"const": length} for length in tensor.shape]}
    )
    return {
        "type": "object",
        "description": noted(tensor),
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": tensor.name},
            "shape": {"type": "array", **lengths, "minItems": len(tensor.shape), "maxItems": len(tensor.shape)},
            "datatype": {"const": tensor.dtype},
            "data": {"description": "row-major, flat" + ("" if out else " or nested"), **_any(forms)},
        },
        "anyOf": [{"required": ["data"]}, {"required": ["parameters"], "properties": {"parameters": binary}}],
    }


def rows(signature: Signature) -> Schema:
    """The JSON bodies that `POST /predict` takes."""
    only = signature.inputs[0] if len(signature.inputs) == 1 else None
    named: Schema = {
        "type": "object",
        "required": [tensor.name for tensor in signature.inputs],
        "properties": {tensor.name: _cell(tensor) for tensor in signature.inputs},
        "additionalProperties": False,
    }
    forms = [named] if only is None else [named, _cell(only)]
    if only is not None and only.labels and len(only.shape) == 2:
        value = {**scalar(only), **({"description": f"in {only.unit}"} if only.unit else {})}
        forms.append(
            {
                "type": "object",
                "required": list(only.labels),
                "properties": dict.fromkeys(only.labels, value),
                "additionalProperties": False,
            }
        )
    row = _any(forms)
    columns = {
        "type": "object",
        "required": named["required"],
        "properties": {tensor.name: {"type": "array", "items": _cell(tensor), "minItems": 1} for tensor in signature.inputs},
        "additionalProperties": False,
    }
    several: Schema = {"type": "array", "items": row, "minItems": 1}
    whole: Schema = {"type": "object", "required": ["rows"], "properties": {"rows": several}, "additionalProperties": False}
    return _any([whole, several, row, columns])


def _cell(tensor: Tensor) -> Schema:
    """A row's value of an input."""
    value = scalar(tensor)
    if tensor.files:
        encoded = {"type": "string", "contentEncoding": "base64"}
        value = {"anyOf": [{"type": "object", "required": ["b64"], "properties": {"b64": encoded}, "additionalProperties": False}, value]}
    return {"description": noted(tensor), **nested(value, tensor.shape[1:])}


def predictions(signature: Signature) -> Schema:
    """What `POST /predict` answers: in the shape in which the examples came."""
    row: Schema = {"type": "object", "properties": {tensor.name: _told(tensor) for tensor in signature.outputs}}
    row["required"] = [tensor.name for tensor in signature.outputs]
    row["properties"].setdefault(NULLS, {"type": "object", "description": "why a number is null, by output"})
    columns = {"type": "object", "properties": {tensor.name: {"type": "array", "items": _told(tensor)} for tensor in signature.outputs}}
    several = {"type": "array", "items": row}
    return _any([{"type": "object", "required": ["rows"], "properties": {"rows": several}}, several, row, columns])


def _told(tensor: Tensor) -> Schema:
    """A row's value of an output, as `people.write` writes it."""
    value, labels = scalar(tensor, out=True), tensor.labels
    said = {"description": noted(tensor)}
    if tensor.files:
        return {**said, "type": ["string", "object"]}
    if labels and len(tensor.shape) == 1 and value["type"] == "integer":
        return {**said, "anyOf": [{"enum": list(labels)}, value]}
    if labels and len(tensor.shape) == 2 and len(set(labels)) == len(labels) <= MANY and tensor.shape[1] == len(labels):
        return {**said, "type": "object", "required": list(labels), "properties": dict.fromkeys(labels, value)}
    if labels and len(tensor.shape) == 2:
        return {**said, "type": ["object", "array"]}
    return {**said, **nested(value, tensor.shape[1:])}


def _any(forms: list[Schema]) -> Schema:
    return forms[0] if len(forms) == 1 else {"anyOf": forms}
