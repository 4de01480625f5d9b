"""Nothing but a correct request gets through: whatever the bytes, an answer that fits the signature or a refusal in words, in bounded memory.

MLOPS_FUZZ=50 tries fifty times as many.
"""

from __future__ import annotations

import json
import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import python_multipart.multipart  # noqa: F401 -- so that its import is not measured as a request's memory

from mlops_toolkit.formats.signature import Signature, Tensor, problems
from mlops_toolkit.serve import people, tensors
from mlops_toolkit.serve.refusals import LONGEST, Refused
from mlops_toolkit.serve.values import Limits
from tests.unit.serve.models import ALL, FRAME, PICTURE, TEXT, TOKENS
from tests.unit.serve.test_people import form

TIMES = int(os.environ.get("MLOPS_FUZZ", "1"))
# orjson makes 24 bytes of each byte of `[[],[],[],…` and `{"a":0},…`; nothing of ours may make much more.
MULTIPLE, BASE = 40, 300_000
HALF = Signature((Tensor("h", "FP16", (None, 2)), Tensor("u", "UINT64", (None,)), Tensor("b", "BOOL", (None,))), TEXT.outputs)
Y = {"label": np.array(["a"], object), "score": np.array([1.0])}


def packed(signature: Signature, arrays: dict[str, Any], **more: Any) -> tuple[bytes, int]:
    """A binary request and the length of its JSON."""
    raws = {name: tensors.to_bytes(array) for name, array in arrays.items()}
    inputs = [
        {
            "name": one.name,
            "shape": list(arrays[one.name].shape),
            "datatype": one.dtype,
            "parameters": {"binary_data_size": len(raws[one.name])},
        }
        for one in signature.inputs
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + b"".join(raws[one.name] for one in signature.inputs), len(head)


def objects(*values: Any) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


BINARY: tuple[tuple[Signature, dict[str, Any]], ...] = (
    (FRAME, {"age": np.array([1, -(2**63)]), "income": np.array([np.nan, 1.5]), "job": objects("a", "größer")}),
    (TOKENS, {"ids": np.array([[1, 2, 3]]), "mask": np.array([[True, False, True]])}),
    (PICTURE, {"file": objects(b"\x89PNG\x00", b"", b"\xff" * 40)}),
    (HALF, {"h": np.array([[1, 2], [0.5, 65504]], np.float16), "u": np.array([0, 2**64 - 1], np.uint64), "b": np.array([True, False])}),
)
TEXTS: tuple[tuple[Signature, bytes], ...] = (
    (
        FRAME,
        b'{"id":"7","inputs":[{"name":"age","shape":[2],"datatype":"INT64","data":[1,2]},{"name":"income","shape":[2],"datatype":"FP64",'
        b'"data":[1.5,null]},{"name":"job","shape":[2],"datatype":"BYTES","data":["a","\\u00fc"]}],"outputs":[{"name":"label"}]}',
    ),
    (
        TOKENS,
        b'{"inputs":[{"name":"ids","shape":[1,2],"datatype":"INT64","data":[[1,2]]},{"name":"mask","shape":[1,2],"datatype":"BOOL",'
        b'"data":[[true,false]]}],"parameters":{"binary_data_output":true}}',
    ),
)
ROWS: tuple[tuple[Signature, str, bytes], ...] = (
    (FRAME, "application/json", b'{"rows":[{"age":1,"income":2.5,"job":"a"},{"age":-2,"income":null,"job":"\\u00fc"}]}'),
    (FRAME, "application/json", b'{"age":[1,2],"income":[2.5,1e3],"job":["a","b"]}'),
    (ALL["matrix"], "application/json", b'[{"length":1,"width":2,"height":3.5}]'),
    (PICTURE, "application/json", b'[{"b64":"aGk="},"text"]'),
    (FRAME, "text/csv", b'age,income,job\r\n1,,"a ""b"""\r\n-2,1e3,c\r\n'),
    (FRAME, "multipart/form-data; boundary=X", form(("age", b"1"), ("income", b"2"), ("job", b"x"))),
    (PICTURE, "multipart/form-data; boundary=X", form(("f", b"\x89PNG\r\n--X"), ("f", b""))),
    (TEXT, "text/plain", "größer".encode()),
)  # fmt: skip
EXTREME = [
    b"0",
    b"-1",
    b"1",
    b"3",
    b"4",
    b"255",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"9223372036854775807",
    b"9223372036854775808",
]
EXTREME += [
    b"18446744073709551616",
    b"1e308",
    b"1e400",
    b"-0",
    b"0.5",
    b"1" * 400,
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b'"\\ud800"',
    b"\xff",
    b"NaN",
]


def mutated(body: bytes, dice: random.Random) -> bytes:
    """The body with one to three changes: bytes, pieces, numbers."""
    made = bytearray(body)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(made) + 1)
        match dice.randrange(7):
            case 0:
                made[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del made[at : at + dice.randint(1, 8)]
            case 2:
                made[at:at] = dice.choice(
                    [b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"\r\n", b"\x00", b"\xff\xff\xff\xff", b'"a":1,', b"[[[[[["]
                )
            case 3:
                made[at : at + 4] = dice.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]).to_bytes(4, "little")
            case 4:
                other = dice.randrange(len(made) + 1)
                made[at:at] = made[other : other + dice.randint(1, 40)]
            case 5:
                made = made[:at] + made[at:].replace(
                    dice.choice([b"2", b"1", b'"FP64"', b"name", b"[", b'"data"']), dice.choice(EXTREME), 1
                )
            case _:
                made = made[:at]
    return bytes(made)


