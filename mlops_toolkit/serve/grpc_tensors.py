"""Messages of the protocol over gRPC into the same requests as over HTTP, and answers into messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_toolkit.formats.signature import Signature, dtype_of
from mlops_toolkit.serve.grpc_messages import CONTENTS, messages
from mlops_toolkit.serve.raw import decoded, from_bytes, plain, to_bytes
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.tensors import ID, REFUSED, Request, Wanted, answered, fitting, misfit
from mlops_toolkit.serve.values import DEFAULT, Input, Limits, Plan, array, finite, plan, unknown


def read(message: Any, signature: Signature, *, limits: Limits = DEFAULT) -> tuple[Request, bool]:
    """A ModelInferRequest, and whether its tensors came as raw bytes (then so does the answer). Refused with 4xx."""
    made = plan(signature, limits)
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise Refused(
            "bad-tensor", f"there are {len(message.inputs)} inputs and {len(raw)} raw_input_contents", hint="one for each, in order"
        )
    if len(message.id) > ID:
        raise Refused("bad-request", f"the id has {len(message.id)} characters; {ID} at most")
    parameters = _parameters(message, "the request")
    heads: dict[str, tuple[Any, list[int], Input]] = {}
    for said in message.inputs:
        one = made.by_name.get(said.name)
        if one is None:
            raise Refused("unknown-input", unknown("input", said.name, list(made.by_name)))
        if said.name in heads:
            raise Refused("bad-request", f'the input "{said.name}" is given twice')
        _parameters(said, f'the input "{said.name}"')
        heads[said.name] = (said, list(said.shape), one)
    fits = len(heads) == len(made.inputs) and all(said.datatype == one.kind and fitting(shape, one) for said, shape, one in heads.values())
    if not fits or (len(heads) > 1 and len({shape[0] for _, shape, _ in heads.values()}) != 1):
        raise misfit({name: (said.datatype, shape) for name, (said, shape, _) in heads.items()}, made)
    arrays = {}
    for place, (name, (said, shape, one)) in enumerate(heads.items()):
        if raw:
            if said.HasField("contents"):
                raise Refused("bad-request", f'the input "{name}" has contents, and there are raw_input_contents', hint="one or the other")
            arrays[name] = from_bytes(memoryview(raw[place]), shape, one, writable=made.limits.writable)
        else:
            arrays[name] = _contents(said.contents, shape, one)
    inputs = {one.name: arrays[one.name] for one in made.inputs}
    return Request(message.id or None, inputs, _outputs(message, made), parameters, bool(raw)), bool(raw)


def _parameters(said: Any, where: str) -> dict[str, Any]:
    found = {}
    for name, value in said.parameters.items():
        if name in REFUSED:
            raise Refused("unsupported-parameter", f"the parameter {name} of {where} is not supported", hint=REFUSED[name])
        choice = value.WhichOneof("parameter_choice")
        found[name] = None if choice is None else getattr(value, choice)
    return found


def _contents(contents: Any, shape: list[int], one: Input) -> NDArray[Any]:
    where = f'the input "{one.name}"'
    field = CONTENTS.get(one.kind)
    if field is None:
        raise Refused("binary-only", f"{where} is {one.kind}, which the protocol sends as raw bytes only", hint="send raw_input_contents")
    flat = list(getattr(contents, field))
    count = int(np.prod(shape, dtype=object))
    if len(flat) != count:
        others = [name for name in sorted({*CONTENTS.values()} - {field}) if getattr(contents, name)]
        hint = f"{one.kind} belongs into {field}, not {', '.join(others)}" if others else "or send raw_input_contents"
        raise Refused("wrong-shape", f"{where} holds {len(flat)} values in {field}, and its shape {shape} {count}", hint=hint)
    if one.kind == "BYTES":
        made: NDArray[Any] = np.empty(count, object)
        made[:] = flat if one.file else decoded(flat, where)
    elif one.floating:
        made = np.array(flat, one.dtype)
        finite(made, one)
    else:
        made = array(flat, one, where)
    return made.reshape(shape)


def _outputs(message: Any, made: Plan) -> tuple[Wanted, ...] | None:
    wanted: dict[str, Wanted] = {}
    for said in message.outputs:
        if said.name not in made.outputs:
            raise Refused("unknown-output", unknown("output", said.name, list(made.outputs)))
        if said.name in wanted:
            raise Refused("bad-request", f'the output "{said.name}" is asked for twice')
        _parameters(said, f'the output "{said.name}"')
        wanted[said.name] = Wanted(said.name, binary=True)
    return tuple(wanted.values()) or None


def write(request: Request, answer: Mapping[str, NDArray[Any]], *, model: str, version: str | None, raw: bool) -> Any:
    """A ModelInferResponse. raw: tensors as bytes; so they all come where one is of half precision, which has no other form."""
    made = messages().ModelInferResponse(model_name=model, model_version=version or "", id=request.id or "")
    found = {name: answered(answer, name) for name in (answer if request.outputs is None else [one.name for one in request.outputs])}
    kinds = {name: dtype_of(array_) for name, array_ in found.items()}
    raw = raw or "FP16" in kinds.values()
    for name, array_ in found.items():
        kind = kinds[name]
        if kind is None:
            raise Refused("bad-answer", f'the model\'s output "{name}" is of type {array_.dtype}, which the protocol has no name for')
        output = made.outputs.add(name=name, datatype=kind, shape=array_.shape)
        if raw:
            made.raw_output_contents.append(to_bytes(array_))
        elif kind == "BYTES":
            values = array_.reshape(-1).tolist()
            output.contents.bytes_contents.extend(one if isinstance(one, bytes) else str(one).encode() for one in values)
        else:
            getattr(output.contents, CONTENTS[kind]).extend(plain(array_).reshape(-1).tolist())
    return made
