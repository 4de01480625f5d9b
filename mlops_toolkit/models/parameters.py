"""How many parameters a trained model has, where its files say so themselves: read from headers, nothing of the model is loaded or run.

safetensors (the JSON header), NumPy's .npy and .npz (the array headers), ONNX (the initialisers of the graph, by reading the protobuf's
lengths). A folder that holds weights in any other format, or in two of these, is not counted: a number that may be half of it is worse
than none.
"""

from __future__ import annotations

import json
import math
import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from mlops_toolkit.config import measures as known
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats import manifest
from mlops_toolkit.records.run import Measure, Run

# Files that may hold weights that are not counted here.
OPAQUE = frozenset(
    [
        ".bin",
        ".pt",
        ".pth",
        ".ckpt",
        ".pkl",
        ".pickle",
        ".joblib",
        ".h5",
        ".hdf5",
        ".keras",
        ".msgpack",
        ".pb",
        ".tflite",
        ".gguf",
        ".ggml",
        ".cbm",
        ".ubj",
        ".model",
        ".skops",
    ]
)
MEGABYTE = 1e6
_HEADER = 100_000_000  # bytes, of a safetensors header: more is no header


def count(model: Path) -> int | None:
    """The parameters of a model's file or folder; None where they cannot be counted for certain."""
    if (model / manifest.NAME).is_file():
        return _of_saved(model)
    files = [model] if model.is_file() else sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else []
    kinds = {path.suffix.casefold() for path in files}
    found = kinds & set(READERS)
    families = {".npy" if kind == ".npz" else kind for kind in found}
    if len(families) != 1 or kinds & OPAQUE:
        return None
    try:
        counts = [READERS[path.suffix.casefold()](path) for path in files if path.suffix.casefold() in found]
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError, zipfile.BadZipFile):
        return None
    return sum(counts) or None


def _of_saved(model: Path) -> int | None:
    """Of a folder that mlops.save wrote, which says which file holds the weights and which holds them once more."""
    try:
        said = manifest.read(model)
    except MlopsError:
        return None
    return next((found for part in (said.native, said.served) if (found := count(model / part.file)) is not None), None)


def built_in(run: Run, model: Path | None) -> dict[str, Measure]:
    """What every model has without anybody's doing: its size, its parameters, and what its training took where it was trained in this run.

    model: where its file or folder is; None where it is not here.
    """
    peak = run.resources.peak_memory
    found: dict[str, float | None] = {
        "model-size-mb": run.trained.size / MEGABYTE if run.trained else None,
        "parameters": count(model) if model is not None else None,
        "peak-memory-mb": peak / MEGABYTE if peak else None,
        "training-seconds": run.resources.wall_seconds,
    }
    return {
        name: Measure((float(value),), better="lower", noisy=known.BUILT_IN[name][1], unit=known.BUILT_IN[name][0] or None)
        for name, value in found.items()
        if value is not None
    }


def _safetensors(path: Path) -> int:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_HEADER, path.stat().st_size - 8):
            raise ValueError(length)
        header = json.loads(file.read(length))
    return sum(_product(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _product(shape: Any) -> int:
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(shape)
    return math.prod(shape)


def _npy(path: Path) -> int:
    with path.open("rb") as file:
        return _array(file)


def _npz(path: Path) -> int:
    total = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                total += _array(file)
    return total


def _array(file: IO[bytes]) -> int:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "fiucb":  # text and objects are no parameters
        return 0
    return _product(shape)


def _onnx(path: Path) -> int:
    """ModelProto: graph = 7; GraphProto: initializer = 5; TensorProto: dims = 1 (one a field, or packed)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        graphs = [span for number, span in _fields(data, 0, len(data)) if number == 7]
        if not graphs:
            raise ValueError("no graph")
        tensors = [span for start, end in _spans(graphs) for number, span in _fields(data, start, end) if number == 5]
        total = 0
        for start, end in _spans(tensors):
            dims: list[int] = []
            for number, value in _fields(data, start, end):
                if number == 1:
                    dims += [value] if isinstance(value, int) else _packed(data, *value)
            total += _product(dims)
        return total


def _spans(found: list[int | tuple[int, int]]) -> list[tuple[int, int]]:
    if any(isinstance(one, int) for one in found):
        raise ValueError("a number where a message should be")
    return [one for one in found if not isinstance(one, int)]


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """The fields of a protobuf message: (number, value of a varint or the span of what has a length)."""
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > end:
            raise ValueError("a field reaches beyond its message")
        if kind == 2:
            yield number, (at, at + size)
        at += size


def _packed(data: mmap.mmap, at: int, end: int) -> list[int]:
    found = []
    while at < end:
        value, at = _varint(data, at)
        found.append(value)
    return found


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no varint")


READERS: Mapping[str, Callable[[Path], int]] = {".safetensors": _safetensors, ".npy": _npy, ".npz": _npz, ".onnx": _onnx}
