"""`POST /predict`, for people: rows of JSON or CSV, texts and uploaded files in; rows with the labels' names out."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_toolkit.formats.signature import Signature, Tensor
from mlops_toolkit.serve.raw import plain
from mlops_toolkit.serve.refusals import Refused, short
from mlops_toolkit.serve.tensors import answered, misfit
from mlops_toolkit.serve.uploads import Part, parts
from mlops_toolkit.serve.values import DEFAULT, Input, Limits, Plan, array, flattened, nth, parsed, plan, readable, unknown

Arrays = dict[str, "NDArray[Any]"]
JSON, CSV, TEXT, FORM = "application/json", "text/csv", "text/plain", "multipart/form-data"
NULLS = "nulls"
_WORDS = {"": None, "true": True, "false": False}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Shape(Enum):
    """How the examples came, and so how their answers go back."""

    ROWS = '{"rows": [{…}, …]}'
    LIST = "[{…}, …]"
    ONE = "{…}"
    COLUMNS = "{name: […], …}"


def read(
    body: bytes | bytearray | memoryview, content_type: str | None, signature: Signature, *, limits: Limits = DEFAULT
) -> tuple[Arrays, Shape]:
    """A request's body as arrays, and the shape its answer takes. Refused with 4xx.

    JSON      {"rows": [ROW, …]}, [ROW, …], ROW, or {name: [value, …]} (columns). A ROW is {name: value}, or of a model with one input its
              value; where the input's last axis has labels (feature names), {label: number}. A file is {"b64": "…"}.
    CSV       a first line of names (inputs, or the labels of the only input), then a row each; an empty cell is a missing value
    uploads   multipart/form-data with the inputs' names (of a model with one input, any), repeated for several examples; or one file as
              the whole body
    """
    made = plan(signature, limits)
    kind = (content_type or JSON).partition(";")[0].strip().lower() or JSON
    if kind == JSON or kind.endswith("+json"):
        return _of_json(body, made)
    if kind == CSV:
        return _of_table(bytes(body), made), Shape.ROWS
    if kind == FORM:
        return _of_form(parts(bytes(body), content_type or "", limits.parts), made)
    return _of_file(bytes(body), kind, made)


def _of_json(body: bytes | bytearray | memoryview, made: Plan) -> tuple[Arrays, Shape]:
    said = parsed(body, made.limits, "or say by content-type what it is")
    if type(said) is dict and "rows" in said and "rows" not in made.by_name:
        if len(said) > 1 or type(said["rows"]) is not list:
            raise Refused("bad-request", f'"rows" is {short(said["rows"])}, with {len(said) - 1} other keys', hint='{"rows": [{…}, …]}')
        return _rows(said["rows"], made), Shape.ROWS
    if type(said) is dict:
        if _columns(said, made):
            return _from_columns(said, made), Shape.COLUMNS
        return _rows([said], made), Shape.ONE
    only = made.inputs[0] if len(made.inputs) == 1 else None
    alone = only is not None and only.rank > 1 and _depth(said) == only.rank - 1  # [1, 2, 3] is one row of [any, 3]
    if type(said) is list and (not alone or not said or type(said[0]) is dict):
        return _rows(said, made), Shape.LIST
    return _rows([said], made), Shape.ONE


def _depth(value: Any) -> int:
    """How many lists stand around the first value."""
    depth = 0
    while type(value) is list:
        depth += 1
        value = value[0] if value else None
    return depth


def _columns(said: dict[str, Any], made: Plan) -> bool:
    """Whether an object holds columns ({"age": [1, 2]}) and not one row ({"age": 1})."""
    known = [(value, made.by_name[name]) for name, value in said.items() if name in made.by_name]
    return bool(known) and all(_depth(value) >= one.rank for value, one in known)


def _from_columns(said: dict[str, Any], made: Plan) -> Arrays:
    _complete(said, list(made.by_name), "the request")
    return _whole({one.name: _nested(said[one.name], one, f'"{one.name}"') for one in made.inputs}, made)


def _complete(given: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    """Refused where names are missing or unknown."""
    known = set(names)
    if given.keys() == known:
        return
    strange = next((name for name in given if name not in known), None)
    if strange is not None:
        raise Refused("unknown-input", f"in {where} " + unknown("input", strange, names))
    missing = [name for name in names if name not in given]
    raise Refused(
        "missing-input", f"in {where} there is no " + ", ".join(f'"{name}"' for name in missing[:20]), hint=f"inputs: {', '.join(names)}"
    )


def _rows(rows: list[Any], made: Plan) -> Arrays:
    """Rows, each an object by name or the value of the only input."""
    if not rows:
        raise Refused("wrong-shape", "there are no rows", hint='{"rows": [{…}, …]}, one object an example')
    names = list(made.by_name)
    only = made.inputs[0] if len(made.inputs) == 1 else None
    if only is not None:
        return _whole({only.name: _nested([_value(row, only, place) for place, row in enumerate(rows)], only, f'"{only.name}"')}, made)
    for place, row in enumerate(rows):
        if type(row) is not dict:
            raise Refused("bad-request", f"the {nth(place)} row is {short(row)}, not an object", hint=f"inputs: {', '.join(names)}")
        if row.keys() != made.by_name.keys():
            _complete(row, names, f"the {nth(place)} row")
    return _whole({name: _nested([row[name] for row in rows], made.by_name[name], f'"{name}"') for name in names}, made)


def _value(row: Any, only: Input, place: int) -> Any:
    """The only input's value of a row, which may be an object: by the input's name, by its labels, or a file."""
    if type(row) is not dict or _is_file(row):
        return row
    if row.keys() == {only.name}:
        return row[only.name]
    labels = only.tensor.labels
    if labels is not None and only.rank == 2:
        _complete(row, labels, f"the {nth(place)} row")
        return [row[label] for label in labels]
    _complete(row, [only.name], f"the {nth(place)} row")
    return None


def _is_file(value: Any) -> bool:
    return type(value) is dict and value.keys() == {"b64"}


def _nested(data: Any, one: Input, where: str) -> NDArray[Any]:
    """Nested lists as an array, whatever lengths its free axes have."""
    if one.kind == "BYTES" and one.rank == 1 and type(data) is list:
        data = [_decoded(value, where, place) if _is_file(value) else value for place, value in enumerate(data)]
    if type(data) is not list:
        raise Refused("wrong-shape", f"{where} is {short(data)}, not a list")
    shape, inner = [], data
    for _ in range(one.rank):
        if type(inner) is not list or not inner:
            raise Refused("wrong-shape", f"{where} has {short(inner)} where a list of values is wanted: {one.tensor.text}")
        shape.append(len(inner))
        inner = inner[0]
    flat = flattened(data, shape, where)
    if one.file and bytes in set(map(type, flat)):
        made: NDArray[Any] = np.empty(len(flat), object)
        made[:] = [value if isinstance(value, bytes) else str(value).encode() for value in flat]
    else:
        made = array(flat, one, where)
    return made.reshape(shape)


def _decoded(value: dict[str, Any], where: str, place: int) -> bytes:
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Refused("bad-upload", f"{where} holds a b64 that is not base64 (the {nth(place)} value): {error}") from error


def _whole(arrays: Arrays, made: Plan) -> Arrays:
    """Refused `wrong-shape` where a shape is not the signature's, or the inputs are not in step."""
    given = {name: (made.by_name[name].kind, list(one.shape)) for name, one in arrays.items()}
    lengths = {shape[0] for _, shape in given.values()}
    if len(lengths) > 1 or any(
        wanted is not None and length != wanted
        for name, (_, shape) in given.items()
        for length, wanted in zip(shape, made.by_name[name].shape, strict=True)
    ):
        raise misfit(given, made)
    for name, one in arrays.items():
        if one.dtype == object and made.by_name[name].file != all(isinstance(value, bytes) for value in one.reshape(-1)):
            wanted = "files" if made.by_name[name].file else "text"
            raise Refused(
                "wrong-value",
                f'"{name}" takes {wanted}',
                hint="a text as it is, a file as an upload" if wanted == "text" else 'upload them, or {"b64": "…"}',
            )
    return arrays


