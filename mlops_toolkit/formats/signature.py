"""What goes into a model and what comes out: names, types, shapes, units and labels, and whether given arrays are such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Array = "NDArray[Any]"
Arrays = Mapping[str, "NDArray[Any]"]

# The names of types are those of the Open Inference Protocol, version 2; BYTES is text (or, in an upload, bytes).
NUMPY: dict[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
_NAMES = {numpy: name for name, numpy in NUMPY.items()}


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    shape   a length per axis, None where any is meant; the first axis counts examples
    unit    of its numbers, as people write it (`mm`, `years`)
    labels  what the places of the last axis mean (classes, feature names), or what the numbers of a `label` output stand for
    missing whether its numbers may be missing (NaN): the example held some
    files   whether each value is the bytes of a file (a picture, sound), not text
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    unit: str | None = None
    labels: tuple[str, ...] | None = None
    missing: bool = False
    files: bool = False

    @property
    def text(self) -> str:
        """As shown to people: `FP32 [any, 64]`."""
        return f"{self.dtype} [{', '.join('any' if length is None else str(length) for length in self.shape)}]"

    @property
    def noted(self) -> str:
        """What else there is to say of its values, for people; empty where nothing."""
        return "may be missing" if self.missing else "files" if self.files else ""


@dataclass(frozen=True)
class Signature:
    """All inputs and all outputs, in order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def dtype_of(array: NDArray[Any]) -> str | None:
    """The protocol's name of an array's type; text of any width is BYTES; None for what the protocol has no name for."""
    return "BYTES" if array.dtype.kind in "US" else _NAMES.get(array.dtype.name)


def described(
    arrays: Arrays,
    *,
    dynamic: Mapping[str, Sequence[int]] | None = None,
    units: Mapping[str, str] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Tensor, ...]:
    """What these arrays are examples of: the first axis is free, the others as long as here, but for those named in `dynamic`."""
    made = []
    for name, array in arrays.items():
        free = {0, *((dynamic or {}).get(name, ()))}
        shape = tuple(None if axis in free else length for axis, length in enumerate(array.shape))
        said = (labels or {}).get(name)
        dtype = dtype_of(array) or str(array.dtype)
        missing = array.dtype.kind == "f" and bool((array != array).any())
        files = array.dtype == object and any(isinstance(one, bytes) for one in array.reshape(-1))
        made.append(Tensor(name, dtype, shape, (units or {}).get(name), None if said is None else tuple(map(str, said)), missing, files))
    return tuple(made)


def problems(arrays: Arrays, tensors: Sequence[Tensor]) -> list[str]:
    """What is wrong with these arrays as the inputs `tensors`, a sentence each: names, types, ranks, lengths, examples in step."""
    names = [tensor.name for tensor in tensors]
    found = [f'there is no input "{name}" (inputs: {", ".join(names)})' for name in arrays if name not in names]
    rows: dict[str, int] = {}
    for tensor in tensors:
        if tensor.name not in arrays:
            found.append(f'the input "{tensor.name}" is missing: {tensor.text}')
            continue
        array = arrays[tensor.name]
        given = dtype_of(array)
        if given != tensor.dtype:
            found.append(f'the input "{tensor.name}" is {tensor.dtype}, not {given or array.dtype}')
        if array.ndim != len(tensor.shape):
            found.append(f'the input "{tensor.name}" has {len(tensor.shape)} axes, not {array.ndim}: {tensor.text}')
            continue
        for axis, (length, wanted) in enumerate(zip(array.shape, tensor.shape, strict=True)):
            if wanted is not None and length != wanted:
                found.append(f'axis {axis} of the input "{tensor.name}" is {wanted} long, not {length}: {tensor.text}')
        if array.ndim:
            rows[tensor.name] = array.shape[0]
    if len(set(rows.values())) > 1:
        found.append("the inputs hold different numbers of examples: " + ", ".join(f"{name} {count}" for name, count in rows.items()))
    return found


def cast(array: NDArray[Any], tensor: Tensor) -> NDArray[Any] | None:
    """The array in the tensor's type where no value changes by it beyond rounding (ints as floats, float64 as float32); else None."""
    import numpy as np

    if dtype_of(array) == tensor.dtype:
        return array.astype(object) if tensor.dtype == "BYTES" and array.dtype != object else array
    if tensor.dtype == "BYTES" or array.dtype.kind not in "biuf" or tensor.dtype not in NUMPY:
        return None
    wanted: np.dtype[Any] = np.dtype(NUMPY[tensor.dtype])
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            made = array.astype(wanted)
        return made if np.isfinite(made).sum() == np.isfinite(array).sum() else None
    if wanted.kind in "iu" and array.dtype.kind in "iu":
        info = np.iinfo(wanted)
        fits = not array.size or (int(array.min()) >= info.min and int(array.max()) <= info.max)
        return array.astype(wanted) if fits else None
    return None
