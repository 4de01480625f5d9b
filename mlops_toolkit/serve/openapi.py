"""The OpenAPI 3.1 description of a server: every route, with its models' own types, shapes, units, labels and an example of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats import golden
from mlops_toolkit.formats.signature import Signature
from mlops_toolkit.serve import people, schemas, tensors
from mlops_toolkit.serve.raw import plain
from mlops_toolkit.serve.refusals import STATUSES, Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_toolkit.formats.load import Loaded

LONGEST = 1000  # values of an example; larger ones (pictures) would only hide the description
JSON, BINARY = "application/json", "application/octet-stream"
REASONS = {
    400: "something in it is not what the model takes",
    401: "a bearer token is needed",
    403: "not allowed here",
    404: "there is no such model, version or path",
    408: "the request came too slowly",
    413: "the request is too large",
    415: "a content-type that the model does not take",
    429: "too many requests of this client; Retry-After says when to ask again",
    500: "the model failed",
    503: "not ready, or too many requests; Retry-After says when to ask again",
    504: "no answer within the time limit",
}


@dataclass(frozen=True)
class Shown:
    """A model as it is described.

    versions  that may be asked for by name, the newest first
    inputs    one golden example of the newest and its answer, None where there is none to show
    """

    name: str
    versions: tuple[str, ...]
    signature: Signature
    inputs: Mapping[str, NDArray[Any]] | None = None
    outputs: Mapping[str, NDArray[Any]] | None = None


def shown(name: str, versions: Sequence[str], loaded: Loaded) -> Shown:
    """A loaded model with the first of its golden examples, where that is small enough to be read."""
    signature = loaded.signature
    try:
        inputs, outputs = golden.read(loaded.folder, signature)
    except MlopsError:
        return Shown(name, tuple(versions), signature)
    first = [{key: array[:1] for key, array in side.items()} for side in (inputs, outputs)]
    if sum(array.size for side in first for array in side.values()) > LONGEST:
        return Shown(name, tuple(versions), signature)
    return Shown(name, tuple(versions), signature, *first)


def description(
    models: Sequence[Shown], *, version: str, token: bool = False, repository: bool = False, opened: Sequence[str] = ()
) -> dict[str, Any]:
    """The document for /openapi.json; the same models give the same document.

    token: whether requests need a bearer token; opened: of `health`, `metrics` and `page`, what is answered without. repository: whether
    clients may load and unload models.
    """
    paths: dict[str, Any] = dict(_server())
    parts: dict[str, Any] = {"Error": _error()}
    for place, model in enumerate(models):
        key = f"model{place}"
        parts |= {
            f"{key}.request": schemas.request(model.signature),
            f"{key}.answer": schemas.answer(model.signature),
            f"{key}.rows": schemas.rows(model.signature),
            f"{key}.predictions": schemas.predictions(model.signature),
        }
        paths |= _model(model, key)
        if len(models) == 1:
            paths["/predict"] = {"post": {**_predict(model, key), "operationId": "predict"}}
    if repository:
        paths |= _repository()
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": ", ".join(model.name for model in models) or "models",
            "version": version,
            "description": "The Open Inference Protocol, version 2, and POST /predict for people.",
        },
        "paths": paths,
        "components": {"schemas": parts},
    }
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        for path in paths:
            if _kind(path) in opened:
                for operation in paths[path].values():
                    operation["security"] = []
    return made


def _kind(path: str) -> str:
    """Of the paths that may be open to everybody, what they are called in the settings."""
    if path.startswith("/v2/health/") or path.endswith("/ready"):
        return "health"
    return {"/metrics": "metrics", "/": "page", "/openapi.json": "page"}.get(path, "")


def _error() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["error", "name"],
        "properties": {
            "error": {"type": "string", "description": "what was found, and what to do"},
            "name": {"enum": sorted(STATUSES), "description": "does not change: programs may test it"},
        },
    }


def _json(schema: Any, example: Any = None) -> dict[str, Any]:
    return {JSON: {"schema": schema} if example is None else {"schema": schema, "example": example}}


def _answers(good: dict[str, Any], *statuses: int) -> dict[str, Any]:
    error = _json({"$ref": "#/components/schemas/Error"})
    made = {"200": good}
    return made | {str(status): {"description": REASONS[status], "content": error} for status in (*statuses, 401, 429, 500, 503)}


def _get(summary: str, name: str, content: dict[str, Any], *statuses: int, parameters: list[Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": summary,
        "operationId": name,
        "responses": _answers({"description": summary, "content": content}, *statuses),
    }
    return {"get": {**made, "parameters": parameters} if parameters else made}


def _server() -> dict[str, Any]:
    """The routes that are the same whatever is served."""
    texts = {"type": "array", "items": {"type": "string"}}
    server = {"name": {"type": "string"}, "version": {"type": "string"}, "extensions": texts}
    return {
        "/v2/health/live": _get("whether the server runs", "live", _json(_flag("live"))),
        "/v2/health/ready": _get("whether all models answer", "ready", _json(_flag("ready"))),
        "/v2": _get("the server and its extensions", "server", _json({"type": "object", "required": list(server), "properties": server})),
        "/v2/models": _get("the models' names", "models", _json({"type": "object", "properties": {"models": texts}})),
        "/metrics": _get("for Prometheus", "metrics", {"text/plain": {"schema": {"type": "string"}}}),
        "/openapi.json": _get("this document", "openapi", _json({"type": "object"})),
        "/": _get("a page to try it", "page", {"text/html": {"schema": {"type": "string"}}}),
    }


def _flag(name: str) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "boolean"}}}


def _repository() -> dict[str, Any]:
    model = [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}]
    listed = {"type": "array", "items": {"type": "object", "required": ["name", "version", "state"]}}
    asked = {"content": _json({"type": "object", "properties": {"ready": {"type": "boolean"}}})}
    return {
        "/v2/repository/index": {
            "post": {
                "summary": "all models and their states",
                "operationId": "index",
                "requestBody": asked,
                "responses": _answers({"description": "the models", "content": _json(listed)}, 400),
            }
        },
        **{
            f"/v2/repository/models/{{model}}/{word}": {
                "post": {
                    "summary": f"{word} a model",
                    "operationId": word,
                    "parameters": model,
                    "responses": _answers({"description": "done", "content": _json({"type": "object"})}, 403, 404),
                }
            }
            for word in ("load", "unload")
        },
    }


def _model(model: Shown, key: str) -> dict[str, Any]:
    """A model's routes, without and with a version."""
    tensor = {"type": "object", "required": ["name", "datatype", "shape"]}
    metadata = {"type": "object", "required": ["name", "platform", "inputs", "outputs"], "properties": {}}
    metadata["properties"] = {side: {"type": "array", "items": tensor} for side in ("inputs", "outputs")}
    ready = {"type": "object", "required": ["name", "ready"]}
    made: dict[str, Any] = {}
    base = f"/v2/models/{quote(model.name, safe='')}"
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    if model.versions:
        version["schema"] = {"enum": list(model.versions)}
    for path, name, parameters in ((base, key, []), (f"{base}/versions/{{version}}", f"{key}.version", [version])):
        made[path] = _get(f"what {model.name} takes and gives", f"{name}.metadata", _json(metadata), 404, parameters=parameters)
        made[f"{path}/ready"] = _get(f"whether {model.name} answers", f"{name}.ready", _json(ready), 404, parameters=parameters)
        infer = {**_infer(model, key), "operationId": f"{name}.infer"}
        made[f"{path}/infer"] = {"post": {**infer, "parameters": [*infer["parameters"], *parameters]}}
    made[f"/predict/{quote(model.name, safe='')}"] = {"post": {**_predict(model, key), "operationId": f"{key}.predict"}}
    return made


