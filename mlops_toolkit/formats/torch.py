"""PyTorch: weights as safetensors, and the module built anew by a function of the user's (`builder`).

Without a builder the weights are kept beside the ONNX graph and cannot be made a module again here. `.pt2` (torch.export) is not among the
formats: loading it can run code.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, package, there
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature

FILE, CODE = "model.safetensors", "code"
SHOW = 'mlops.save(model, FOLDER, example=x, builder="net:build", code=["net.py"])'


class Torch:
    """Modules whose forward takes tensors and gives a tensor, a tuple or a dictionary of tensors."""

    name, framework = "safetensors", "torch"
    words = ("builder", "arguments", "code")
    packages = ("torch", "safetensors", "numpy")

    def takes(self, model: Any) -> bool:
        return kind_of(model, "torch") and callable(getattr(model, "state_dict", None))

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        save = package("safetensors", "safetensors.torch").save_model  # one that knows of weights that modules share
        save(model, str(folder / FILE))
        options: dict[str, Any] = {}
        builder = wanted.options.get("builder")
        if builder is not None:
            options = {"builder": str(builder), "arguments": arguments(wanted.options.get("arguments") or {})}
            copied(wanted.options.get("code") or (), folder / CODE)
            self.read(folder, Part(self.name, FILE, options))  # at once, so that a builder that does not fit is known here
        return Part(self.name, FILE, options)

    def read(self, folder: Path, part: Part) -> Any:
        builder = part.options.get("builder")
        if not builder:
            raise UsageError(
                "no-builder",
                "the weights were saved without the function that builds the module",
                where=str(folder),
                hint=f"save it as {SHOW}",
            )
        load = package("safetensors", "safetensors.torch").load_model
        with importable(folder / CODE):
            module = called(str(builder), dict(part.options.get("arguments", {})), str(folder))
        try:
            load(module, str(folder / part.file))
        except (RuntimeError, ValueError, OSError) as error:
            raise InvalidFile("bad-model", f"the weights are not those of {builder}: {str(error)[:300]}", where=str(folder)) from error
        return module.eval()

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        torch = package("torch", "torch")
        device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        names = [tensor.name for tensor in signature.outputs]
        by_name = takes_names(model, [tensor.name for tensor in signature.inputs])

        def answer(arrays: Arrays) -> dict[str, Any]:
            given = {name: torch.from_numpy(array.copy()).to(device) for name, array in arrays.items()}
            training = model.training
            model.eval()
            try:
                with torch.inference_mode():
                    found = outputs(model(**given) if by_name else model(*given.values()))
            finally:
                model.train(training)
            values = {name: value.detach().cpu().numpy() for name, value in found.items()}
            return dict(zip(names, values.values(), strict=True)) if len(names) == len(values) else values

        return answer


def takes_names(module: Any, names: Sequence[str]) -> bool:
    """Whether forward has parameters of these names: then they are given by name, in whatever order the example has them, else in its order."""
    try:
        known = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return False
    return all(name in known and known[name].kind in (known[name].POSITIONAL_OR_KEYWORD, known[name].KEYWORD_ONLY) for name in names)


def outputs(found: Any) -> dict[str, Any]:
    """The tensors that a forward gave, by name: of a dictionary (or a dataclass that acts as one) its own, else `output`, `output-1`, …"""
    if hasattr(found, "items"):
        return {str(name): value for name, value in found.items() if hasattr(value, "detach")}
    if isinstance(found, tuple | list):
        return {"output" if i == 0 else f"output-{i}": value for i, value in enumerate(found)}
    if hasattr(found, "detach"):
        return {"output": found}
    raise UsageError(
        "bad-output", f"forward gave a {type(found).__name__}, not tensors", hint="return a tensor, a tuple or a dictionary of tensors"
    )


def arguments(given: Any) -> dict[str, Any]:
    """Arguments of a builder as JSON keeps them."""
    try:
        made: dict[str, Any] = json.loads(json.dumps(dict(given), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            "bad-builder", f"arguments are kept as JSON: {error}", hint="numbers, texts, lists and dictionaries alone"
        ) from error
    return made


def copied(sources: Any, to: Path) -> None:
    """Files and folders of code (or beside code) copied below `to` by their own names. UsageError `no-such-file`."""
    for source in map(Path, sources):
        there(source)
        to.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, to / source.name)


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Modules of a folder can be imported meanwhile, before all others; nothing is written into it.

    They are this model's alone: one of the same name that is loaded already (another version's, the training script's) is set aside, and is
    back afterwards.
    """
    own = {path.stem for path in folder.glob("*") if path.suffix == ".py" or path.is_dir()} - set(sys.stdlib_module_names)

    def taken() -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in own}

    aside, before = taken(), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
        taken()
        sys.modules.update(aside)


def called(builder: str, given: dict[str, Any], where: str) -> Any:
    """What `module:function` gives. UsageError `bad-builder`."""
    module, colon, name = builder.partition(":")
    if not colon or not module or not name:
        raise UsageError("bad-builder", f'"{builder}" names no function', where=where, hint=f"write it as module:function, e.g. {SHOW}")
    try:
        return getattr(importlib.import_module(module), name)(**given)
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(
            "bad-builder", f"{builder} cannot be called: {error}", where=where, hint=f"its file belongs to the model: {SHOW}"
        ) from error


FORMAT = Torch()
