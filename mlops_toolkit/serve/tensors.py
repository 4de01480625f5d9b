"""The Open Inference Protocol, version 2, over REST: requests into arrays and arrays into answers, as JSON and as its binary tensors.

https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md); the binary tensor data extension as NVIDIA
Triton documents it (docs/protocol/extension_binary_data.md in its server's repository). What is not there is not here: classification and
shared memory are refused, BF16 has no numpy type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor, dtype_of, problems
from mlops_toolkit.serve.raw import from_bytes, plain, texts, to_bytes
from mlops_toolkit.serve.refusals import Refused, short
from mlops_toolkit.serve.values import DEFAULT, Input, Limits, Plan, array, flattened, parsed, plan, unknown

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)
LENGTH = b"inference-header-content-length"
EXTENSIONS = ("binary_tensor_data",)
_KINDS = {np.dtype(numpy): name for name, numpy in NUMPY.items()}  # faster than asking a dtype for its name
ID = 1024  # characters of a client's id, at most: it comes back and stands in logs
REFUSED = {
    "classification": "classes are in the answer itself: leave it out, or ask POST /predict for their names",
    "shared_memory_region": "send the tensor in the body",
    "shared_memory_byte_size": "send the tensor in the body",
    "shared_memory_offset": "send the tensor in the body",
}


@dataclass(slots=True)
class Wanted:
    """An output that was asked for by name; binary: as bytes after the JSON."""

    name: str
    binary: bool


@dataclass(slots=True)
class Request:
    """What a client asks.

    inputs   by name, in the signature's order, each of its declared type and a shape that fits
    outputs  the wanted ones in their order, None for all; binary_default: whether all come as bytes where none is named
    """

    id: str | None
    inputs: dict[str, NDArray[Any]]
    outputs: tuple[Wanted, ...] | None
    parameters: Mapping[str, Any]
    binary_default: bool

    @property
    def rows(self) -> int:
        """How many examples it holds."""
        first = next(iter(self.inputs.values()))
        return int(first.shape[0]) if first.ndim else 1


def read(
    body: bytes | bytearray | memoryview, header_length: int | str | bytes | None, signature: Signature, *, limits: Limits = DEFAULT
) -> Request:
    """A request's body. Refused with 4xx for whatever is not one.

    header_length: the header Inference-Header-Content-Length as it came, None without one. Memory: of binary tensors a copy where they are
    not aligned (or `limits.writable`), of JSON what orjson makes of it, then the arrays; no length that a client names is allocated
    before as many bytes are there.
    """
    made = plan(signature, limits)
    view = memoryview(body)
    at = len(view) if header_length is None else _header_length(header_length, len(view))
    said = _object(view[:at], limits)
    parameters = _parameters(said, "the request")
    id_ = said.get("id")
    if id_ is not None and (type(id_) is not str or len(id_) > ID):
        raise Refused("bad-request", f"the id {short(id_)} is no text of {ID} characters at most")
    inputs = _inputs(said.get("inputs"), view, at, made)
    default = _flag(parameters, "binary_data_output", "the request")
    return Request(id_, inputs, _outputs(said.get("outputs"), default, made), parameters, default)


def _header_length(given: int | str | bytes, whole: int) -> int:
    text = given.decode("latin-1") if isinstance(given, bytes) else str(given)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= whole):
        raise Refused(
            "bad-request",
            f"Inference-Header-Content-Length is {short(text)}, and the body has {whole} bytes",
            hint="it is the length of the JSON at the body's beginning",
        )
    return int(text)


def _object(raw: memoryview, limits: Limits) -> dict[str, Any]:
    said = parsed(raw, limits, "NaN and Infinity are no JSON, either")
    if type(said) is not dict:
        raise Refused(
            "bad-request", f"the request is {short(said)}, not an object", hint='{"inputs": [{"name", "shape", "datatype", "data"}]}'
        )
    return said


def _parameters(said: dict[str, Any], where: str) -> dict[str, Any]:
    found = said.get("parameters")
    if found is None:
        return {}
    if type(found) is not dict:
        raise Refused("bad-request", f"the parameters of {where} are {short(found)}, not an object")
    for name in found.keys() & REFUSED.keys():
        raise Refused("unsupported-parameter", f"the parameter {name} of {where} is not supported", hint=REFUSED[name])
    return found


def _flag(parameters: Mapping[str, Any], name: str, where: str, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise Refused("bad-request", f"the parameter {name} of {where} is {short(value)}, not true or false")
    return value


def _inputs(given: Any, view: memoryview, at: int, made: Plan) -> dict[str, NDArray[Any]]:
    """Every tensor, in the signature's order. Names, types and shapes of all are looked at before the values of any."""
    if type(given) is not list:
        raise Refused("missing-input", f"inputs are {short(given)}, not a list", hint=f"inputs: {', '.join(made.by_name)}")
    heads: dict[str, tuple[dict[str, Any], list[int], Input]] = {}
    fits = len(given) == len(made.inputs)
    for said in given:
        name, kind, shape = _head(said)
        one = made.by_name.get(name)
        if one is None:
            raise Refused("unknown-input", unknown("input", name, list(made.by_name)))
        if name in heads:
            raise Refused("bad-request", f'the input "{name}" is given twice')
        heads[name] = (said, shape, one)
        fits = fits and kind == one.kind and fitting(shape, one)
    if not fits or (len(heads) > 1 and len({shape[0] for _, shape, _ in heads.values()}) != 1):
        raise misfit({name: (said["datatype"], shape) for name, (said, shape, _) in heads.items()}, made)
    arrays = {}
    for name, (said, shape, one) in heads.items():
        parameters = _parameters(said, f'the input "{name}"') if "parameters" in said else {}
        size = parameters.get("binary_data_size")
        if size is None:
            arrays[name] = _from_json(said.get("data"), shape, one)
            continue
        if type(size) is not int or size < 0 or size > len(view) - at:
            raise Refused("bad-tensor", f'binary_data_size of the input "{name}" is {short(size)}, and {len(view) - at} bytes are left')
        if "data" in said:
            raise Refused("bad-request", f'the input "{name}" has both data and binary_data_size')
        arrays[name] = from_bytes(view[at : at + size], shape, one, writable=made.limits.writable)
        at += size
    if at != len(view):
        raise Refused("bad-tensor", f"{len(view) - at} bytes follow the last tensor", hint="binary_data_size says how many are its own")
    return {one.name: arrays[one.name] for one in made.inputs} if len(arrays) > 1 else arrays


