"""From what a script has at hand (arrays, tensors, a frame, texts) to named arrays, and back to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import UsageError
from mlops_toolkit.formats.signature import dtype_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMS = "give an array, a tensor, a tuple of them, a list of texts or of files' bytes, a frame, or a dictionary {name: array}, one row an example"


def named(example: Any, names: Sequence[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """The example as arrays by name; text as object arrays of str, files as object arrays of bytes.

    names: of the inputs, where the example has none of its own (default: `input`, `input-1`, …; `text` for texts, `file` for files).
    UsageError `bad-example` where it has no rows, holds something else, or its arrays hold different numbers of rows.
    """
    made = {name: _array(value, name) for name, value in _parts(example, names).items()}
    if not made:
        raise UsageError("bad-example", "the example holds nothing", where="example", hint=FORMS)
    for name, array in made.items():
        if array.ndim == 0:
            raise UsageError("bad-example", f'"{name}" is one value, not rows', where="example", hint=FORMS)
        if not len(array):
            raise UsageError(
                "bad-example", f'"{name}" holds no rows', where="example", hint="a few real rows: they become the golden examples"
            )
    rows = {name: len(array) for name, array in made.items()}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise UsageError("bad-example", f"its inputs hold different numbers of rows: {said}", where="example", hint=FORMS)
    return made


def _parts(example: Any, names: Sequence[str] | None) -> dict[str, Any]:
    if isinstance(example, Mapping):
        return {str(name): value for name, value in example.items()}
    if hasattr(example, "columns") and hasattr(example, "__getitem__"):  # a frame of pandas or polars
        return {str(name): example[name] for name in example.columns}
    texts = isinstance(example, list) and example and all(isinstance(one, str) for one in example)
    files = isinstance(example, list) and example and all(isinstance(one, bytes) for one in example)
    several = list(example) if isinstance(example, tuple) else [example]
    if names is None:
        names = ["text"] if texts else ["file"] if files else ["input" if i == 0 else f"input-{i}" for i in range(len(several))]
    if len(names) != len(several):
        raise UsageError("bad-example", f"{len(names)} names for {len(several)} inputs", where="inputs", hint="as many names as inputs")
    return dict(zip(map(str, names), several, strict=True))


def _array(value: Any, name: str) -> NDArray[Any]:
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "toarray"):  # sparse
        value = value.toarray()
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    try:
        array = of_values(value)
    except (ValueError, TypeError) as error:  # ragged
        raise UsageError("bad-example", f'"{name}" is no array: {error}', where="example", hint=FORMS) from error
    if array.dtype.kind in "US" or (array.dtype == object and _of_one_kind(array)):
        return array.astype(object)
    if array.dtype.kind not in "biuf" or dtype_of(array) is None:
        raise UsageError(
            "bad-example", f'"{name}" is of type {array.dtype}', where="example", hint="numbers, truth values, text or the bytes of files"
        )
    return np.ascontiguousarray(array) if array.ndim else array


def _of_one_kind(array: NDArray[Any]) -> bool:
    """Whether its objects are all texts, or all bytes."""
    values = array.reshape(-1)
    return all(isinstance(one, str) for one in values) or all(isinstance(one, bytes) for one in values)


def of_values(value: Any) -> NDArray[Any]:
    """An array of it; a list of bytes as objects, for numpy's own type for bytes drops zeros at their ends."""
    import numpy as np

    if isinstance(value, list | tuple) and value and all(isinstance(one, bytes) for one in value):
        made = np.empty(len(value), object)
        made[:] = value
        return made
    return np.asarray(value)


def largest_difference(
    ours: Mapping[str, NDArray[Any]], theirs: Mapping[str, NDArray[Any]], *, relative: float, absolute: float
) -> float | None:
    """The largest difference of numbers, None where the answers are not the same: other names, shapes, texts, whole numbers, NaN, or floats
    further apart than `absolute + relative·|theirs|`."""
    import numpy as np

    if list(ours) != list(theirs):
        return None
    largest = 0.0
    for name, a in ours.items():
        b = theirs[name]
        if a.shape != b.shape:
            return None
        if a.dtype.kind == "f" and b.dtype.kind == "f":
            if not np.allclose(a, b, rtol=relative, atol=absolute, equal_nan=True):
                return None
            largest = max(largest, apart(a, b))
        elif not bool((a.astype(object) == b.astype(object)).all()):
            return None
    return largest


def apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference of two floats of one place that is finite."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):  # of infinity and infinity, of the largest and the least
        found = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(found.max(initial=0.0, where=np.isfinite(found)))
