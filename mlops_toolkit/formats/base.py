"""What a format can do. A format is one file beside this one and a row in `FORMATS`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops_toolkit import plug
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The order in which a model is asked for: wrappers of scikit-learn's kind before scikit-learn itself, Keras (whose models are torch's
# modules where torch computes them) before torch.
FORMATS: dict[str, str] = {
    "onnx": "mlops_toolkit.formats.onnx:FORMAT",
    "xgboost": "mlops_toolkit.formats.xgboost:FORMAT",
    "lightgbm": "mlops_toolkit.formats.lightgbm:FORMAT",
    "skops": "mlops_toolkit.formats.skops:FORMAT",
    "keras": "mlops_toolkit.formats.keras:FORMAT",
    "safetensors": "mlops_toolkit.formats.torch:FORMAT",
    "saved-model": "mlops_toolkit.formats.saved_model:FORMAT",
    "handler": "mlops_toolkit.formats.handler:FORMAT",
}

Answer = Callable[[Arrays], "dict[str, NDArray[Any]]"]


@dataclass(frozen=True)
class Wanted:
    """What was asked of `save` beside the model: the example as arrays, and the words that only some formats know."""

    example: Arrays
    options: Mapping[str, Any] = field(default_factory=dict)


class Format(Protocol):
    """A way to store a model. Loading it runs no code that the file brings, but for `handler`, whose code is the user's own by design."""

    name: str
    framework: str  # the distribution that trains such models
    words: tuple[str, ...]  # what `save` may be told for this format alone
    packages: tuple[str, ...]  # the distributions that load one and let it answer

    def takes(self, model: Any) -> bool:
        """Whether it is one of this format's models; imports nothing."""
        ...

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        """Store it below the folder (there, without this format's files). UsageError where it cannot be stored so that loading is safe."""
        ...

    def read(self, folder: Path, part: Part) -> Any:
        """The model as its framework knows it. InvalidFile `bad-model`, EnvironmentFailure `package-missing`."""
        ...

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        """Arrays in, arrays out, by name; its outputs are named and ordered as `signature.outputs` where these are known."""
        ...


def named(name: str, *, where: str | None = None) -> Format:
    """The row of a name; UsageError `unknown-format`."""
    found: Format = plug.load("format", FORMATS, name, where=where)
    return found


def of(model: Any) -> Format:
    """The format that takes the model. UsageError `unknown-model` where none does."""
    for name in FORMATS:
        if named(name).takes(model):
            return named(name)
    if isinstance(model, str | os.PathLike):
        there(Path(model))
        raise UsageError(
            "unknown-model",
            f"{model} is none of the files that are models here",
            hint="give the model itself, an .onnx file, a SavedModel's folder or a predict.py",
        )
    raise UsageError(
        "unknown-model",
        f"a {type(model).__module__}.{type(model).__qualname__} is stored by none of the formats ({', '.join(FORMATS)})",
        hint='write predict.py with a class Model (load, predict), and save that: mlops.save("predict.py", FOLDER, example=x, files=[…])',
    )


def there(path: Path) -> None:
    """UsageError `no-such-file` where nothing is at a path that the user named."""
    if not path.exists():
        raise UsageError("no-such-file", f"there is no {path}", hint="paths are taken from the folder in which the script runs")


def kind_of(model: Any, package: str) -> bool:
    """Whether a class of the model, or one it stands on, comes from a package."""
    return any(parent.__module__.partition(".")[0] == package for parent in type(model).__mro__)


def package(name: str, module: str) -> Any:
    """An imported module. EnvironmentFailure `package-missing` names the distribution to install."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentFailure("package-missing", f"this needs the package {name}: {error}", hint=f"pip install {name}") from error


def room() -> None:
    """Let frameworks that unpack what they load do so where nothing else may be written: a hardened container still has its shared memory."""
    shared = "/dev/shm"  # noqa: S108 -- no file of ours: tempfile makes them, as it would in /tmp
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        if os.access(shared, os.W_OK):
            tempfile.tempdir = shared


def ordered(values: Mapping[str, Any], signature: Signature) -> dict[str, NDArray[np.generic]]:
    """Outputs under the names of the signature, in its order, where it knows any."""
    import numpy as np

    arrays = {name: np.asarray(value) for name, value in values.items()}
    names = [tensor.name for tensor in signature.outputs]
    return {name: arrays[name] for name in names} if names and set(names) <= set(arrays) else arrays
