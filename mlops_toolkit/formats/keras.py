"""Keras 3's `.keras` file, loaded in safe mode: a layer that carries code of its own (a Lambda, a wrapped torch module) is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, package, room
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature

FILE = "model.keras"
BACKENDS = ("tensorflow", "torch", "jax")


class Keras:
    """Sequential and functional models; their inputs and outputs keep the names that the layers have."""

    name, framework = "keras", "keras"
    words: tuple[str, ...] = ()
    packages = ("keras", "numpy")  # and the backend that it was trained with

    def takes(self, model: Any) -> bool:
        return kind_of(model, "keras") and callable(getattr(model, "predict_on_batch", None))

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        model.save(folder / FILE)
        part = Part(self.name, FILE, {"backend": str(package("keras", "keras").backend.backend())})
        try:
            self.read(folder, part)
        except InvalidFile as error:
            raise UsageError(
                "executing-format",
                f"it cannot be loaded again without running code: {error.message}",
                hint="write a layer as a class that is registered, or a Lambda as built-in layers (keras.layers.Rescaling, keras.ops)",
            ) from error
        return part

    def read(self, folder: Path, part: Part) -> Any:
        room()
        with _backend(part.options.get("backend")):
            keras = package("keras", "keras")
        try:
            return keras.saving.load_model(folder / part.file, safe_mode=True, compile=False)
        except (ValueError, TypeError, OSError, KeyError) as error:
            said = " ".join(str(error).split())[:300]
            raise InvalidFile("bad-model", f"Keras cannot load it: {said}", where=str(folder / part.file)) from error

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        names = list(getattr(model, "output_names", None) or [])

        inputs = [str(tensor.name) for tensor in getattr(model, "inputs", None) or []]

        def answer(arrays: Arrays) -> dict[str, Any]:
            import numpy as np

            given = [arrays[name] for name in (inputs if set(inputs) == set(arrays) else arrays)]
            found = model.predict_on_batch(given[0] if len(given) == 1 else given)
            if isinstance(found, dict):
                return {str(name): np.asarray(value) for name, value in found.items()}
            several = found if isinstance(found, list | tuple) else [found]
            ours = [tensor.name for tensor in signature.outputs] or (names if len(names) == len(several) > 1 else [])
            if len(ours) != len(several):
                ours = ["output" if i == 0 else f"output-{i}" for i in range(len(several))]
            return {name: np.asarray(value) for name, value in zip(ours, several, strict=True)}

        return answer


@contextlib.contextmanager
def _backend(name: object) -> Iterator[None]:
    """Keras is imported with the backend that the model was saved with, where nobody has chosen another and that one is installed.

    Keras reads the variable once, when it is imported; without it it takes TensorFlow, which an image of another backend does not have.
    """
    chosen = "keras" in sys.modules or os.environ.get("KERAS_BACKEND")
    if chosen or name not in BACKENDS or importlib.util.find_spec(str(name)) is None:
        yield
        return
    os.environ["KERAS_BACKEND"] = str(name)
    try:
        yield
    finally:
        del os.environ["KERAS_BACKEND"]


FORMAT = Keras()