def _infer(model: Shown, key: str) -> dict[str, Any]:
    length = {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer", "minimum": 1}}
    length["description"] = "how many bytes of the body are JSON; the tensors' own follow, in the order of the inputs"
    asked, told = _examples(model)
    schema = {"$ref": f"#/components/schemas/{key}.request"}
    raw = {BINARY: {"schema": {"type": "string", "format": "binary", "description": "JSON, then bytes (binary tensor data)"}}}
    answer = {"description": "the outputs", "content": {**_json({"$ref": f"#/components/schemas/{key}.answer"}, told), **raw}}
    return {
        "summary": f"ask {model.name}",
        "description": "\n".join(
            f"{tensor.name}: {schemas.noted(tensor)}" for tensor in (*model.signature.inputs, *model.signature.outputs)
        ),
        "parameters": [length],
        "requestBody": {"required": True, "content": {**_json(schema, asked), **raw}},
        "responses": _answers(answer, 400, 404, 408, 413, 415, 504),
    }


def _examples(model: Shown) -> tuple[Any, Any]:
    """The golden example as a request and its answer; None where bytes would be needed to say them."""
    unsaid = any(tensor.dtype == "FP16" or tensor.files for tensor in (*model.signature.inputs, *model.signature.outputs))
    if model.inputs is None or model.outputs is None or unsaid:
        return None, None
    inputs = [
        {"name": tensor.name, "shape": list(array.shape), "datatype": tensor.dtype, "data": _plain(array.reshape(-1))}
        for tensor in model.signature.inputs
        for array in [model.inputs[tensor.name]]
    ]
    request = tensors.Request(None, dict(model.inputs), None, {}, False)
    version = model.versions[0] if model.versions else None
    try:
        told, _ = tensors.write(request, model.outputs, model=model.name, version=version, signature=model.signature)
    except Refused:
        return None, None
    return {"inputs": inputs}, orjson.loads(told)


def _predict(model: Shown, key: str) -> dict[str, Any]:
    inputs = model.signature.inputs
    only = inputs[0] if len(inputs) == 1 else None
    asked = told = None
    if (
        model.inputs is not None
        and model.outputs is not None
        and not any(tensor.files or tensor.name not in model.inputs for tensor in inputs)
    ):
        asked = {"rows": [{name: _plain(array)[0] for name, array in model.inputs.items()}]}
        told = orjson.loads(people.write(model.outputs, model.signature, people.Shape.ROWS))
    content = _json({"$ref": f"#/components/schemas/{key}.rows"}, asked)
    flat = all(len(tensor.shape) == 1 for tensor in inputs)
    if flat or (only is not None and len(only.shape) == 2 and only.labels):
        content["text/csv"] = {"schema": {"type": "string", "minLength": 2, "description": "a first line of names, then a row each"}}
    if flat:
        fields = {tensor.name: {"type": "string", **({"format": "binary"} if tensor.files else {})} for tensor in inputs}
        # of a model with one input a field may be called anything
        asks: dict[str, Any] = {"required": list(fields)} if only is None else {"minProperties": 1}
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": fields, **asks}}
    if only is not None and flat and only.dtype == "BYTES":
        kind = "*/*" if only.files else "text/plain"
        content[kind] = {"schema": {"type": "string", "description": "one example as the whole body"}}
    return {
        "summary": f"ask {model.name}, for people",
        "description": "\n".join(f"{tensor.name}: {schemas.noted(tensor)}" for tensor in (*inputs, *model.signature.outputs)),
        "requestBody": {"required": True, "content": content},
        "responses": _answers(
            {"description": "a row an example", "content": _json({"$ref": f"#/components/schemas/{key}.predictions"}, told)},
            *(400, 404, 408, 413, 415, 504),
        ),
    }


def _plain(array: NDArray[Any]) -> Any:
    """As JSON reads it; null for NaN."""
    return array.tolist() if array.dtype == object else orjson.loads(orjson.dumps(plain(array), option=orjson.OPT_SERIALIZE_NUMPY))