def _of_table(body: bytes, made: Plan) -> Arrays:
    """CSV. Its cells become what JSON would have said, so that the same rules hold."""
    readable(body, made.limits, "send it in several requests")
    text = _text(body, "the request")
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise Refused("bad-csv", f"the request is no CSV: {error}") from error
    if len(lines) < 2:
        raise Refused("bad-csv", f"the request has {len(lines)} lines", hint="a first line of names, then a row each")
    names, *rows = lines
    only = made.inputs[0] if len(made.inputs) == 1 else None
    labels = only.tensor.labels if only is not None and only.rank == 2 else None
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise Refused("bad-csv", f"the {nth(place)} row has {len(row)} cells, and the first line {len(names)} names")
    if len(set(names)) != len(names):
        raise Refused("bad-csv", "two columns have the same name")
    if only is not None and labels is not None:
        return _rows([{name: _cell(cell, only) for name, cell in zip(names, row, strict=True)} for row in rows], made)
    if any(one.rank != 1 for one in made.inputs):
        raise Refused("unsupported-type", "this model's inputs have several axes and no labels: CSV cannot say them", hint="send JSON")
    _complete(dict.fromkeys(names), list(made.by_name), "the first line")
    return _whole(
        {
            name: _nested([_cell(row[at], made.by_name[name]) for row in rows], made.by_name[name], f'"{name}"')
            for at, name in enumerate(names)
        },
        made,
    )


def _cell(text: str, one: Input) -> Any:
    """What JSON would say for a cell: null for an empty one, a number, true or false; text as it is written."""
    if one.kind == "BYTES":
        return text
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not _NUMBER.fullmatch(text):
        return text
    if text.lstrip("+-").isdigit() and len(text) <= 20:
        return int(text)
    return float(text) if math.isfinite(float(text)) else text


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("bad-upload", f"{where} is text that is not UTF-8: {error.reason}", hint="the model takes text, not files") from error


