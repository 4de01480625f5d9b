"""A tensor's bytes, as the protocol's binary tensors and gRPC's raw contents have them: little-endian, row-major, nothing between values."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import Input, finite, nth

_UINT32 = struct.Struct("<I")


def from_bytes(raw: memoryview, shape: Sequence[int], one: Input, *, writable: bool) -> NDArray[Any]:
    """A tensor from its bytes: little-endian, row-major; of BYTES each value after its length in four bytes; truth values as 0 and 1."""
    count = math.prod(shape)
    if one.kind == "BYTES":
        return _texts(raw, count, one).reshape(shape)
    if len(raw) != count * one.size:
        raise Refused(
            "bad-tensor",
            f'the input "{one.name}" has {len(raw)} bytes; {one.kind} {list(shape)} has {count * one.size}',
            hint="little-endian, row-major, nothing between the values",
        )
    made = np.frombuffer(raw, one.dtype).reshape(shape)
    if sys.byteorder == "big":
        made = made.byteswap()
    if not made.flags.aligned or (writable and not made.flags.writeable):
        made = made.copy()
    if one.floating:
        finite(made, one)
    elif one.kind == "BOOL" and made.view(np.uint8).max() > 1:
        raise Refused("bad-tensor", f'the input "{one.name}" is BOOL and holds bytes that are neither 0 nor 1')
    return made


def _texts(raw: memoryview, count: int, one: Input) -> NDArray[Any]:
    where = f'the input "{one.name}"'
    if len(raw) < 4 * count:
        raise Refused("bad-tensor", f"{where} has {len(raw)} bytes, and the lengths alone of {count} values {4 * count}")
    values: list[Any] = []
    at, end, whole = 0, len(raw), bytes(raw)
    try:
        for _ in range(count):
            (length,) = _UINT32.unpack_from(whole, at)
            at += 4 + length
            if at > end:
                raise Refused(
                    "bad-tensor", f"the {nth(len(values))} value of {where} is {length} bytes long, and {end - at + length} are left"
                )
            values.append(whole[at - length : at])
    except struct.error:
        raise Refused("bad-tensor", f"{where} ends after {len(values)} of {count} values") from None
    if at != end:
        raise Refused("bad-tensor", f"{end - at} bytes follow the last value of {where}")
    made = np.empty(count, object)
    made[:] = values if one.file else decoded(values, where)
    return made


def decoded(values: list[bytes], where: str) -> list[str]:
    """Bytes as the text they are. Refused `bad-tensor`."""
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise Refused(
            "bad-tensor", f"{where} holds text that is not UTF-8: {error.reason}", hint="the model takes text, not files"
        ) from None


def to_bytes(array_: NDArray[Any]) -> bytes:
    """A tensor's bytes, as `from_bytes` reads them."""
    if array_.dtype.kind not in "OUS":
        return (plain(array_) if sys.byteorder == "little" else plain(array_).byteswap()).tobytes()
    parts: list[bytes] = []
    for one in array_.reshape(-1).tolist():
        raw = one if isinstance(one, bytes) else str(one).encode()
        parts += (_UINT32.pack(len(raw)), raw)
    return b"".join(parts)


def plain(array_: NDArray[Any]) -> NDArray[Any]:
    """Contiguous and in this machine's byte order, as orjson reads arrays."""
    if not array_.dtype.isnative:
        array_ = array_.astype(array_.dtype.newbyteorder("="))
    return array_ if array_.flags.c_contiguous else np.ascontiguousarray(array_)


def texts(array_: NDArray[Any], name: str) -> list[str]:
    """The texts of an output, row-major. Refused `binary-only` for bytes that are none."""
    flat: list[Any] = array_.reshape(-1).tolist()
    if set(map(type, flat)) <= {str}:
        return flat
    try:
        return [one.decode() if isinstance(one, bytes) else str(one) for one in flat]
    except UnicodeDecodeError:
        raise Refused(
            "binary-only", f'the output "{name}" holds bytes that are no text', hint='ask for it with {"binary_data": true}'
        ) from None
