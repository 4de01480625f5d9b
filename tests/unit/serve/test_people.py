"""POST /predict: what people and browsers send, in every form, is the same arrays; answers read as rows with the classes' names."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.formats.signature import Signature, Tensor
from mlops_toolkit.serve import people
from mlops_toolkit.serve.people import Shape
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import Limits
from tests.unit.serve.models import ALL, CLASSES, FRAME, MATRIX, PICTURE, TEXT, TOKENS, values

ROW = {"age": 3, "income": None, "job": "x"}


def told(value: Any) -> Any:
    """As JSON says it: null for NaN, files in base64."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [told(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def same(found: dict[str, Any], arrays: dict[str, Any]) -> bool:
    return list(found) == list(arrays) and all(
        one.dtype == found[name].dtype
        and one.shape == found[name].shape
        and np.array_equal(one, found[name], equal_nan=one.dtype.kind == "f")
        for name, one in arrays.items()
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_rows_lists_columns_and_forms_are_the_same_examples(data: Any) -> None:
    signature = data.draw(st.sampled_from(list(ALL.values())))
    arrays = data.draw(values(signature))
    columns = {name: told(array.tolist()) for name, array in arrays.items()}
    rows = [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    forms = [({"rows": rows}, Shape.ROWS), (rows, Shape.LIST), (columns, Shape.COLUMNS)]
    if len(columns) == 1:
        forms.append(({"rows": next(iter(columns.values()))}, Shape.ROWS))
    if len(rows) == 1:
        forms.append((rows[0], Shape.ONE))
    for body, shape in forms:
        found, known = people.read(json.dumps(body).encode(), None, signature)
        assert known is shape
        assert same(found, arrays)


@settings(max_examples=60, deadline=None)
@given(values(FRAME))
def test_a_table_of_csv_is_the_same_examples(arrays: dict[str, Any]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(arrays)
    clean = {
        name: [str(one).replace("\r", "").replace("\0", "") if name == "job" else one for one in array.tolist()]
        for name, array in arrays.items()
    }
    for row in zip(*clean.values(), strict=True):
        writer.writerow(["" if isinstance(one, float) and np.isnan(one) else repr(one) if isinstance(one, float) else one for one in row])
    found, shape = people.read(out.getvalue().encode(), "text/csv; charset=utf-8", FRAME)
    assert shape is Shape.ROWS
    assert {name: told(array.tolist()) for name, array in found.items()} == told_columns(clean)


def told_columns(columns: dict[str, list[Any]]) -> dict[str, Any]:
    return {name: told(column) for name, column in columns.items()}


def form(*fields: tuple[str, bytes], end: bytes = b"--X--\r\n") -> bytes:
    made = [
        b'--X\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\nContent-Type: image/png\r\n\r\n%s\r\n' % (n.encode(), v)
        for n, v in fields
    ]
    return b"".join(made) + end


def test_uploads_are_the_bytes_that_were_sent() -> None:
    picture = b"\x89PNG\r\n\x1a\n\x00\xff--X\x00"
    for body, kind, shape in (
        (picture, "image/png", Shape.ONE),
        (form(("anything", picture)), "multipart/form-data; boundary=X", Shape.ONE),
        (json.dumps({"file": told(picture)}).encode(), "application/json", Shape.ONE),
    ):
        found, known = people.read(body, kind, PICTURE)
        assert found["file"].tolist() == [picture]
        assert known is shape
    found, known = people.read(form(("a", picture), ("b", b"")), 'multipart/form-data; boundary="X"', PICTURE)
    assert (found["file"].tolist(), known) == ([picture, b""], Shape.LIST)
    found, _ = people.read("größer".encode(), "text/plain", TEXT)
    assert found["text"].tolist() == ["größer"]
    found, _ = people.read(form(("age", b"3"), ("income", b""), ("job", b"7")), "multipart/form-data; boundary=X", FRAME)
    assert told_columns({name: one.tolist() for name, one in found.items()}) == {"age": [3], "income": [None], "job": ["7"]}


def test_one_row_may_name_its_features() -> None:
    row = {"height": 3, "length": 1, "width": 2}
    for body in (row, [row], {"rows": [row]}, [1, 2, 3], {"x": [1, 2, 3]}, [[1, 2, 3]]):
        assert people.read(json.dumps(body).encode(), None, MATRIX)[0]["x"].tolist() == [[1, 2, 3]]
    assert people.read(b"height,length,width\n3,1,2\n", "text/csv", MATRIX)[0]["x"].tolist() == [[1, 2, 3]]
    assert people.read(b'"cheap pills"', None, TEXT)[0]["text"].tolist() == ["cheap pills"]


@pytest.mark.parametrize(
    ("signature", "body", "kind", "status", "name", "sentence"),
    [
        (FRAME, [{**ROW, "agee": 1}], None, 400, "unknown-input", 'in the 1st row there is no input "agee"; did you mean "age"?'),
        (FRAME, [ROW, {"age": 1}], None, 400, "missing-input", 'in the 2nd row there is no "income", "job"'),
        (FRAME, [ROW, 3], None, 400, "bad-request", "the 2nd row is 3, not an object"),
        (FRAME, [], None, 400, "wrong-shape", "there are no rows"),
        (FRAME, {"rows": ROW}, None, 400, "bad-request", '"rows" is an object of 3'),
        (FRAME, {"rows": [ROW, {**ROW, "age": "12"}]}, None, 400, "wrong-value", '"age" holds "12" (the 2nd value), not a whole number'),
        (FRAME, {"rows": [ROW, {**ROW, "job": None}]}, None, 400, "not-a-number", '"job" holds null (the 2nd value), not a text'),
        (FRAME, {"age": [1], "income": [1, 2], "job": ["a"]}, None, 400, "wrong-shape", "different numbers of examples"),
        (MATRIX, [[1, 2], [1, 2]], None, 400, "wrong-shape", 'axis 1 of the input "x" is 3 long, not 2'),
        (MATRIX, [[1, 2, 3], [1, 2]], None, 400, "wrong-shape", '"x" holds 2 where axis 1 is 3 long (the 2nd list)'),
        (MATRIX, [{"length": 1, "width": 2}], None, 400, "missing-input", 'there is no "height"'),
        (MATRIX, [[1, None, 2]], None, 400, "not-a-number", "no number is missing"),
        (TOKENS, {"ids": [[1, 2]], "mask": [[1, 0]]}, None, 400, "wrong-value", '"mask" holds 1 (the 1st value), not true or false'),
        (TEXT, {"text": {"b64": "aGk="}}, None, 400, "wrong-value", '"text" holds a file of 2 bytes'),
        (PICTURE, {"file": {"b64": "!"}}, None, 400, "bad-upload", "that is not base64"),
        (TEXT, b"\xff", "text/plain", 400, "bad-upload", "text that is not UTF-8"),
        (TEXT, b"x", "image/png", 415, "unsupported-type", "image/png"),
        (FRAME, b"x", "application/xml", 415, "unsupported-type", "it takes application/json, text/csv or multipart/form-data"),
        (TOKENS, b"ids,mask\n1,true\n", "text/csv", 415, "unsupported-type", "send JSON"),
        (FRAME, b"age,income,job\n1,2\n", "text/csv", 400, "bad-csv", "the 1st row has 2 cells, and the first line 3 names"),
        (FRAME, b"age,age,job\n1,2,3\n", "text/csv", 400, "bad-csv", "the same name"),
        (FRAME, b"age,income,job\n1,1e999,a\n", "text/csv", 400, "wrong-value", '"income" holds "1e999"'),
        (FRAME, b'age,income,job\n1,2,"a\n', "text/csv", 400, "bad-csv", "the request is no CSV"),
        (PICTURE, form(("a", b"b"), end=b""), "multipart/form-data; boundary=X", 400, "bad-upload", "cut off"),
        (PICTURE, form(("a", b"b")), "multipart/form-data", 400, "bad-upload", "no boundary"),
        (PICTURE, form(*[("a", b"")] * 11), "multipart/form-data; boundary=X", 400, "bad-upload", "more than 10 parts"),
        (FRAME, b"{", None, 400, "bad-json", "the request is no JSON"),
        (FRAME, b"[" + b" " * 3000 + b"]", None, 413, "too-large", "the request has 3,002 bytes of text, and 2,000 may be"),
        (FRAME, b"age,income,job" + b"\n1,2,3" * 400, "text/csv", 413, "too-large", "send it in several requests"),
    ],
)
def test_each_refusal_says_where_and_what(signature: Signature, body: Any, kind: str | None, status: int, name: str, sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        people.read(body if isinstance(body, bytes) else json.dumps(body).encode(), kind, signature, limits=Limits(parts=10, texts=2000))
    assert (caught.value.status, caught.value.name) == (status, name)
    assert sentence in caught.value.sentence


ANSWER = {"label": np.array([1, 0]), "probability": np.array([[0.1, 0.9], [np.nan, 0.5]], np.float32)}


def test_answers_are_rows_with_the_classes_names_in_the_shape_that_was_asked_in() -> None:
    """Single precision is written as short as it is; NaN is null, and the row says why."""
    first = {"label": "spam", "probability": {"ham": 0.1, "spam": 0.9}}
    second = {"label": "ham", "probability": {"ham": None, "spam": 0.5}, "nulls": {"probability": "the model answered NaN"}}
    written = {shape: json.loads(people.write(ANSWER, FRAME, shape)) for shape in Shape}
    assert written[Shape.ROWS] == {"rows": [first, second]}
    assert written[Shape.LIST] == written[Shape.ONE] == [first, second]
    assert written[Shape.COLUMNS] == {
        "label": ["spam", "ham"],
        "probability": [first["probability"], second["probability"]],
        "nulls": {"probability": "the model answered NaN"},
    }
    one = {name: array[:1] for name, array in reversed(ANSWER.items())}
    assert people.write(one, FRAME, Shape.ONE) == b'{"label":"spam","probability":{"ham":0.1,"spam":0.9}}'


def test_answers_of_every_type_can_be_written() -> None:
    signature = Signature((), (Tensor("a", "FP16", (None,)), Tensor("b", "BYTES", (None, 2)), Tensor("c", "BOOL", (None, 1, 2)), *CLASSES))
    made = people.write(
        {
            "a": np.array([0.1], np.float16),
            "b": np.array([["x", b"\xff"]], object),
            "c": np.asfortranarray(np.ones((1, 1, 2), bool)),
            "label": np.array([7]),  # a class that has no name
            "probability": np.array([[1, 2, 3]], ">f8"),
        },
        signature,
        Shape.ONE,
    )
    assert json.loads(made) == {
        "a": pytest.approx(0.1, rel=1e-3),
        "b": ["x", {"b64": "/w=="}],
        "c": [[True, True]],
        "label": 7,
        "probability": [1, 2, 3],
    }
    for answer in ({"a": np.array(1.0)}, {"label": np.array([1]), "probability": np.zeros((2, 2))}, {"b": np.array(["\ud800"], object)}):
        with pytest.raises(Refused) as caught:
            people.write(answer, signature, Shape.ROWS)
        assert caught.value.status == 500
