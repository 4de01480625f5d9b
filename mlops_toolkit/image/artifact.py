"""The model alone in a registry, as ModelPack says it (github.com/modelpack/model-spec): for those who serve it with vLLM, Triton or KServe.

One layer a file, as it is: two versions share what did not change, and so does the models store.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.refused import refuse
from mlops_toolkit.image.assemble import bounded, moment
from mlops_toolkit.image.base import Registries
from mlops_toolkit.image.entries import Entry, below, checked_names
from mlops_toolkit.image.push import CONFIGURATION, Blob, of_files, send
from mlops_toolkit.image.wanted import Pushed, Wanted
from mlops_toolkit.oci.documents import MANIFEST, Descriptor, Manifest, canonical
from mlops_toolkit.system.files import sha256

ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
FILE, TITLE = "org.cncf.model.filepath", "org.opencontainers.image.title"
EXECUTABLE = "vnd.mlops.executable"  # part of a model's digest, which ModelPack has no word for
# kind -> what such files are called; what fits nothing holds weights
KINDS = {
    "doc": re.compile(r"(?i)(readme|license|licence|notice|copying|model-?card)(\..*)?|.*\.(md|rst|pdf)|environment\.txt"),
    "code": re.compile(r"(?i).*\.(py|sh|cc?|cpp|h|js|proto)"),
    "dataset": re.compile(re.escape("golden.npz")),
    "weight.config": re.compile(r"(?i).*\.(json|ya?ml|toml|txt|pbtxt|jinja|cfg|ini|model)|merges.*|vocab.*"),
}
FORMATS = {"saved-model": "tensorflow", "handler": "python"}  # what is called otherwise there
SUFFIXES = {".safetensors": "safetensors", ".gguf": "gguf", ".onnx": "onnx", ".keras": "keras", ".ubj": "xgboost", ".skops": "skops"}
# of our annotations, what the configuration has a place for
DESCRIBED = {"version": "version", "revision": "revision", "source": "sourceURL", "title": "title", "description": "description"}


def push(wanted: Wanted, registries: Registries, say: Callable[[str], None]) -> Pushed:
    """Send the model's files and what describes them; by digest, no tag is touched.

    The model may be any folder or file of a format that runs nothing when it is loaded. InvalidFile `model-damaged`, `bad-name`, `not-a-file`;
    UsageError `executing-format`; CommandFailed `empty-model`.
    """
    begun = time.monotonic()
    registry = registries(wanted.repository)
    before = registry.sent_bytes
    entries, form = _entries(wanted)
    entries += [Entry(path.lstrip("/"), content) for path, content in wanted.documents.items()]
    checked_names(entries)
    blobs = [_blob(entry) for entry in sorted(entries, key=lambda one: one.path)]
    largest = sorted(blobs, key=lambda blob: -blob[0].size)
    raw = configuration(wanted, form, [blob[0].digest for blob in blobs])
    config = Descriptor.of(CONFIG, raw)
    sent = send(registry, [*largest, (config, CONFIGURATION, partial(Entry("config", raw).open))], say)
    manifest = Manifest(config, tuple(blob[0] for blob in blobs), marks_of(wanted), ARTIFACT).to_bytes()
    described = Descriptor.of(MANIFEST, manifest)
    registry.push_manifest(described.digest, manifest, MANIFEST)
    return Pushed(
        described.digest,
        manifest,
        MANIFEST,
        {},
        tuple(sent[digest] for digest in dict.fromkeys(blob[0].digest for blob in blobs)),
        registry.sent_bytes - before,
        seconds=time.monotonic() - begun,
    )


def marks_of(wanted: Wanted) -> dict[str, str]:
    """What is written on it."""
    own = {"org.opencontainers.image.created": moment(wanted.epoch), "org.opencontainers.image.title": wanted.name}
    return bounded({**own, **wanted.annotations})


def kind_of(path: str) -> str:
    """`weight`, `weight.config`, `doc`, `code` or `dataset`, by the file's name."""
    name = PurePosixPath(path).name
    return next((kind for kind, pattern in KINDS.items() if pattern.fullmatch(name)), "weight")


def configuration(wanted: Wanted, form: str, digests: list[str]) -> bytes:
    """The model's configuration as ModelPack says it. digests: of the layers, in order."""
    prefix = "org.opencontainers.image."
    marks: Mapping[str, str] = wanted.annotations
    told = {theirs: marks[prefix + ours] for ours, theirs in DESCRIBED.items() if marks.get(prefix + ours)}
    licence = marks.get(f"{prefix}licenses")
    descriptor: dict[str, Any] = {"createdAt": moment(wanted.epoch), "name": wanted.name, **told}
    if licence:
        descriptor["licenses"] = [licence]
    return canonical({"descriptor": descriptor, "config": {"format": form}, "modelfs": {"type": "layers", "diffIds": digests}})


def _entries(wanted: Wanted) -> tuple[list[Entry], str]:
    """The model's files with their digests, and what its format is called."""
    place = wanted.model
    if (place / manifests.NAME).is_file():
        model = manifests.read(place)
        manifests.verify(place, model)
        known = {name: sha for name, (sha, _) in model.files.items()}
        name = model.native.format
        return [Entry(one.path[2:], one.source, one.executable, one.sha256) for one in below(place, ".", known)], FORMATS.get(name, name)
    refuse(place)
    found = (
        [Entry(place.name, place)] if place.is_file() else [Entry(one.path[2:], one.source, one.executable) for one in below(place, ".")]
    )
    if not found:
        raise CommandFailed("empty-model", f"the folder {place} holds no file", hint="`train.output` names what the command leaves behind")
    largest = max(found, key=lambda one: one.size)
    return found, SUFFIXES.get(PurePosixPath(largest.path).suffix.lower(), "other")


def _blob(entry: Entry) -> Blob:
    kind = f"application/vnd.cncf.model.{kind_of(entry.path)}.v1.raw"
    marks = {FILE: entry.path, TITLE: entry.path, **({EXECUTABLE: "true"} if entry.executable else {})}
    if isinstance(entry.source, bytes):
        return Descriptor.of(kind, entry.source, annotations=marks), entry.path, entry.open
    described = Descriptor(kind, f"sha256:{entry.sha256 or sha256(entry.source)}", entry.size, marks)
    return described, entry.path, of_files(entry.open, described, str(entry.source))
