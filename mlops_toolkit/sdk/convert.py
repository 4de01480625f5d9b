"""Turning a model into ONNX and proving that it answers the same: on the example, one by one, and in batches of other sizes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats.arrays import largest_difference
from mlops_toolkit.formats.base import Answer
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.onnx import FILE, FORMAT
from mlops_toolkit.formats.signature import Arrays, Signature, dtype_of
from mlops_toolkit.formats.torch import takes_names

if TYPE_CHECKING:
    from collections.abc import Sequence

# Single precision carries seven digits; what a graph computes in another order loses two or three of them.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
BATCHES = (1, 2, 3)
LOCALE = "C.UTF-8"  # for lower case: skl2onnx writes en_US.UTF-8, which small images do not have


@dataclass(frozen=True)
class Asked:
    """What a converter is given: the model, the example as named arrays, axes beside the first that are free, the file to write."""

    model: Any
    example: Arrays
    file: Path
    dynamic: Mapping[str, Sequence[int]] = field(default_factory=dict)


def converted(asked: Asked, kind: str, signature: Signature, native: Answer) -> tuple[Part | None, str | None]:
    """The model as ONNX below the folder of `asked.file`, or None and why not (nothing where its format is served as it is); a file that did not prove equal is removed.

    kind: the format's name. native: what the framework itself answers.
    """
    if kind not in CONVERTERS:
        return None, None
    reason = ""
    for asking in (asked, *_singles(asked, kind)):
        try:
            with quiet():
                options = CONVERTERS[kind](asking)
            part = Part(FORMAT.name, FILE, options if asking is asked else {**options, "single": True})
            return replace(part, equal=_proven(asked, part, signature, native)), None
        except (MlopsError, ImportError) as error:
            reason = reason or str(getattr(error, "message", error))
        except Exception as error:  # noqa: BLE001 -- converters raise whatever they meet; the model is served natively then
            said = " ".join(str(error).split())[:300]
            reason = reason or (said if said and isinstance(error, ValueError) else f"{type(error).__name__}: {said}")
        for file in asked.file.parent.glob(FILE + "*"):
            file.unlink()
    return None, reason


def _singles(asked: Asked, kind: str) -> tuple[Asked, ...]:
    """The same in single precision: ONNX has no trees in double precision, and scikit-learn's own compare in single."""
    if kind != "skops" or not any(array.dtype == "float64" for array in asked.example.values()):
        return ()
    example = {name: array.astype("float32") if array.dtype == "float64" else array for name, array in asked.example.items()}
    return (replace(asked, example=example),)


def _proven(asked: Asked, part: Part, signature: Signature, native: Answer) -> dict[str, Any]:
    """How it was held against the original. ValueError where it answers otherwise."""
    folder = asked.file.parent
    session = FORMAT.read(folder, part)
    graph = FORMAT.answers(session, signature, part)
    rows = len(next(iter(asked.example.values())))
    largest, batches = 0.0, sorted({size for size in (*BATCHES, rows) if size <= rows} | ({2, 3} if rows == 1 else set()))
    for size in batches:
        # of an example of one row, a batch is that row again
        given = {name: array[[i % rows for i in range(size)]] for name, array in asked.example.items()}
        with quiet():
            wanted = native(given)
        apart = largest_difference(graph(given), wanted, relative=RELATIVE, absolute=ABSOLUTE)
        if apart is None:
            raise ValueError(f"as ONNX it answers {'an example' if size == 1 else f'{size} examples'} otherwise")
        largest = max(largest, apart)
    return {"largest-difference": largest, "rows": rows, "batches": batches}


def of_sklearn(asked: Asked) -> dict[str, Any]:
    """By skl2onnx; numbers in their own precision, a column of a frame as an input of its own."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common import data_types as kinds

    known = {
        "FP32": kinds.FloatTensorType,
        "FP64": kinds.DoubleTensorType,
        "INT64": kinds.Int64TensorType,
        "INT32": kinds.Int32TensorType,
        "BOOL": kinds.BooleanTensorType,
        "BYTES": kinds.StringTensorType,
    }
    columns = [name for name, array in asked.example.items() if array.ndim == 1 and len(asked.example) > 1]
    types = []
    for name, array in asked.example.items():
        kind = dtype_of(array)
        if kind not in known:
            raise ValueError(f"skl2onnx takes no {kind}")
        shape = [None, 1] if name in columns else [None, *array.shape[1:]]
        types.append((name, known[kind](shape)))
    classifier = hasattr(asked.model, "classes_")
    options: dict[int, dict[str, Any]] = {
        id(step): {"locale": LOCALE} for step in _steps(asked.model) if type(step).__name__ in ("TfidfVectorizer", "CountVectorizer")
    }
    proba = classifier and hasattr(asked.model, "predict_proba")
    if proba:
        options[id(asked.model.steps[-1][1] if hasattr(asked.model, "steps") else asked.model)] = {"zipmap": False}
    made = convert_sklearn(asked.model, initial_types=types, options=options or None)
    del made.graph.output[2 if proba else 1 :]  # scores that the model itself would not give
    asked.file.write_bytes(made.SerializeToString())
    return {"columns": columns, "flat": [] if classifier else ["prediction"]}


def _steps(model: Any) -> Iterator[Any]:
    """An estimator and all that it is put together of."""
    yield model
    for name in ("steps", "transformer_list", "transformers_", "transformers"):
        for entry in getattr(model, name, None) or ():
            yield from _steps(entry[1])


def of_torch(asked: Asked) -> dict[str, Any]:
    """By torch.onnx with a free first axis (and those that were named), weights inside."""
    import torch

    training = asked.model.training
    device = next((weight.device for weight in asked.model.parameters()), torch.device("cpu"))
    given = {name: torch.from_numpy(array[[0, len(array) - 1]]).to(device) for name, array in asked.example.items()}
    by_name = takes_names(asked.model, list(given))
    batch = torch.export.Dim("batch")
    shapes = {}
    for name in given:
        free = {axis: torch.export.Dim(f"{name.replace('-', '_')}_{axis}") for axis in asked.dynamic.get(name, ()) if axis}
        shapes[name] = {0: batch, **free}
    asked.model.eval()
    try:
        torch.onnx.export(
            asked.model,
            () if by_name else tuple(given.values()),
            str(asked.file),
            kwargs=given if by_name else None,
            input_names=list(asked.example),
            dynamic_shapes=shapes if by_name else tuple(shapes.values()),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    finally:
        asked.model.train(training)
    return {}


def of_keras(asked: Asked) -> dict[str, Any]:
    """By Keras' own exporter."""
    asked.model.export(str(asked.file), format="onnx", verbose=False)
    return {}


CONVERTERS: dict[str, Callable[[Asked], dict[str, Any]]] = {"skops": of_sklearn, "safetensors": of_torch, "keras": of_keras}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Converters print and warn about their own insides; what matters is whether the answers are the same."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
