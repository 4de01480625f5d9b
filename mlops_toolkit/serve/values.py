"""JSON's numbers and texts into arrays of a declared type: exactly or not at all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_toolkit.formats.signature import NUMPY, Signature, Tensor
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.serve.refusals import Refused, short

LARGE = 20_000  # bytes of JSON in which garbage collection is worth putting off
FEW = 200  # values that Python compares faster than numpy starts
EXACT = 2**53  # above, a JSON number with a point or an exponent may have lost its last digits
Nan = Literal["signature", "refuse", "allow"]


@dataclass(frozen=True)
class Limits:
    """How strictly a request is read.

    nan       whether NaN and ±infinity may stand in an input: `signature` lets NaN in (and null, in JSON) where the model was saved with an
              example that held some, and never infinity; `refuse` none, `allow` all
    writable  give arrays that the model may write into; without, those of binary tensors may be views of the body
    parts     of an upload, at most
    texts     bytes of JSON or CSV, at most: each is read in one go, while nobody else is answered, into objects of up to 24 times its size
    """

    nan: Nan = "signature"
    writable: bool = True
    parts: int = 1000
    texts: int = 16 * 2**20


DEFAULT = Limits()
MISSING = "in the example that the model was saved with, no number is missing (NaN): leave such examples out"


class Input:
    """One input of a model, with what is asked of every value worked out once."""

    __slots__ = ("dtype", "file", "floating", "high", "integer", "kind", "missing", "name", "rank", "shape", "size", "tensor", "unbounded")

    def __init__(self, tensor: Tensor, nan: Nan) -> None:
        self.tensor, self.name, self.kind, self.shape, self.rank = tensor, tensor.name, tensor.dtype, tensor.shape, len(tensor.shape)
        self.dtype = np.dtype(NUMPY[tensor.dtype])
        self.size, self.floating, self.integer = self.dtype.itemsize, self.dtype.kind == "f", self.dtype.kind in "iu"
        self.missing, self.unbounded = nan == "allow" or (nan == "signature" and tensor.missing), nan == "allow"
        self.file = tensor.files
        self.high = float(np.finfo(self.dtype).max) if self.floating else 0.0


class Plan:
    """A signature and the limits as `read` needs them."""

    __slots__ = ("by_name", "inputs", "limits", "outputs", "signature", "unsendable")

    def __init__(self, signature: Signature, limits: Limits) -> None:
        self.signature, self.limits = signature, limits
        self.inputs = tuple(Input(tensor, limits.nan) for tensor in signature.inputs)
        self.by_name = {one.name: one for one in self.inputs}
        self.outputs = {tensor.name: tensor for tensor in signature.outputs}
        # The protocol sends half precision as bytes only, and a file's bytes are no text.
        self.unsendable = [tensor for tensor in signature.outputs if tensor.dtype == "FP16" or tensor.files]


_plans: dict[tuple[int, int], Plan] = {}


def plan(signature: Signature, limits: Limits) -> Plan:
    """The plan of a signature, remembered by identity: hashing a signature for each request would cost more than reading it."""
    found = _plans.get((id(signature), id(limits)))
    if found is None or found.signature is not signature or found.limits is not limits:
        if len(_plans) > 256:
            _plans.clear()
        found = _plans[id(signature), id(limits)] = Plan(signature, limits)  # keeps both alive, so that no other gets their identity
    return found


def readable(raw: bytes | bytearray | memoryview, limits: Limits, hint: str) -> None:
    """Refused `too-large` for JSON or CSV above its own limit."""
    if len(raw) > limits.texts:
        raise Refused("too-large", f"the request has {len(raw):,} bytes of text, and {limits.texts:,} may be", hint=hint)


def parsed(raw: bytes | bytearray | memoryview, limits: Limits, hint: str) -> Any:
    """What JSON says. Refused `bad-json`, `too-large`.

    Python's search for cycles is put off meanwhile: there are none in JSON, and of a megabyte of small lists it would take ten times as
    long as reading them. (One call into orjson: no other thread runs in it.)
    """
    readable(raw, limits, "send large tensors as bytes (binary_data_size), many rows in several requests")
    pausing = len(raw) > LARGE and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        at = f" (line {error.lineno}, column {error.colno})"
        raise Refused("bad-json", f"the request is no JSON: {error.msg}{at}", hint=hint) from error
    finally:
        if pausing:
            gc.enable()


def flattened(data: list[Any], shape: Sequence[int], where: str) -> list[Any]:
    """The values of nested lists of exactly this shape, row-major. Refused `wrong-shape` where a list is longer, shorter, or none."""
    if len(data) != shape[0]:
        raise Refused("wrong-shape", f"{where} holds {len(data)} in its first axis, not {shape[0]}")
    for axis, length in enumerate(shape[1:], start=1):
        kinds = set(map(type, data))
        if kinds != {list}:
            at = next(place for place, one in enumerate(data) if type(one) is not list)
            raise Refused("wrong-shape", f"{where} has {short(data[at])} where a list is wanted (axis {axis}, the {nth(at)} list)")
        if set(map(len, data)) != {length}:
            at = next(place for place, one in enumerate(data) if len(one) != length)
            raise Refused("wrong-shape", f"{where} holds {len(data[at])} where axis {axis} is {length} long (the {nth(at)} list)")
        data = list(chain.from_iterable(data))
    return data


def nth(place: int) -> str:
    """`1st` of 0, `2nd` of 1 …"""
    count = place + 1
    ending = "th" if 10 < count % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count:,}{ending}"


def array(flat: list[Any], one: Input, where: str) -> NDArray[Any]:
    """The values as a flat array of the input's type. Refused `wrong-value`, `not-a-number`.

    Decimals and whole numbers are rounded to the floating type they become, as any decimal is; null is NaN where values may be missing.
    Nothing else changes: no truth values as numbers, no fractions or numbers out of range as integers, no numbers as text.
    """
    kinds = set(map(type, flat))
    if one.floating:
        return _floats(flat, kinds, one, where)
    if one.integer:
        return _integers(flat, kinds, one, where)
    wanted, said = (bool, "true or false") if one.kind == "BOOL" else (str, "a text")
    if not kinds <= {wanted}:
        raise _wrong(flat, lambda value: type(value) is not wanted, where, said)
    if wanted is bool:
        return np.array(flat, np.bool_)
    made = np.empty(len(flat), object)
    made[:] = [text.encode() for text in flat] if one.file else flat
    return made


def _floats(flat: list[Any], kinds: set[type], one: Input, where: str) -> NDArray[Any]:
    good = {float, int, type(None)} if one.missing else {float, int}
    if not kinds <= good:
        raise _wrong(flat, lambda value: type(value) not in good, where, "a number", MISSING)
    if one.size == 8 or (len(flat) < FEW and None not in flat and -one.high <= min(flat) and max(flat) <= one.high):
        return np.array(flat, one.dtype)
    made: NDArray[Any] = np.array(flat, np.float64)
    with np.errstate(over="ignore"):
        made = made.astype(one.dtype)
    large = np.isinf(made)
    if large.any():
        at = int(large.argmax())
        raise Refused("wrong-value", f"{where} holds {short(flat[at])} (the {nth(at)} value): no {one.kind} is that large")
    return made


def _integers(flat: list[Any], kinds: set[type], one: Input, where: str) -> NDArray[Any]:
    if kinds != {int}:
        if not all(map(_whole, flat)):
            raise _wrong(flat, lambda value: not _whole(value), where, f"a whole number of {one.kind}")
        flat = list(map(int, flat))
    info = np.iinfo(one.dtype)
    low, high = int(info.min), int(info.max)
    if flat and (min(flat) < low or max(flat) > high):
        raise _wrong(flat, lambda value: not low <= value <= high, where, f"a number from {low} to {high}: {one.kind} holds no other")
    return np.array(flat, one.dtype)


def _whole(value: Any) -> bool:
    """Whether JSON wrote a whole number, as `3`, `3.0` or `3e0`."""
    return type(value) is int or (type(value) is float and value.is_integer() and -EXACT <= value <= EXACT)


def _wrong(flat: list[Any], bad: Callable[[Any], bool], where: str, wanted: str, missing: str | None = None) -> Refused:
    """Of values of which some are bad, what to say of the first."""
    at = next(place for place, value in enumerate(flat) if bad(value))
    if flat[at] is None:
        return Refused("not-a-number", f"{where} holds null (the {nth(at)} value), not {wanted}", hint=missing)
    return Refused("wrong-value", f"{where} holds {short(flat[at])} (the {nth(at)} value), not {wanted}")


def unfit(made: NDArray[Any], one: Input) -> NDArray[Any]:
    """Where an input holds NaN or infinity that it may not hold."""
    if one.unbounded or not one.floating:
        return np.zeros(made.shape, bool)
    bad: NDArray[Any] = np.isinf(made) if one.missing else ~np.isfinite(made)
    return bad


def finite(made: NDArray[Any], one: Input) -> None:
    """Refused `not-a-number` for NaN and infinity in an input that may not hold them. Costs a microsecond on a small array."""
    if one.unbounded or not one.floating or np.isfinite(made).all():
        return
    flat = made.reshape(-1)
    bad = unfit(flat, one)
    if bad.any():
        at = int(bad.argmax())
        said = "NaN" if np.isnan(flat[at]) else "infinity"
        raise Refused(
            "not-a-number",
            f'the input "{one.name}" holds {said} (the {nth(at)} value)',
            hint=MISSING if said == "NaN" else "no model here takes infinite values; leave the example out",
        )


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """`there is no input "ag"; did you mean "age"?`, whatever a client made up."""
    return f'there is no {what} "{name[:100]}"; {did_you_mean(name[:100], known)}'
