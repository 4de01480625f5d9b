"""The bill of materials: valid by CycloneDX's own schema, the same bytes each time, whatever packages call themselves."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as some

from mlops_toolkit.image.wanted import Package
from mlops_toolkit.supply.sbom import Metric, Model, sbom
from tests.world.proven import BASE, model_digest

DIGEST = f"sha256:{'a' * 64}"
VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
PACKAGES = [
    Package("numpy", "2.4.6", "e" * 64, "BSD-3-Clause"),
    Package("onnxruntime", "1.32.0", "f" * 64, "MIT License"),
    Package("onnxruntime", "1.32.0", "1" * 64, "MIT License"),  # the other platform's wheel
    Package("orjson", "3.11", None, "Apache-2.0 OR MIT"),
]
MODEL = Model(
    "spam",
    "run-1",
    model_digest(),
    "onnx",
    {"model.onnx": "2" * 64, "mlops-model.json": "3" * 64},
    "classification",
    ["x FP32 [any, 8]"],
    ["label INT64 [any]"],
    [Metric("accuracy", 0.9722, 0.9641, 0.9785), Metric("accuracy", 0.5, slice="language=de")],
    {"run": "20261124-092057-3f9a1c", "commit": "a" * 40},
)


def made(**more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"packages": PACKAGES, "model": MODEL, "base": BASE, "epoch": 1_764_000_000, **more}
    raw = sbom(DIGEST, "ghcr.io/owner/spam", "v1.2.3", **arguments)
    assert VALIDATOR.validate_str(raw.decode()) is None
    document: dict[str, Any] = json.loads(raw)
    return document


def test_it_says_what_is_inside() -> None:
    document = made()
    by_name = {one["name"]: one for one in document["components"]}
    assert document["metadata"]["component"]["bom-ref"] == DIGEST
    assert document["metadata"]["component"]["purl"].startswith("pkg:oci/spam@sha256")
    assert document["metadata"]["timestamp"] == "2025-11-24T16:00:00+00:00"
    assert by_name["numpy"]["hashes"] == [{"alg": "SHA-256", "content": "e" * 64}]
    assert by_name["numpy"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert by_name["orjson"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert by_name["orjson"]["purl"] == "pkg:pypi/orjson@3.11"
    assert by_name[BASE[0]]["hashes"][0]["content"] == "b" * 64
    (root,) = [one for one in document["dependencies"] if one["ref"] == DIGEST]
    assert len(root["dependsOn"]) == len(document["components"]) == 6


def test_the_model_has_its_card() -> None:
    (model,) = [one for one in made()["components"] if one["type"] == "machine-learning-model"]
    assert {one["name"]: one["value"] for one in model["properties"]}["mlops:model-digest"] == MODEL.digest
    assert [one["name"] for one in model["components"]] == ["mlops-model.json", "model.onnx"]
    card = model["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    whole, part = card["quantitativeAnalysis"]["performanceMetrics"]
    assert whole == {"type": "accuracy", "value": "0.9722", "confidenceInterval": {"lowerBound": "0.9641", "upperBound": "0.9785"}}
    assert part["slice"] == "language=de"


def test_the_same_gives_the_same_bytes_and_another_model_another_number() -> None:
    assert made() == made(packages=PACKAGES[::-1])
    other = Model("spam", "run-1", f"sha256:{'9' * 64}", "onnx")
    assert made()["serialNumber"] != made(model=other)["serialNumber"]


def test_an_artifact_has_no_base_and_may_have_no_packages() -> None:
    document = made(packages=[], base=None)
    assert [one["type"] for one in document["components"]] == ["machine-learning-model"]


TEXT = some.text(max_size=40)


@settings(max_examples=40, deadline=None)
@given(TEXT.filter(str.strip), TEXT.filter(str.strip), some.none() | TEXT, TEXT, TEXT, some.floats(allow_nan=False, allow_infinity=False))
def test_odd_names_make_no_odd_document(name: str, version: str, licence: str | None, task: str, path: str, value: float) -> None:
    model = Model(name, version, f"sha256:{'4' * 64}", task, {path: "5" * 64, "odd": "no hash"}, task, [name], [], [Metric(name, value)])
    made(packages=[Package(name, version, licence, licence)], model=model)
