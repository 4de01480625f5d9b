"""`mlops.save`: a trained model becomes a folder that any process can load, with its signature, its environment and golden examples."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit._version import __version__
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.formats import arrays, base, golden, manifest, reference
from mlops_toolkit.formats.load import load
from mlops_toolkit.formats.manifest import Manifest, Part
from mlops_toolkit.formats.reference import Reference
from mlops_toolkit.formats.refused import refuse
from mlops_toolkit.formats.signature import Signature, described, dtype_of
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.sdk.convert import Asked, converted, quiet

if TYPE_CHECKING:
    from mlops_toolkit.formats.signature import Arrays

ENVIRONMENT = "environment.txt"
PROVEN = 1000  # rows of the example, at most, on which a conversion is held against the original
ANSWERED, BATCH = 500, 50  # rows, at most, whose answers are counted into the reference, and of them asked at once
PATIENCE = 10.0  # seconds that this may take


def save(
    model: Any,
    to: str | os.PathLike[str],
    *,
    example: Any,
    inputs: Sequence[str] | None = None,
    labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    units: Mapping[str, str] | None = None,
    dynamic: Mapping[str, Sequence[int]] | None = None,
    builder: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    code: Sequence[str | os.PathLike[str]] = (),
    files: Sequence[str | os.PathLike[str]] = (),
    packages: Sequence[str] = (),
    onnx: bool = True,
) -> Path:
    """Write `model` to the folder `to` (what was there goes); returns the folder.

    model      an estimator, module, Booster, Keras model, ONNX graph, SavedModel folder, or the path of a `predict.py` with a class Model
    example    real inputs, one row an example, as the model is called with them: some become golden examples, up to 1,000 prove the conversion
    inputs     names of the inputs, where the example has none (columns, a dictionary)
    labels     what the classes are called, in order; or {output: names}
    units      {input or output: unit}, as people write it
    dynamic    {input: axes} that may have any length beside the first
    builder    of a PyTorch module: `module:function` that builds it, called with `arguments`; `code` are its files
    files      of a handler: what its `load(folder)` reads; `packages` what it imports
    onnx       False: serve it with its own framework, without converting it

    UsageError: `unknown-model`, `executing-format`, `bad-example`, `no-way-back` and what a format has to say.
    """
    if isinstance(model, str | os.PathLike) and not str(model).endswith(".py"):
        refuse(Path(model))
    row = base.of(model)
    given = arrays.named(example, inputs)
    words = {"builder": builder, "arguments": arguments, "code": code, "files": files, "packages": packages}
    options = {word: value for word, value in words.items() if value}
    for word in options:
        if word not in row.words:
            raise UsageError("no-effect", f"{word} has no effect on a model that is stored as {row.name}", where=word, hint="leave it out")
    said = _Said(labels, units or {}, dynamic or {}, onnx)
    said.check(given)
    place = Path(to).resolve()  # a link to a larger disk stays one
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as temporary:
            folder = Path(temporary) / "model"
            folder.mkdir()
            _write(folder, row, model, given, options, said)
            _settle(folder, place)
    except OSError as error:
        raise EnvironmentFailure("not-saved", f"it cannot be written: {error.strerror or error}", where=str(place)) from error
    except MlopsError as error:
        if error.where:  # the folder that it was built in is gone
            error.where = error.where.replace(str(folder), str(place))
        raise
    return Path(to)


@dataclass(frozen=True)
class _Said:
    """What a person said about the numbers, and whether a conversion is wanted."""

    labels: Any
    units: Mapping[str, str]
    dynamic: Mapping[str, Sequence[int]]
    onnx: bool

    def check(self, given: Arrays) -> None:
        """UsageError `unknown-name`, `unknown-axis` for free axes of what the example does not have."""
        for name, axes in self.dynamic.items():
            _known("input", name, given, "dynamic")
            wrong = [axis for axis in axes if not 0 <= axis < given[name].ndim]
            if wrong:
                raise UsageError(
                    "unknown-axis", f'"{name}" has {given[name].ndim} axes, counted from 0: there is no {wrong[0]}', where="dynamic"
                )


def _known(kind: str, name: str, names: Iterable[str], where: str) -> None:
    """UsageError `unknown-name` for a name that there is not."""
    if name not in names:
        raise UsageError("unknown-name", f'there is no {kind} "{name}"', where=where, hint=did_you_mean(name, names))


def _write(folder: Path, row: base.Format, model: Any, given: Arrays, options: Mapping[str, Any], said: _Said) -> None:
    native = row.write(model, folder, base.Wanted(given, options))
    if isinstance(model, str | os.PathLike) or row.name == "onnx":  # a file, folder or graph is not yet a model that answers
        model = row.read(folder, native)
    bare = Signature(described(given, dynamic=said.dynamic, units=said.units), ())
    answer = row.answers(model, bare, native)
    known = {name: array[:PROVEN] for name, array in given.items()}
    rows = golden.rows_of(known)
    first = {name: array[:rows] for name, array in known.items()}
    try:
        outputs = answer(first)
    except MlopsError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UsageError(
            "bad-example", f"the model does not answer it: {what}", where="example", hint="give it as the model is called"
        ) from error
    _checked(outputs, rows)
    for name in said.units:
        _known("input or output", name, [*given, *outputs], "units")
    signature = Signature(bare.inputs, described(outputs, units=said.units, labels=_labels(model, native, outputs, said.labels)))
    part: Part | None = None
    reason: str | None = "not asked for"
    if said.onnx:
        asked = Asked(model, known, folder / "model.onnx", said.dynamic)
        part, reason = converted(asked, row.name, signature, row.answers(model, signature, native))
    if part is None and row.name == "safetensors" and not native.options.get("builder"):
        raise UsageError(
            "no-way-back",
            f"the module could not be turned into ONNX ({reason}), and weights alone cannot be loaded again",
            hint='name the function that builds it: mlops.save(model, FOLDER, example=x, builder="net:build", code=["net.py"])',
        )
    golden.write(folder, first, outputs)
    served = part or native
    asking = answer if part is None else base.named(part.format).answers(base.named(part.format).read(folder, part), signature, part)
    (folder / reference.NAME).write_bytes(reference.written(_reference(given, first, signature, asking)))
    (folder / ENVIRONMENT).write_text(environment(), encoding="utf-8")
    made = Manifest(
        native,
        served,
        signature,
        {"name": row.framework, "version": _version(row.framework) or platform.python_version()},
        _runtime(served),
        platform.python_version(),
        rows,
        manifest.digests(folder),
        reason if part is None else None,
        f"mlops-toolkit {__version__}",
    )
    (folder / manifest.NAME).write_bytes(manifest.written(made))
    load(folder).golden()  # what was written is what will be loaded
    if part is not None:
        load(folder, served=True).golden()


def _reference(given: Arrays, first: Arrays, signature: Signature, answer: base.Answer) -> Reference:
    """What the example looks like, and the answers to it where that takes no longer than a person waits for. first: some rows of it."""
    import numpy as np

    inputs = reference.of(given, signature.inputs)
    asked = {name: array[reference.spread(len(array), ANSWERED)] for name, array in given.items()}
    rows = len(next(iter(asked.values())))
    try:
        with quiet():
            # the first time, much of what a framework does is done once
            if _seconds(answer, first) * rows > PATIENCE and _seconds(answer, first) * rows > PATIENCE:
                return Reference(inputs)
            found = [answer({name: array[start : start + BATCH] for name, array in asked.items()}) for start in range(0, rows, BATCH)]
            outputs = {tensor.name: np.concatenate([one[tensor.name] for one in found]) for tensor in signature.outputs}
    except Exception:  # noqa: BLE001 -- its first rows it did answer: what it refuses of the others is nothing to watch, and no reason not to save
        return Reference(inputs)
    return Reference(inputs, reference.of(outputs, signature.outputs, same=reference.SAME))


def _seconds(answer: base.Answer, rows: Arrays) -> float:
    """That an answer to a row takes."""
    begin = time.perf_counter()
    answer(rows)
    return (time.perf_counter() - begin) / len(next(iter(rows.values())))


def _checked(outputs: Arrays, rows: int) -> None:
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            shape = list(array.shape)
            raise UsageError(
                "bad-output", f'of {rows} examples the output "{name}" has the shape {shape}', hint="one row an example, in order"
            )
        if dtype_of(array) is None:
            raise UsageError("bad-output", f'the output "{name}" is of type {array.dtype}', hint="numbers, truth values or text")


def _labels(model: Any, native: Part, outputs: Arrays, said: Any) -> dict[str, Sequence[str]]:
    """Names of classes by output: as said, else as the model itself has them. Those of a `label` only where its numbers count the classes."""
    if isinstance(said, Mapping):
        for name in said:
            _known("output", name, outputs, "labels")
        return {str(name): [str(one) for one in names] for name, names in said.items()}
    own = getattr(model, "classes_", None)
    names = [str(one) for one in (said if said is not None else own if own is not None and getattr(own, "ndim", 1) == 1 else ())]
    if not names:
        return {}
    found: dict[str, Sequence[str]] = {name: names for name, array in outputs.items() if array.ndim == 2 and array.shape[1] == len(names)}
    if said is not None and not found:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise UsageError("bad-labels", f"{len(names)} labels, and no output has a last axis of that length: {shapes}", where="labels")
    counts = native.options.get("classifier") or own is None or list(own) == list(range(len(names)))
    if counts and "label" in outputs and outputs["label"].dtype.kind in "iu":
        found["label"] = names
    return found


def _runtime(part: Part) -> tuple[str, ...]:
    """What must be installed where it answers, each at the version it has here."""
    wanted = [*base.named(part.format).packages, *part.options.get("packages", ())]
    if part.format == "keras":
        backend = __import__("keras").backend.backend()
        wanted.append(next((name for name in (backend, f"{backend}-cpu") if _version(name)), backend))
    return tuple(f"{name}=={version}" for name in dict.fromkeys(wanted) for version in [_version(name)] if version)


def _version(name: str) -> str | None:
    """Of a distribution, or of its build for the processor alone (tensorflow-cpu)."""
    found = (one.version for spelling in (name, f"{name}-cpu") for one in importlib.metadata.distributions(name=spelling))
    return next(found, None)


def environment() -> str:
    """Every distribution that is installed here, a line each, as `pip install -r` reads it."""
    found = {}
    for one in importlib.metadata.distributions():
        name = one.metadata["Name"]
        if name:
            found[name.lower().replace("_", "-")] = one.version
    return f"# Python {platform.python_version()}\n" + "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def _settle(folder: Path, place: Path) -> None:
    """Put what was built into its place; what stood there goes. Killed between the two moves, the former folder lies beside, whole."""
    if place.exists():
        if place.is_file() or (any(place.iterdir()) and not (place / manifest.NAME).exists()):
            raise UsageError(
                "model-in-the-way",
                f"{place} holds something else than a saved model",
                where="to",
                hint="name a folder of its own, or empty that one",
            )
        place.rename(folder.parent / "former")  # it goes with the folder that this one was built in
    folder.rename(place)
