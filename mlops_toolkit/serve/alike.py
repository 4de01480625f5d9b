"""Whether two releases answer a request alike: labels, numbers within the tolerance that models are loaded with, shapes. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_toolkit.formats.arrays import apart
from mlops_toolkit.formats.golden import ABSOLUTE, RELATIVE
from mlops_toolkit.serve import answers

KINDS = ("status", "unreadable", "shape", "label", "number")  # of differences, the worse first
LARGE = 2**20  # bytes of JSON above which two answers are not read: while one is, no other thread runs


@dataclass(frozen=True)
class Difference:
    """How far apart two answers are.

    kind   None where they are alike, else a word of KINDS (the worst)
    apart  the largest difference of two finite numbers in them
    rows   that were compared; others: of them, with another label (both 0 where answers have no rows that can be told apart)
    """

    kind: str | None
    apart: float = 0.0
    rows: int = 0
    others: int = 0


def compared(live: bytes, beside: bytes, lengths: tuple[str | None, str | None] = (None, None), *, protocol: bool) -> Difference | None:
    """Of two answers with status 200. None where they are too large to be read beside other work and are not the same bytes.

    protocol: of the Open Inference Protocol, with `lengths` the headers Inference-Header-Content-Length; else JSON for people.
    """
    if live == beside and lengths[0] == lengths[1] and len(live) > LARGE:
        return Difference(None)
    try:
        if any((len(one) if length is None else int(length)) > LARGE for one, length in zip((live, beside), lengths, strict=True)):
            return None
        if protocol:
            return _tensors(answers.read(live, lengths[0]), answers.read(beside, lengths[1]))
        return _plain(orjson.loads(live), orjson.loads(beside))
    except ValueError:
        return Difference("unreadable")


def _worst(found: list[str | None]) -> str | None:
    return next((kind for kind in KINDS if kind in found), None)


def _tensors(live: dict[str, NDArray[Any]], beside: dict[str, NDArray[Any]]) -> Difference:
    shapes = {name: (array.shape, array.dtype) for name, array in live.items()}
    if shapes != {name: (array.shape, array.dtype) for name, array in beside.items()}:
        return Difference("shape")
    rows = min((len(array) if array.ndim else 1 for array in live.values()), default=0)
    other, largest, kinds = np.zeros(rows, bool), 0.0, []
    for name, a in live.items():
        b = beside[name]
        if a.dtype.kind == "f":
            largest = max(largest, apart(a, b))
            kinds.append(None if np.allclose(b, a, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True) else "number")
            continue
        differs = np.asarray(a != b, bool)
        if differs.any():
            kinds.append("label")
            if a.ndim and len(a) == rows:
                other |= differs.reshape(rows, -1).any(axis=1)
    return Difference(_worst(kinds), largest, rows, int(other.sum()))


def _plain(live: Any, beside: Any) -> Difference:
    """JSON for people: `{…}`, a list of rows, `{"rows": […]}`, or columns."""
    kinds: list[str | None] = []
    largest = _walked(live, beside, kinds)
    a, b = (one.get("rows", [one]) if isinstance(one, dict) else one if isinstance(one, list) else [one] for one in (live, beside))
    if not isinstance(a, list) or not isinstance(b, list) or len(a) != len(b):
        return Difference(_worst(kinds), largest)
    others = 0
    for one, another in zip(a, b, strict=True):
        found: list[str | None] = []
        _walked(one, another, found)
        others += "label" in found
    return Difference(_worst(kinds), largest, len(a), others)


def _walked(a: Any, b: Any, kinds: list[str | None]) -> float:
    """Adds the kinds of every difference below; the largest one of numbers. Without recursion: depth is a server's to choose."""
    largest, left = 0.0, [(a, b)]
    while left:
        a, b = left.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                kinds.append("shape")
            left += [(a[key], b[key]) for key in a.keys() & b.keys()]
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                kinds.append("shape")
            left += zip(a, b, strict=False)
        elif _number(a) and _number(b) and (isinstance(a, float) or isinstance(b, float)):
            largest = max(largest, abs(a - b))
            if not math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                kinds.append("number")
        elif type(a) is not type(b):
            kinds.append("number" if (a is None and _number(b)) or (b is None and _number(a)) else "shape")
        elif a != b:
            kinds.append("label")
    return largest


def _number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
