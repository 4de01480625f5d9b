"""`mlops-model.json`: what a model's folder holds, how to load it, and the digest of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor

NAME = "mlops-model.json"
SCHEMA = 1
AGAIN = "save it again: mlops.save(model, FOLDER, example=x)"


@dataclass(frozen=True)
class Part:
    """The model in one format.

    file     below the folder: a file or a folder
    options  what the format needs to load it (its own words)
    equal    of a converted one: how it was held against the original (see sdk.convert), else None
    """

    format: str
    file: str
    options: Mapping[str, Any] = field(default_factory=dict)
    equal: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Manifest:
    """A model's folder.

    native      the model as its own framework stores it
    served      what answers requests: the ONNX conversion where there is one that was proven equal, else `native`
    converted   why there is no conversion, else None
    framework   name and version of what trained it
    runtime     the packages that serve it, each `name==version`
    files       sha256 and size of every file but this one
    """

    native: Part
    served: Part
    signature: Signature
    framework: Mapping[str, str]
    runtime: tuple[str, ...]
    python: str
    golden_rows: int
    files: Mapping[str, tuple[str, int]]
    converted: str | None = None
    written_by: str = ""


def written(manifest: Manifest) -> bytes:
    """The file's bytes; the same manifest gives the same bytes."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "native": _part(manifest.native),
        "served": _part(manifest.served),
        "converted": manifest.converted,
        "inputs": [_tensor(tensor) for tensor in manifest.signature.inputs],
        "outputs": [_tensor(tensor) for tensor in manifest.signature.outputs],
        "framework": dict(manifest.framework),
        "runtime": list(manifest.runtime),
        "python": manifest.python,
        "golden-rows": manifest.golden_rows,
        "files": {name: {"sha256": sha, "size": size} for name, (sha, size) in sorted(manifest.files.items())},
        "written-by": manifest.written_by,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _part(part: Part) -> dict[str, Any]:
    made: dict[str, Any] = {"format": part.format, "file": part.file, "options": dict(part.options)}
    return made if part.equal is None else {**made, "equal": dict(part.equal)}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tensor.name, "dtype": tensor.dtype, "shape": [-1 if n is None else n for n in tensor.shape]}
    if tensor.unit is not None:
        made["unit"] = tensor.unit
    made.update({word: True for word in ("missing", "files") if getattr(tensor, word)})
    return made if tensor.labels is None else {**made, "labels": list(tensor.labels)}


def read(folder: Path) -> Manifest:
    """The manifest of a model's folder. InvalidFile `bad-model` where it is none or says what cannot be meant."""
    place = folder / NAME
    try:
        raw = place.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.exists():
            raise InvalidFile("bad-model", "there is no such folder", where=str(folder)) from error
        raise InvalidFile("bad-model", f"there is no {NAME}: not a model that mlops.save wrote", where=str(folder), hint=AGAIN) from error
    try:
        return _read(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise InvalidFile("bad-model", f"it cannot be read: {said}", where=str(place), hint=AGAIN) from error


def _read(data: Any) -> Manifest:
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r}; this version reads {SCHEMA}")
    files = {}
    for name, told in data["files"].items():
        if not safe(name):
            raise ValueError(f"{name!r} is no path below the folder")
        files[name] = (str(told["sha256"]), int(told["size"]))
    parts = []
    for said in (data["native"], data["served"]):
        part = Part(str(said["format"]), str(said["file"]), dict(said["options"]), said.get("equal"))
        if not safe(part.file) or not any(name == part.file or name.startswith(part.file + "/") for name in files):
            raise ValueError(f"{part.file!r} is none of its files")
        parts.append(part)
    signature = Signature(tuple(map(_tensor_of, data["inputs"])), tuple(map(_tensor_of, data["outputs"])))
    native, served = parts
    return Manifest(
        native,
        served,
        signature,
        {str(key): str(value) for key, value in data["framework"].items()},
        tuple(map(str, data["runtime"])),
        str(data["python"]),
        int(data["golden-rows"]),
        files,
        None if data["converted"] is None else str(data["converted"]),
        str(data["written-by"]),
    )


def _tensor_of(said: Any) -> Tensor:
    if said["dtype"] not in NUMPY:
        raise ValueError(f"there is no type {said['dtype']!r}")
    shape = tuple(None if int(length) == -1 else int(length) for length in said["shape"])
    if any(length is not None and length < 0 for length in shape):
        raise ValueError(f"the shape of {said['name']!r} is {said['shape']}")
    labels = said.get("labels")
    unit = said.get("unit")
    return Tensor(
        str(said["name"]),
        str(said["dtype"]),
        shape,
        None if unit is None else str(unit),
        None if labels is None else tuple(map(str, labels)),
        said.get("missing") is True,
        said.get("files") is True,
    )


def safe(name: str) -> bool:
    """Whether a path leads to something below the folder it is in, wherever it is unpacked."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name and "\0" not in name and name == "/".join(parts)
    )


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    """sha256 and size of every file below the folder but the manifest. InvalidFile `bad-model` for a link or something else that is no file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidFile("bad-model", f"{name} is a link, or no file: a model is files alone", where=str(folder))
        if path.is_file() and name != NAME:
            found[name] = (_sha256(path), path.stat().st_size)
    return found


def verify(folder: Path, manifest: Manifest) -> None:
    """That every file is the one that was saved, and none is missing or new. InvalidFile `model-damaged`."""
    found = digests(folder)
    for name in sorted({*found, *manifest.files}):
        if name not in found:
            raise InvalidFile("model-damaged", f"{name} is missing", where=str(folder), hint="bring the folder here again, whole")
        if name not in manifest.files:
            raise InvalidFile(
                "model-damaged", f"{name} was not saved with it", where=str(folder), hint="a model's folder holds nothing else"
            )
        if found[name] != manifest.files[name]:
            raise InvalidFile(
                "model-damaged", f"{name} is not what was saved", where=str(folder), hint="bring the folder here again, whole"
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