def _of_form(given: Sequence[Part], made: Plan) -> tuple[Arrays, Shape]:
    columns: dict[str, list[Any]] = {}
    only = made.inputs[0] if len(made.inputs) == 1 else None
    for part in given:
        one = only if only is not None else made.by_name.get(part.name)
        if one is None:
            raise Refused("unknown-input", unknown("input", part.name, list(made.by_name)))
        if one.rank != 1:
            raise Refused("unsupported-type", f'the input "{one.name}" is {one.tensor.text}: a form cannot say it', hint="send JSON")
        value: Any = part.data if one.file else _text(part.data, f'"{part.name}"')
        columns.setdefault(one.name, []).append(value if one.kind == "BYTES" else _cell(value, one))
    _complete(columns, list(made.by_name), "the form")
    arrays = _whole({one.name: _nested(columns[one.name], one, f'"{one.name}"') for one in made.inputs}, made)
    return arrays, Shape.ONE if all(len(one) == 1 for one in columns.values()) else Shape.LIST


def _of_file(body: bytes, kind: str, made: Plan) -> tuple[Arrays, Shape]:
    """The whole body as the only input: text/plain as text, anything else as a file."""
    only = made.inputs[0] if len(made.inputs) == 1 else None
    if only is None or only.kind != "BYTES" or only.rank != 1 or not (only.file or kind.startswith("text/")):
        takes = f"{JSON}, {CSV} or {FORM}"
        raise Refused("unsupported-type", f"this model does not take {short(kind)}", hint=f"it takes {takes}; say which by content-type")
    return _whole({only.name: _nested([body if only.file else _text(body, "the request")], only, f'"{only.name}"')}, made), Shape.ONE


def write(answer: Mapping[str, Any], signature: Signature, shape: Shape) -> bytes:
    """The answer for people: a row an example, outputs in the signature's order, classes by name. Refused `bad-answer` (500).

    A number that is none (NaN, infinity) is null, and the row's `nulls` say what it was.
    """
    outputs = {tensor.name: tensor for tensor in signature.outputs}
    names = [name for name in outputs if name in answer] or list(answer)
    columns: dict[str, Any] = {name: _column(answered(answer, name), outputs.get(name), name) for name in names}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise Refused("bad-answer", "the model's outputs hold different numbers of rows")
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    made = _dumped(_shaped(rows, columns, shape))
    if b"null" not in made:
        return made
    arrays = {name: answered(answer, name) for name in names}
    nulls = {name: array_ for name, array_ in arrays.items() if array_.dtype.kind == "f" and not np.isfinite(array_).all()}
    for place, row in enumerate(rows):
        said = {name: _said(array_[place]) for name, array_ in nulls.items() if not np.isfinite(array_[place]).all()}
        if said and NULLS not in columns:
            row[NULLS] = said
    if nulls and shape is Shape.COLUMNS and NULLS not in columns:
        columns = {**columns, NULLS: {name: _said(array_) for name, array_ in nulls.items()}}
    return _dumped(_shaped(rows, columns, shape))


def _shaped(rows: list[dict[str, Any]], columns: Mapping[str, Any], shape: Shape) -> Any:
    if shape is Shape.ONE and len(rows) == 1:
        return rows[0]
    return {"rows": rows} if shape is Shape.ROWS else columns if shape is Shape.COLUMNS else rows


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise Refused("bad-answer", f"the model's answer is no text or number that JSON can carry: {error}") from error


def _said(values: Any) -> str:
    flat = np.asarray(values).reshape(-1)
    kinds = [word for word, found in (("NaN", np.isnan(flat).any()), ("infinity", np.isinf(flat).any())) if found]
    return f"the model answered {' and '.join(kinds)}"


def _column(array_: NDArray[Any], tensor: Tensor | None, name: str) -> list[Any]:
    """An output as a value a row: numbers as they are (numpy's, whose decimals are the shortest that mean them), classes by name."""
    if array_.ndim == 0:
        raise Refused("bad-answer", f'the model\'s output "{name}" is one value, not rows')
    labels = tensor.labels if tensor is not None else None
    if array_.dtype.kind in "OUS":
        return [_plainly(value) for value in array_.tolist()]
    array_ = plain(array_).astype(np.float32) if array_.dtype == np.float16 else plain(array_)
    if labels is None:
        return list(array_)
    if array_.ndim == 1 and array_.dtype.kind in "iu":
        return [labels[value] if 0 <= value < len(labels) else value for value in array_.tolist()]
    if array_.ndim == 2 and array_.shape[1] == len(labels):
        return [dict(zip(labels, row, strict=True)) for row in array_] if len(set(labels)) == len(labels) else list(array_)
    return list(array_)


def _plainly(value: Any) -> Any:
    """Texts as they are, bytes that are none in base64."""
    if isinstance(value, list):
        return [_plainly(one) for one in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
