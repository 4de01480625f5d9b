"""The answers of the Open Inference Protocol as a client reads them: what asks a server (`probe`), or two of them (`shadow`), reads them here."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_toolkit.formats.signature import NUMPY

_UINT32 = struct.Struct("<I")


def read(body: bytes, header_length: str | None) -> dict[str, NDArray[Any]]:
    """Outputs by name, in the answer's order; texts of JSON as str, of binary tensors as bytes. ValueError where it is no such answer.

    header_length: the header Inference-Header-Content-Length, None without one. Memory: no more than the body's own once again, but for
    texts and JSON, which are Python's objects.
    """
    at = len(body) if header_length is None else int(header_length)
    if not 0 < at <= len(body):
        raise ValueError(f"its JSON is said to have {at} bytes, and the body has {len(body)}")
    said = orjson.loads(memoryview(body)[:at])
    listed = said.get("outputs") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no outputs")  # noqa: TRY004 -- what a server sent is a value, whatever its type
    found: dict[str, NDArray[Any]] = {}
    for one in listed:
        try:
            name, kind, shape = one["name"], one["datatype"], one["shape"]
            size = (one.get("parameters") or {}).get("binary_data_size")
            count, dtype = math.prod(shape), np.dtype(NUMPY[kind])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"an output has no name, type or shape: {type(error).__name__}: {error}") from error
        if size is None:
            flat = _values(one.get("data"), dtype)
        else:
            if not isinstance(size, int) or not 0 <= size <= len(body) - at:
                raise ValueError(f"{name!r} is said to have {size!r} bytes, and {len(body) - at} are left")
            flat = _binary(body[at : at + size], dtype)
            at += size
        if len(flat) != count:
            raise ValueError(f"{name!r} holds {len(flat)} values, and its shape {shape} {count}")
        found[str(name)] = flat.reshape(shape)
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes follow its last output")
    return found


def _values(data: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """JSON's values, of nested lists too; null is NaN."""
    if not isinstance(data, list):
        raise ValueError("an output has neither data nor bytes")  # noqa: TRY004
    while data and isinstance(data[0], list):
        data = [value for part in data for value in part]
    if dtype.kind == "O":
        made: NDArray[Any] = np.empty(len(data), object)
        made[:] = data
        return made
    try:
        return np.array([math.nan if value is None else value for value in data], dtype)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"an output holds what is no {dtype}: {error}") from error


def _binary(raw: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A binary tensor's values; of texts each after its length in four bytes."""
    if dtype.kind != "O":
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    values, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise ValueError("a text's length is cut")
        (length,) = _UINT32.unpack_from(raw, at)
        at += 4 + length
        if at > len(raw):
            raise ValueError("a text is cut")
        values.append(raw[at - length : at])
    made: NDArray[Any] = np.empty(len(values), object)
    made[:] = values
    return made
