"""Golden examples: a few inputs with what the model answered when it was saved; whoever loads it can ask whether it still does."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.signature import Arrays, Signature, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "golden.npz"
ROWS = 8
BYTES = 8_000_000  # of inputs: fewer rows of large pictures
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # another processor, another build of the runtime; the conversion itself is held much closer


def rows_of(example: Arrays) -> int:
    """How many rows of an example are kept."""
    total = max(len(array) for array in example.values())
    each = sum(array.nbytes / max(len(array), 1) for array in example.values())
    return max(1, min(total, ROWS, int(BYTES / max(each, 1))))


def write(folder: Path, inputs: Arrays, outputs: Arrays) -> None:
    """Keep them; the same arrays give the same bytes."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for letter, arrays in (("i", inputs), ("o", outputs)):
            for place, array in enumerate(arrays.values()):
                for name, plain in _plain(f"{letter}{place}", array).items():
                    raw = io.BytesIO()
                    np.lib.format.write_array(raw, np.ascontiguousarray(plain), allow_pickle=False)
                    archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), raw.getvalue(), zipfile.ZIP_DEFLATED)
    (folder / NAME).write_bytes(buffer.getvalue())


def _plain(name: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """As arrays without objects. Files lie end to end with their lengths beside them: numpy's own type for bytes drops zeros at their ends."""
    import numpy as np

    values = list(array.reshape(-1)) if array.dtype == object else []
    if not any(isinstance(one, bytes) for one in values):
        return {name: array.astype(str) if array.dtype == object else array}
    lengths = np.array([len(one) for one in values], np.int64).reshape(array.shape)
    return {name: np.frombuffer(b"".join(values), np.uint8), f"{name}-lengths": lengths}


def _files(flat: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    raw, ends = flat.tobytes(), np.cumsum(lengths.reshape(-1)).tolist()
    made = np.empty(lengths.size, object)
    made[:] = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return made.reshape(lengths.shape)


def read(folder: Path, signature: Signature) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Inputs and outputs by name. InvalidFile `bad-model`."""
    import numpy as np

    try:
        with np.load(folder / NAME, allow_pickle=False) as kept:
            return _side(kept, "i", signature.inputs), _side(kept, "o", signature.outputs)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidFile("bad-model", f"its golden examples cannot be read: {error}", where=str(folder / NAME)) from error


def _side(kept: Any, letter: str, tensors: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    arrays = {
        tensor.name: _files(kept[f"{letter}{place}"], kept[f"{letter}{place}-lengths"]) if tensor.files else kept[f"{letter}{place}"]
        for place, tensor in enumerate(tensors)
    }
    return {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in arrays.items()}
