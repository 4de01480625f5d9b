"""The model alone, as ModelPack says it: read back from a real registry by the specification's own words and by skopeo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.image.artifact import kind_of, push
from mlops_toolkit.image.wanted import Wanted
from tests.needs import require
from tests.unit.image.conftest import save
from tests.world import images

Make = Callable[..., Wanted]
TEXT = {"type": "string"}
# What the specification's schema of a configuration allows, for the fields that are written here and no others.
CONFIG = {
    "type": "object",
    "additionalProperties": False,
    "required": ["descriptor", "config", "modelfs"],
    "properties": {
        "descriptor": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "createdAt": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                "licenses": {"type": "array", "items": TEXT},
                **dict.fromkeys(("name", "version", "revision", "sourceURL", "title", "description"), TEXT),
            },
        },
        "config": {"type": "object", "additionalProperties": False, "properties": {"format": TEXT}},
        "modelfs": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "diffIds"],
            "properties": {"type": {"enum": ["layers"]}, "diffIds": {"type": "array", "minItems": 1, "items": TEXT}},
        },
    },
}


def document(wanted: Wanted, digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    registry = images.client(wanted.repository.host, wanted.repository.repository)
    stored = registry.pull_manifest(digest)
    assert stored is not None
    manifest = json.loads(stored.content)
    return manifest, json.loads(registry.read_blob(manifest["config"]["digest"]) or b"")


def test_a_model_as_modelpack(wanted: Make, tmp_path: Path) -> None:
    """Each file a layer by what it is, with its path; the configuration fits the specification; `skopeo copy` brings every file back as it was."""
    asked = wanted(
        annotations={"org.opencontainers.image.version": "1.2.3", "org.opencontainers.image.licenses": "MIT"},
        documents={"MODEL-CARD.md": b"# x\n"},
    )
    made = push(asked, images.registries(), lambda _: None)
    manifest, config = document(asked, made.digest)
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    jsonschema.validate(config, CONFIG)
    assert config["descriptor"] == {"createdAt": "2023-11-14T22:13:20Z", "name": "double", "version": "1.2.3", "licenses": ["MIT"]}
    assert config["config"] == {"format": "python"}
    layers = {one["annotations"]["org.cncf.model.filepath"]: one for one in manifest["layers"]}
    assert set(layers) == {path.relative_to(asked.model).as_posix() for path in asked.model.rglob("*") if path.is_file()} | {
        "MODEL-CARD.md"
    }
    assert layers["code/predict.py"]["mediaType"] == "application/vnd.cncf.model.code.v1.raw"
    assert layers["mlops-model.json"]["mediaType"] == "application/vnd.cncf.model.weight.config.v1.raw"
    assert config["modelfs"]["diffIds"] == [one["digest"] for one in manifest["layers"]]
    at = f"docker://{asked.repository.name}@{made.digest}"
    skopeo = require("registry", "skopeo")["skopeo"]
    subprocess.run([skopeo, "copy", "-q", "--src-tls-verify=false", at, f"dir:{tmp_path}/copy"], check=True, capture_output=True)
    for path, layer in layers.items():
        content = (tmp_path / "copy" / layer["digest"].removeprefix("sha256:")).read_bytes()
        assert content == (b"# x\n" if path == "MODEL-CARD.md" else (asked.model / path).read_bytes())


def test_unchanged_nothing_is_sent_and_changed_only_what_changed(wanted: Make, tmp_path: Path) -> None:
    """By file: the answers of the golden examples and of the reference change with the model, the environment does not."""
    first = push(wanted(), images.registries(), lambda _: None)
    again = push(wanted(), images.registries(), lambda _: None)
    assert (again.digest, again.sent_bytes) == (first.digest, 0)
    new = push(wanted(model=save(tmp_path / "new", 3)), images.registries(), lambda _: None)
    assert {one.what for one in new.layers if one.sent} == {"code/predict.py", "golden.npz", "mlops-model.json", "reference.json"}


def test_weights_that_others_wrote(wanted: Make, tmp_path: Path) -> None:
    """A folder of another tool's, a single file: by their names; what runs code when it is loaded, links and empty folders are refused."""
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(5000))
    (folder / "tokenizer.json").write_text("{}")
    asked = wanted(model=folder)
    manifest, config = document(asked, push(asked, images.registries(), lambda _: None).digest)
    assert config["config"] == {"format": "safetensors"}
    assert [one["mediaType"].split(".v1")[0].rpartition("model.")[2] for one in manifest["layers"]] == ["weight", "weight.config"]
    one = replace(asked, model=folder / "model.safetensors")
    assert len(document(one, push(one, images.registries(), lambda _: None).digest)[0]["layers"]) == 1
    (folder / "old.pkl").write_bytes(b"\x80\x04x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a").symlink_to("/etc/passwd")
    for wrong, name in ((folder, "executing-format"), (tmp_path / "empty", "empty-model"), (tmp_path / "links", "not-a-file")):
        with pytest.raises(MlopsError) as caught:
            push(replace(asked, model=wrong), images.registries(), lambda _: None)
        assert caught.value.name == name


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/model-00001.safetensors", "weight"),
        ("x.gguf", "weight"),
        ("saved_model.pb", "weight"),
        ("config.json", "weight.config"),
        ("README.md", "doc"),
        ("LICENSE", "doc"),
        ("code/net.py", "code"),
        ("merges.txt", "weight.config"),
        ("golden.npz", "dataset"),
    ],
)
def test_what_a_file_is(path: str, kind: str) -> None:
    assert kind_of(path) == kind
