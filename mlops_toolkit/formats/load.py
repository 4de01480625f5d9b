"""A model's folder as something that answers: `load(folder)` in any process, with nothing of the script that saved it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.formats import arrays, golden
from mlops_toolkit.formats.base import Answer, named
from mlops_toolkit.formats.manifest import Manifest, Part, read, verify
from mlops_toolkit.formats.refused import refuse
from mlops_toolkit.formats.signature import Signature, cast, problems

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Loaded:
    """A model that answers.

    model   as its framework knows it (an estimator, a module, a Booster, an ONNX session)
    answer  arrays in, arrays out, by name, unchecked
    """

    folder: Path
    manifest: Manifest
    part: Part
    model: Any
    answer: Answer

    @property
    def signature(self) -> Signature:
        """Names, types and shapes of what goes in and comes out."""
        return self.manifest.signature

    def predict(self, x: Any) -> Any:
        """Answers to what `save` took as an example (an array, a frame, texts, {name: array}): one array, or several by name.

        UsageError `bad-input` names every difference from the signature.
        """
        wanted = {tensor.name: tensor for tensor in self.signature.inputs}
        given = arrays.named(x, list(wanted) if not hasattr(x, "columns") else None)
        fitting = {name: cast(array, wanted[name]) if name in wanted else None for name, array in given.items()}
        given = {name: array if fitting[name] is None else fitting[name] for name, array in given.items()}  # type: ignore[misc]
        wrong = problems(given, self.signature.inputs)
        if wrong:
            raise UsageError("bad-input", "; ".join(wrong), where="input")
        found = self.answer({name: given[name] for name in wanted})
        return next(iter(found.values())) if len(found) == 1 else found

    def golden(self) -> float:
        """Ask the golden examples again: the largest difference from what was answered then. InvalidFile `golden-differs`."""
        inputs, outputs = golden.read(self.folder, self.signature)
        found: dict[str, NDArray[Any]] = self.answer(inputs)
        apart = arrays.largest_difference(found, outputs, relative=golden.RELATIVE, absolute=golden.ABSOLUTE)
        if apart is None:
            raise InvalidFile(
                "golden-differs",
                "the model does not answer its golden examples as it did when it was saved",
                where=str(self.folder),
                hint="another version of a package it needs, or weights that are not the saved ones; `mlops inspect` shows both",
            )
        return apart


def load(folder: str | Path, *, served: bool = False, threads: int | None = None) -> Loaded:
    """A model that `mlops.save` wrote, verified by digest.

    served: in the form that answers requests (the ONNX conversion, where there is one) instead of its framework's own.
    threads: for ONNX Runtime. A module that was saved without its builder comes as its ONNX form.
    InvalidFile `bad-model`, `model-damaged`; UsageError `executing-format`; EnvironmentFailure `package-missing`.
    """
    place = Path(folder)
    if place.is_file():
        refuse(place)
    manifest = read(place)
    verify(place, manifest)
    part = (
        manifest.served
        if served or (manifest.native.format == "safetensors" and not manifest.native.options.get("builder"))
        else manifest.native
    )
    if threads:
        part = replace(part, options={**part.options, "threads": threads})
    row = named(part.format, where=str(place))
    model = row.read(place, part)
    return Loaded(place, manifest, part, model, row.answers(model, manifest.signature, part))
