"""docs/protocol.md: what it shows is read and answered as it says, and it names every refusal with its status."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from mlops_toolkit.formats.signature import Signature, Tensor
from mlops_toolkit.serve import people, tensors
from mlops_toolkit.serve.refusals import STATUSES, Refused
from tests.check import ROOT

PAGE = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
LABELS = ("no", "yes")
LOANS = Signature(
    (Tensor("age", "INT64", (None,)), Tensor("income", "FP64", (None,), missing=True), Tensor("job", "BYTES", (None,))),
    (Tensor("label", "INT64", (None,), labels=LABELS), Tensor("probability", "FP32", (None, 2), labels=LABELS)),
)
ANSWER = {"label": np.array([1, 0]), "probability": np.array([[0.25, 0.75], [0.875, 0.125]], np.float32)}
BLOCKS = re.findall(r"```(json|csv) (predict|infer|answer|refused)\n(.*?)```", PAGE, re.DOTALL)


def asked(kind: str, way: str, text: str) -> bytes:
    """What the model is asked by a block, and answers."""
    if way == "infer":
        request = tensors.read(text.encode(), None, LOANS)
        arrays, written = request.inputs, tensors.write(request, ANSWER, model="loans", version="3", signature=LOANS)[0]
    else:
        arrays, shape = people.read(text.encode(), "text/csv" if kind == "csv" else None, LOANS)
        written = people.write(ANSWER, LOANS, shape)
    assert arrays["age"].tolist() == [31, 64]
    assert np.isnan(arrays["income"][1])
    return written


def test_what_the_page_shows_is_so() -> None:
    shown = 0
    for (kind, way, text), (_, after, told) in zip(BLOCKS, [*BLOCKS[1:], ("", "", "")], strict=True):
        if after == "refused":
            with pytest.raises(Refused) as caught:
                asked(kind, way, text)
            assert json.loads(caught.value.body()) == json.loads(told)
        elif way in ("predict", "infer"):
            written = asked(kind, way, text)
            assert after != "answer" or json.loads(written) == json.loads(told)
        shown += 1
    assert shown == len(BLOCKS) == 9


def test_every_refusal_is_on_the_page_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ((?:`[a-z-]+` ?)+)\|", PAGE, re.MULTILINE)
    assert {name: int(status) for status, names in rows for name in re.findall(r"[a-z-]+", names)} == STATUSES