def _head(said: Any) -> tuple[str, str, list[int]]:
    if type(said) is not dict:
        raise Refused("bad-request", f"an input is {short(said)}, not an object", hint='{"name", "shape", "datatype", "data"}')
    name, kind, shape = said.get("name"), said.get("datatype"), said.get("shape")
    if type(name) is not str:
        raise Refused("bad-request", f"the name of an input is {short(name)}, not a text")
    if type(kind) is not str:
        raise Refused("bad-request", f'the datatype of the input "{name[:100]}" is {short(kind)}', hint=f"one of {', '.join(NUMPY)}")
    if type(shape) is not list or not all(type(length) is int for length in shape):
        raise Refused("wrong-shape", f'the shape of the input "{name[:100]}" is {short(shape)}, not a list of whole numbers')
    return name, kind, shape


def fitting(shape: Sequence[int], one: Input) -> bool:
    """Whether a shape is one of the input's; no axis may be empty, for there is nothing to answer then."""
    if len(shape) != one.rank:
        return False
    for length, wanted in zip(shape, one.shape, strict=True):  # noqa: SIM110 -- all() over a generator takes a microsecond more
        if length != wanted and (wanted or length < 1):
            return False
    return True


class _Type:
    """A type that only its name is known of; as numpy's own for `problems`."""

    kind = "?"

    def __init__(self, name: str) -> None:
        self.name = NUMPY.get(name, name[:40])

    def __str__(self) -> str:
        return self.name


class _Shell:
    """An array's type and shape without an array: a client may say any length."""

    def __init__(self, kind: str, shape: Sequence[int]) -> None:
        self.dtype, self.shape, self.ndim = _Type(kind), shape, len(shape)


def misfit(given: Mapping[str, tuple[str, Sequence[int]]], made: Plan) -> Refused:
    """What is wrong with tensors of these types and shapes, every difference in one refusal."""
    shells: Any = {name: _Shell(*said) for name, said in given.items()}
    found = problems(shells, made.signature.inputs)
    empty = [f'axis {shape.index(0)} of the input "{name}" is empty' for name, (_, shape) in given.items() if 0 in shape]
    name = "missing-input" if len(given) < len(made.inputs) else "wrong-shape"
    if name == "wrong-shape" and any(kind != made.by_name[name_].kind for name_, (kind, _) in given.items()):
        name = "wrong-type"
    negative = [f'the shape of the input "{name}" is negative in places' for name, (_, shape) in given.items() if min(shape, default=0) < 0]
    return Refused(name, "; ".join([*found, *empty, *negative]), hint="types are not cast" if name == "wrong-type" else None)


def _from_json(data: Any, shape: list[int], one: Input) -> NDArray[Any]:
    where = f'the input "{one.name}"'
    if type(data) is not list:
        raise Refused("bad-tensor", f"data of {where} are {short(data)}, not a list", hint="data, or binary_data_size and the bytes")
    if one.kind == "FP16":
        raise Refused("binary-only", f"{where} is FP16, which the protocol sends as bytes only", hint="send it with binary_data_size")
    count = math.prod(shape)
    if one.rank > 1 and data and type(data[0]) is list:
        data = flattened(data, shape, where)
    if len(data) != count:
        raise Refused("wrong-shape", f"{where} holds {len(data)} values, and its shape {shape} {count}")
    return array(data, one, where).reshape(shape)


