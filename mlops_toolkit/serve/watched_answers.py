"""How often a model gives which answer: labels counted, numbers in a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_toolkit.formats.reference import TEXT, Feature
from mlops_toolkit.formats.signature import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = 50  # of an output, that are told apart
SHARES = tuple(round(0.05 * step, 2) for step in range(1, 21))
ANY = (-1000.0, -100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0, 1000.0)
OTHER = "other"


class Labels:
    """An output that names a label a row: text, a whole number, or by the largest of one number a label.

    Only labels that the model is known to have are told apart: those of its signature, and those of its example.
    """

    def __init__(self, tensor: Tensor, known: Sequence[str]) -> None:
        self.tensor = tensor
        self._known = [str(one)[:TEXT] for one in known[:LABELS]]
        self.counts: Counter[str] = Counter(dict.fromkeys(self._known, 0))

    def add(self, array: NDArray[Any]) -> None:
        """Count these rows."""
        import numpy as np

        if self.tensor.dtype == "BYTES":
            words = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in array.reshape(-1).tolist()]
            for word, count in Counter(words).items():
                self.counts[word if word in self.counts else OTHER] += count
            return
        if array.ndim == 2:
            array = array[~np.isnan(array).all(axis=1)]
            if not len(array):
                return
            array = np.nanargmax(array, axis=1)
        numbers, counts = np.unique(array.reshape(-1), return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            inside = 0 <= number < len(self._known)
            self.counts[self._known[int(number)] if inside else OTHER] += count


class Numbers:
    """An output with a number a row, or with one a label: then the largest, which is how sure the model was."""

    def __init__(self, tensor: Tensor, bounds: Sequence[float]) -> None:
        self.tensor, self.bounds = tensor, tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, array: NDArray[Any]) -> None:
        """Count these rows; what is no number is left out."""
        import numpy as np

        numbers = array.reshape(len(array), -1).astype(np.float64)
        numbers = numbers[np.isfinite(numbers).all(axis=1)]
        if not len(numbers):
            return
        largest = numbers.max(axis=1)
        found = np.bincount(np.searchsorted(self.bounds, largest, side="left"), minlength=len(self.counts)).tolist()
        self.counts = [ours + more for ours, more in zip(self.counts, found, strict=True)]
        self.total += float(largest.sum())


class Answers:
    """Of all outputs of a model."""

    def __init__(self, outputs: Sequence[Tensor], reference: Sequence[Feature] = ()) -> None:
        named = any(_named(tensor, reference) for tensor in outputs)
        self.labels: list[Labels] = []
        self.numbers: list[Numbers] = []
        for tensor in outputs:
            known = _named(tensor, reference)
            if known:
                self.labels.append(Labels(tensor, known))
                continue
            wide = len(tensor.shape) == 2 and tensor.labels is not None and len(tensor.labels) == tensor.shape[1]
            if not tensor.dtype.startswith("FP") or not (wide or len(tensor.shape) == 1 or tensor.shape[1:] == (1,)):
                continue
            if wide and not named:
                self.labels.append(Labels(tensor, tensor.labels or ()))
            self.numbers.append(Numbers(tensor, SHARES if wide else _bounds(tensor, reference)))

    def add(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Count these answers."""
        counting: list[Labels | Numbers] = [*self.labels, *self.numbers]
        for one in counting:
            if one.tensor.name in outputs:
                one.add(outputs[one.tensor.name])

    def counted(self) -> Iterator[tuple[str, str, int]]:
        """Output, label, how often."""
        for one in self.labels:
            for label, count in list(one.counts.items()):
                yield one.tensor.name, label, count


def _named(tensor: Tensor, reference: Sequence[Feature]) -> Sequence[str]:
    """The labels that an output names, where it names one a row."""
    if len(tensor.shape) != 1:
        return ()
    if tensor.dtype == "BYTES":
        seen = [one.values for one in reference if one.tensor == tensor.name and one.values is not None]
        return tuple(dict.fromkeys((*(tensor.labels or ()), *(seen[0] if seen else ()))))
    if tensor.dtype == "BOOL":
        return tensor.labels or ("false", "true")
    return tensor.labels or () if "INT" in tensor.dtype else ()


def _bounds(tensor: Tensor, reference: Sequence[Feature]) -> Sequence[float]:
    """Where the example's answers were divided, so that each bucket held about as many of them."""
    return next((one.edges for one in reference if one.tensor == tensor.name and one.edges), ANY)
