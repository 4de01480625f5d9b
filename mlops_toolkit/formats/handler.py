"""`handler`: the user's own `predict.py` with a class `Model`, for tokenizers, pictures, sound, and whatever goes before and after a model.

    class Model:
        def load(self, folder):        # pathlib.Path with the files that were saved with it
            self.words = json.loads((folder / "words.json").read_text())
        def predict(self, inputs):     # {name: array or list, one entry an example}; gives {name: list or array}
            return {"label": [...], "score": [...]}

Loading it runs that code: it is the repository's own, reviewed like the rest of it, and part of the model's digest.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import CommandFailed, InvalidFile, UsageError
from mlops_toolkit.formats.arrays import of_values
from mlops_toolkit.formats.base import Answer, Wanted
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature
from mlops_toolkit.formats.torch import CODE, copied, importable


class Handler:
    """Code and the files it reads, below `code/`."""

    name, framework = "handler", "python"
    words = ("files", "packages")
    packages: tuple[str, ...] = ("numpy",)

    def takes(self, model: Any) -> bool:
        return isinstance(model, str | os.PathLike) and str(model).endswith(".py")

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        copied([model, *(wanted.options.get("files") or ())], folder / CODE)
        packages = [str(name) for name in wanted.options.get("packages") or ()]
        return Part(self.name, CODE, {"module": Path(model).name, "packages": packages})

    def read(self, folder: Path, part: Part) -> Any:
        place = folder / part.file
        path = place / str(part.options.get("module", "predict.py"))
        if not path.is_file() or path.parent != place:
            raise InvalidFile("bad-model", f"there is no {path.name}", where=str(place))
        # A name of its own, for two models (or two versions of one) may be loaded in one process.
        name = f"mlops_handler_{abs(hash(str(path.resolve()))):x}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018
        module = importlib.util.module_from_spec(spec)
        with importable(place):
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
                made = module.Model()
                made.load(place)
            except Exception as error:
                sys.modules.pop(name, None)
                raise CommandFailed(
                    "handler-failed", f"{path.name} could not be loaded: {type(error).__name__}: {error}", where=str(place)
                ) from error
        if not callable(getattr(made, "predict", None)):
            raise InvalidFile("bad-model", f"class Model of {path.name} has no predict(inputs)", where=str(path))
        return made

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        names = [tensor.name for tensor in signature.outputs]

        def answer(arrays: Arrays) -> dict[str, Any]:
            found = model.predict(dict(arrays))
            made = as_arrays(found)
            return {name: made[name] for name in names} if names and set(names) <= set(made) else made

        return answer


def as_arrays(found: Any) -> dict[str, Any]:
    """What a predict gave, as arrays: of text object arrays of str, of whole numbers int64, of others float64 or the array's own type."""
    if not isinstance(found, Mapping):
        found = {"output": found}
    made = {}
    for name, value in found.items():
        array = of_values(value)
        if array.dtype.kind in "US":
            array = array.astype(object)
        if array.dtype == object and not all(isinstance(one, str | bytes) for one in array.reshape(-1)):
            raise UsageError(
                "bad-output", f'predict gave "{name}", which is neither numbers nor text of one shape', hint="one list or array a name"
            )
        made[str(name)] = array
    return made


FORMAT = Handler()