def _outputs(given: Any, default: bool, made: Plan) -> tuple[Wanted, ...] | None:
    if given is None or given == []:
        if made.unsendable and not default:
            _binary_only(made.unsendable[0])
        return None
    if type(given) is not list:
        raise Refused("bad-request", f"outputs are {short(given)}, not a list")
    wanted: dict[str, Wanted] = {}
    for said in given:
        name = said.get("name") if type(said) is dict else None
        if type(name) is not str:
            raise Refused("bad-request", f"an output is {short(said)}, not an object with a name")
        if name not in made.outputs:
            raise Refused("unknown-output", unknown("output", name, list(made.outputs)))
        if name in wanted:
            raise Refused("bad-request", f'the output "{name}" is asked for twice')
        where = f'the output "{name}"'
        wanted[name] = Wanted(name, _flag(_parameters(said, where), "binary_data", where, default))
    for tensor in made.unsendable:
        if tensor.name in wanted and not wanted[tensor.name].binary:
            _binary_only(tensor)
    return tuple(wanted.values())


def _binary_only(tensor: Tensor) -> NoReturn:
    """Said before anything is computed."""
    what = "FP16, which the protocol sends as bytes only" if tensor.dtype == "FP16" else "a file's bytes"
    raise Refused(
        "binary-only",
        f'the output "{tensor.name}" is {what}',
        hint='ask for it with {"binary_data": true}, or for all with the parameter binary_data_output',
    )


def write(
    request: Request, answer: Mapping[str, NDArray[Any]], *, model: str, version: str | None, signature: Signature
) -> tuple[bytes, Headers]:
    """The answer's body and its headers but for the length. Refused `bad-answer` (500) where the model gave no such outputs.

    A NaN or an infinite number is null in JSON, and the output's parameter `not-a-number` says how many there are; as bytes it is itself.
    """
    outputs, tail = [], []
    names = [Wanted(name, request.binary_default) for name in answer] if request.outputs is None else request.outputs
    for wanted in names:
        array_ = answered(answer, wanted.name)
        kind = _KINDS.get(array_.dtype) or dtype_of(array_)
        if kind is None:
            raise Refused(
                "bad-answer", f'the model\'s output "{wanted.name}" is of type {array_.dtype}, which the protocol has no name for'
            )
        said: dict[str, Any] = {"name": wanted.name, "datatype": kind, "shape": array_.shape}
        if wanted.binary:
            raw = to_bytes(array_)
            said["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            said["data"] = texts(array_, wanted.name) if kind == "BYTES" else plain(array_).ravel()
        outputs.append(said)
    whole: dict[str, Any] = {"model_name": model}
    if version is not None:
        whole["model_version"] = version
    if request.id is not None:
        whole["id"] = request.id
    whole["outputs"] = outputs
    try:
        head = orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)
        if b"null" in head and _noted(outputs):
            head = orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise Refused("bad-answer", f"the model's answer is no text that JSON can carry: {error}") from error
    if not tail:
        return head, JSON
    return b"".join((head, *tail)), ((b"content-type", b"application/octet-stream"), (LENGTH, str(len(head)).encode()))


def _noted(outputs: list[dict[str, Any]]) -> bool:
    """Say in an output's parameters how many of its numbers are none; whether any are."""
    found = False
    for said in outputs:
        data = said.get("data")
        if isinstance(data, np.ndarray) and data.dtype.kind == "f" and (count := int((~np.isfinite(data)).sum())):
            said["parameters"], found = {"not-a-number": count}, True
    return found


def answered(answer: Mapping[str, Any], name: str) -> NDArray[Any]:
    """An output as an array."""
    if name not in answer:
        raise Refused("bad-answer", f'the model did not give the output "{name}"')
    found = answer[name]
    return found if isinstance(found, np.ndarray) else np.asarray(found)


def metadata(model: str, version: str | Sequence[str] | None, manifest: Manifest) -> dict[str, Any]:
    """GET /v2/models/MODEL: names, types and shapes, -1 for any length; beside them, in parameters, units, labels and what may be missing."""
    versions = [version] if isinstance(version, str) else list(version or ())
    return {
        "name": model,
        **({"versions": versions} if versions else {}),
        "platform": f"mlops_{manifest.served.format.replace('-', '_')}",
        "inputs": [_described(tensor) for tensor in manifest.signature.inputs],
        "outputs": [_described(tensor) for tensor in manifest.signature.outputs],
    }


def _described(tensor: Tensor) -> dict[str, Any]:
    more: dict[str, Any] = {word: True for word in ("missing", "files") if getattr(tensor, word)}
    if tensor.unit is not None:
        more["unit"] = tensor.unit
    if tensor.labels is not None:
        more["labels"] = list(tensor.labels)
    made = {"name": tensor.name, "datatype": tensor.dtype, "shape": [-1 if length is None else length for length in tensor.shape]}
    return {**made, "parameters": more} if more else made


def server_metadata(name: str, version: str, extensions: Sequence[str] = ()) -> dict[str, Any]:
    """GET /v2: extensions: what the server has beside the binary tensors (`model_repository`)."""
    return {"name": name, "version": version, "extensions": [*EXTENSIONS, *extensions]}
