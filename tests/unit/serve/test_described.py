"""Whoever knows nothing but /openapi.json: what it makes of the description is answered as described, and never by an error of the server's."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import mlops_toolkit as mlops
from tests.unit.serve.test_fuzz import TIMES, mutated
from tests.world.serving import Connection, serving

FRAME = """
import numpy as np

class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        income = np.nan_to_num(inputs["income"])
        score = 1 / (1 + np.exp(-np.clip(income, -50, 50)))
        score = np.where(inputs["age"] % 7 == 3, np.nan, score)
        return {"label": (income > 0).astype(np.int64), "score": np.stack([1 - score, score], axis=1), "job": [text.upper() for text in inputs["job"]]}
"""
FILES = """
class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        return {"length": [len(one) for one in inputs["file"]]}
"""
SINGLE = """
class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        return {"sum": inputs["input"].clip(-1, 1).sum(axis=1)}
"""
WORDS = ["", "a", "größer", "x" * 300, "\0", '"', "\u2028", "NaN", "1"]


def instance(schema: Any, dice: random.Random, whole: Any) -> Any:
    """Something that the schema describes, at its edges more often than not."""
    if "$ref" in schema:
        found = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return instance(found, dice, whole)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return dice.choice(schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return instance(dice.choice(schema["anyOf"]), dice, whole)
    kind = schema.get("type", "object")
    kind = dice.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required", [])
        return {
            name: instance(one, dice, whole) for name, one in schema.get("properties", {}).items() if name in wanted or dice.random() < 0.3
        }
    if kind == "array":
        if "prefixItems" in schema:
            return [instance(one, dice, whole) for one in schema["prefixItems"]]
        count = dice.randint(schema.get("minItems", 0), min(schema.get("maxItems", 3), 5))
        return [instance(schema["items"], dice, whole) for _ in range(count)]
    if kind == "integer":
        edges = [schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1), 1, 2, 3]
        return dice.choice([edge for edge in edges if schema.get("minimum", edge) <= edge <= schema.get("maximum", edge)])
    if kind == "number":
        high = float(np.nextafter(schema.get("exclusiveMaximum", 1e308), 0))
        return dice.choice([0, -1, 0.5, 1e-300, -high, high])
    return {"boolean": dice.random() < 0.5, "null": None, "string": dice.choice(WORDS)}[kind]


def test_what_is_made_of_the_description_is_answered_as_described(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = {
        "age": np.arange(40),
        "income": np.where(np.arange(40) % 5, rng.normal(size=40), np.nan),
        "job": np.array(["a", "b"] * 20, object),
    }
    (tmp_path / "models").mkdir()
    (tmp_path / "frame").mkdir()
    for name, code, example in (
        ("frame", FRAME, frame),
        ("files", FILES, [b"\x89PNG\0", b""]),
        ("single", SINGLE, np.ones((2, 3), np.float32)),
    ):
        (tmp_path / "predict.py").write_text(code)
        mlops.save(
            tmp_path / "predict.py",
            tmp_path / "models" / name,
            example=example,
            labels=None if name != "frame" else {"score": ["no", "yes"], "label": ["no", "yes"]},
        )
    statuses: dict[int, int] = {}
    dice = random.Random(5)
    with serving(tmp_path / "models") as process:
        for name in ("frame", "files", "single"):
            process.until(f"model {name}")
        with Connection(process.port) as first:
            document = first.ask("GET", "/openapi.json").json()
        OpenAPIV31SpecValidator(document).validate()
        connection = Connection(process.port)
        for _ in range(600 * TIMES):
            path, methods = dice.choice(sorted(document["paths"].items()))
            method, operation = dice.choice(sorted(methods.items()))
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    value = instance(parameter["schema"], dice, document) if dice.random() < 0.8 else "none"
                    path = path.replace(f"{{{parameter['name']}}}", value)
            body, headers = b"", ""
            if method == "post":
                body = json.dumps(instance(operation["requestBody"]["content"]["application/json"]["schema"], dice, document)).encode()
                body = mutated(body, dice) if dice.random() < 0.3 else body
                headers = "content-type: application/json\r\n"
            answer = connection.ask(method.upper(), unquote(path), body, headers)
            if answer.headers.get("connection") == "close":
                connection.socket.close()
                connection = Connection(process.port)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            assert str(answer.status) in operation["responses"], (method, path, body, answer)
            assert answer.status < 500, (method, path, body, answer)
            kind = answer.headers["content-type"].partition(";")[0]
            told = operation["responses"][str(answer.status)]["content"]
            assert kind in told
            if kind != "text/html" and kind != "text/plain":
                made = json.loads(answer.body[: int(answer.headers.get("inference-header-content-length", len(answer.body)))])
                schema = {**told["application/json"]["schema"], "components": document["components"]}
                Draft202012Validator(schema).validate(made)
        connection.socket.close()
        assert process.popen.poll() is None
    assert statuses[200] > 100
    assert statuses[400] > 50