def tried(reading: Callable[[], dict[str, Any]], signature: Signature, body: bytes, *, measured: bool = True) -> bool:
    """Whether the body is taken; then it fits the signature. Else it was refused with 4xx in a short sentence; memory stayed bounded."""
    if measured:
        tracemalloc.start()
    try:
        found = reading()
    except Refused as refusal:
        assert 400 <= refusal.status < 500, refusal  # noqa: PT017
        assert len(refusal.sentence) < LONGEST + 300  # noqa: PT017
        assert json.loads(refusal.body())["error"]  # noqa: PT017
        return False
    finally:
        if measured:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < MULTIPLE * len(body) + BASE, (peak, len(body))
    assert problems(found, signature.inputs) == []
    for one in signature.inputs:
        array = found[one.name]
        assert array.size
        assert array.dtype.kind != "f" or one.missing or np.isfinite(array).all()
        assert array.dtype != object or {*map(type, array.reshape(-1))} <= {bytes if one.files else str}
    return True


def inferred(body: bytes, header: Any, signature: Signature) -> Callable[[], dict[str, Any]]:
    return lambda: tensors.read(body, header, signature, limits=Limits(writable=False)).inputs


@pytest.mark.parametrize("place", range(len(BINARY)))
def test_a_binary_request_cut_anywhere_is_refused(place: int) -> None:
    """And with a JSON length that is one off, of another body, or none."""
    signature, arrays = BINARY[place]
    body, length = packed(signature, arrays, parameters={"binary_data_output": True})
    assert tried(inferred(body, length, signature), signature, body)
    for end in range(len(body)):
        assert not tried(inferred(body[:end], min(length, end) or None, signature), signature, body[:end], measured=False)
    for more in (b"\0", b"\0" * 100):
        assert not tried(inferred(body + more, length, signature), signature, body)
    for header in (
        0,
        1,
        length - 1,
        length + 1,
        len(body),
        len(body) + 1,
        2**31,
        2**63,
        -1,
        "",
        " 5",
        "5 ",
        "+5",
        "5.0",
        "0x5",
        "٥",
        "nan",
        "9" * 5000,
        b"\xff",
    ):
        assert not tried(inferred(body, header, signature), signature, body)


@pytest.mark.parametrize("place", range(len(TEXTS)))
def test_a_json_request_cut_anywhere_is_refused(place: int) -> None:
    signature, body = TEXTS[place]
    assert tried(inferred(body, None, signature), signature, body)
    for end in range(len(body)):
        assert not tried(inferred(body[:end], None, signature), signature, body[:end], measured=False)


def test_mutations_of_binary_requests() -> None:
    dice, taken = random.Random(7), 0
    for _ in range(1500 * TIMES):
        signature, arrays = dice.choice(BINARY)
        body, length = packed(signature, arrays, parameters={"binary_data_output": True})
        head, tail = body[:length], body[length:]
        if dice.random() < 0.5:
            tail = mutated(tail, dice)
        else:
            head = mutated(head, dice)
        header = dice.choice([len(head), len(head), len(head), length, None])
        taken += tried(inferred(head + tail, header, signature), signature, head + tail)
    assert taken  # some are still requests: mutations are small


