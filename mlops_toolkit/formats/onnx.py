"""ONNX: a graph that runs anywhere, and what every other format is turned into where the answers prove to be the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, package, there
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import NUMPY, Arrays, Signature

FILE = "model.onnx"
# onnxruntime's names of types
_TYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    **{name.lower(): name for name in NUMPY if name.startswith(("INT", "UINT"))},
}


class Onnx:
    """A graph that was made elsewhere (`onnx.ModelProto`, or the path of an .onnx file), or by our own conversion."""

    name, framework = "onnx", "onnx"
    words: tuple[str, ...] = ()
    packages = ("onnxruntime", "numpy")

    def takes(self, model: Any) -> bool:
        return kind_of(model, "onnx") or (isinstance(model, str | os.PathLike) and str(model).endswith(".onnx"))

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        if isinstance(model, str | os.PathLike):
            there(Path(model))
        onnx = package("onnx", "onnx")
        if isinstance(model, str | os.PathLike):
            model = onnx.load(str(model))  # with its external data
        onnx.save(model, str(folder / FILE))
        return Part(self.name, FILE)

    def read(self, folder: Path, part: Part) -> Any:
        runtime = package("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # warnings about a graph's initialisers are nothing to the person who serves it
        threads = part.options.get("threads")
        if threads:
            options.intra_op_num_threads = int(threads)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several models share the processor
        try:
            return runtime.InferenceSession(str(folder / part.file), options, providers=_providers(runtime))
        except Exception as error:  # its own exceptions have no common parent
            said = str(error).splitlines()[0][:300]
            raise InvalidFile("bad-model", f"onnxruntime cannot load it: {said}", where=str(folder / part.file)) from error

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        theirs = [output.name for output in model.get_outputs()]
        ours = [tensor.name for tensor in signature.outputs] if len(signature.outputs) == len(theirs) else theirs
        fed = _fed([node.name for node in model.get_inputs()], [tensor.name for tensor in signature.inputs])
        columns = set(part.options.get("columns", ()))  # a graph that takes a column as [n, 1] where the signature says [n]
        flat = set(part.options.get("flat", ()))  # and gives one so

        double = bool(part.options.get("single"))  # a graph that computes in single precision where the signature says double
        said = {tensor.name: tensor.dtype for tensor in signature.outputs}
        # Converters give other numbers (single precision, longer integers) than the model itself: the answer is what the signature says.
        other = {
            ours[place]: NUMPY[said[ours[place]]]
            for place, node in enumerate(model.get_outputs())
            if said.get(ours[place], "BYTES") != "BYTES" and _TYPES.get(_kind(node)) != said[ours[place]]
        }

        def plain(arrays: Arrays) -> dict[str, Any]:
            return dict(zip(ours, model.run(theirs, {name: arrays[our] for name, our in fed.items()}), strict=True))

        def fitted(arrays: Arrays) -> dict[str, Any]:
            given = {name: array.reshape(-1, 1) if name in columns else array for name, array in arrays.items()}
            if double:
                given = {name: array.astype("float32") if array.dtype == "float64" else array for name, array in given.items()}
            found = plain(given)
            found = {name: value.reshape(-1) if name in flat else value for name, value in found.items()}
            return {name: value.astype(other[name]) if name in other else value for name, value in found.items()}

        return fitted if columns or flat or double or other else plain


def _fed(theirs: list[str], ours: list[str]) -> dict[str, str]:
    """Which of our inputs goes into which of the graph's: by name, else in order. A graph may leave out one that it does not use."""
    if set(theirs) <= set(ours):
        return {name: name for name in theirs}
    if len(theirs) != len(ours):
        raise InvalidFile("bad-model", f"the graph takes {', '.join(theirs)}, the model {', '.join(ours)}", where=FILE)
    return dict(zip(theirs, ours, strict=True))


def _providers(runtime: Any) -> list[str]:
    """The GPU first where this build has it, the processor always; TensorRT (minutes of building at the start) only by ONNX Runtime's own means."""
    known = runtime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "ROCMExecutionProvider", "CPUExecutionProvider") if name in known]


def _kind(node: Any) -> str:
    return str(node.type).removeprefix("tensor(").removesuffix(")")


FORMAT = Onnx()