def test_mutations_of_json_requests_and_of_what_people_send() -> None:
    dice, taken = random.Random(11), 0
    for _ in range(1500 * TIMES):
        if dice.random() < 0.4:
            signature, body = dice.choice(TEXTS)
            body = mutated(body, dice)
            taken += tried(inferred(body, None, signature), signature, body)
        else:
            signature, kind, body = dice.choice(ROWS)
            body = mutated(body, dice)
            if dice.random() < 0.1:
                kind = dice.choice(
                    [
                        "",
                        "text/csv",
                        "multipart/form-data; boundary=" + "X" * 71,
                        "multipart/form-data; boundary*=utf-8''%FF",
                        "a/b;;=",
                        "\xff",
                    ]
                )
            taken += tried(lambda body=body, kind=kind, signature=signature: people.read(body, kind, signature)[0], signature, body)  # type: ignore[misc]
    assert taken


def giants() -> Iterator[tuple[str, Signature, bytes, Any]]:
    """Bodies that are made to cost more: name, signature, body, header length."""
    size = 400_000
    head = b'{"inputs":[{"name":"ids","shape":[1,2],"datatype":"INT64","data":'
    for name, piece in {
        "lists": b"[],",
        "objects": b"{},",
        "keys": b'{"a":0},',
        "numbers": b"1,",
        "floats": b"1.5,",
        "texts": b'"ab",',
    }.items():
        yield name, TOKENS, head + b"[" + piece * (size // len(piece)) + b"0]}]}", None
    yield "nested", TOKENS, head + b"[" * size, None
    yield "deep", TOKENS, head + b"[" * 500 + b"]" * 500 + b"}]}", None
    yield (
        "a long shape",
        TOKENS,
        b'{"inputs":[{"name":"ids","shape":[' + b"9223372036854775807," * (size // 20) + b'1],"datatype":"INT64","data":[1]}]}',
        None,
    )
    yield "a long name", TOKENS, b'{"inputs":[{"name":"' + b"n" * size + b'"}]}', None
    yield "a long type", TOKENS, head.replace(b"INT64", b"I" * size) + b"[]}]}", None
    yield (
        "many inputs",
        TOKENS,
        b'{"inputs":[' + b",".join([b'{"name":"ids","shape":[1,1],"datatype":"INT64","data":[1]}'] * 20_000) + b"]}",
        None,
    )
    yield "many outputs", TOKENS, head + b'[1,2]}],"outputs":[' + b",".join(b'{"name":"%d"}' % at for at in range(25_000)) + b"]}", None
    yield "a long id", TOKENS, b'{"id":"' + b"i" * size + b'",' + head[1:] + b"[1,2]}]}", None
    yield "one key often", TOKENS, b"{" + b'"inputs":[],' * (size // 12) + head[1:] + b"[1,2]}]}", None
    for count in (2**31, 2**32, 2**63 - 1, 2**63, 2**64):
        said = {"inputs": [{"name": "file", "shape": [count], "datatype": "BYTES", "parameters": {"binary_data_size": 8}}]}
        raw = json.dumps(said).encode()
        yield f"{count} files", PICTURE, raw + b"\xff" * 8, len(raw)
    empty, length = packed(PICTURE, {"file": objects(*[b""] * (size // 4))}, parameters={"binary_data_output": True})
    yield "empty files", PICTURE, empty, length
    small, length = packed(TEXT, {"text": objects(*["ab"] * (size // 6))})
    yield "small texts", TEXT, small, length


@pytest.mark.parametrize("name", [name for name, *_ in giants()])
def test_what_is_made_to_cost_more_costs_no_more(name: str) -> None:
    """Each takes a bounded multiple of memory, and of time, whatever lengths it names."""
    _, signature, body, header = next(one for one in giants() if one[0] == name)
    begun = time.monotonic()
    tried(inferred(body, header, signature), signature, body)
    tried(lambda: people.read(body, None, signature)[0], signature, body)
    tried(lambda: people.read(body, "text/csv", FRAME)[0], FRAME, body)
    assert time.monotonic() - begun < 20  # under tracemalloc, on a busy machine; unmeasured it is a tenth of a second


def test_a_key_that_is_given_twice_counts_once() -> None:
    """As every JSON reader of ours has it: the last one. What is checked is what is used."""
    body = TEXTS[1][1].replace(b'"shape":[1,2],"datatype":"INT64"', b'"shape":[9,9],"shape":[1,2],"datatype":"INT64"')
    assert tensors.read(body, None, TOKENS).inputs["ids"].shape == (1, 2)


def test_answers_to_hostile_ids_are_json() -> None:
    body = TEXTS[0][1].replace(b'"7"', b'"\\u0000\\"}\\n\\u2028<script>"')
    request = tensors.read(body, None, FRAME)
    made, _ = tensors.write(request, {"label": np.array([1])}, model="m", version="1", signature=FRAME)
    assert json.loads(made)["id"] == '\0"}\n\u2028<script>'
