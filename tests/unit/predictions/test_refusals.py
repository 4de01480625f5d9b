"""Every refusal of a predictions file: its name, its place, and its sentence, once."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from mlops_toolkit.errors import InvalidFile, MlopsError
from mlops_toolkit.predictions import formats
from mlops_toolkit.predictions.read import read

HEAD = "id,target,prediction\n"
PROBS = "id,target,prediction,prob:a,prob:b\n"

REFUSALS = [
    ("empty-file", b"", "preds.csv: the file is empty (0 bytes)"),
    ("empty-file", b"\xef\xbb\xbf \n", "preds.csv: the file is empty (5 bytes)"),
    ("no-rows", HEAD, "preds.csv: there is a header but not one row"),
    ("no-rows", HEAD + "\n\n", "preds.csv: there is a header but not one row"),
    ("missing-column", "id,y_true,prediction\n1,a,b\n", 'preds.csv: there is no column "target"'),
    ("missing-column", "id,target\n1,a\n", 'preds.csv: there is no column "prediction"'),
    ("missing-column", "target,prediction\na,b\n", 'preds.csv: there is no column "id"'),
    ("missing-column", "id, target, prediction\n1,a,b\n", 'if " target" is the target, write it as "target"'),
    ("duplicate-column", "id,target,target,prediction\n1,a,a,a\n", 'preds.csv row 1: the column "target" stands twice in the header'),
    ("duplicate-id", HEAD + "7,a,a\n8,a,a\n7,b,b\n", 'preds.csv row 4, column id: the id "7" stands at row 2 already'),
    (
        "duplicate-id",
        "id,repeat,target,prediction\n7,1,a,a\n7,1,b,b\n",
        'preds.csv row 3, column id: the id "7" stands at row 2 already, with the same repeat "1"',
    ),
    ("duplicate-id", '{"id":7,"target":"a","prediction":"a"}\n\n{"id":"7","target":"a","prediction":"a"}', "preds.csv row 3, column id"),
    ("missing-value", HEAD + "1,a,b\n2,,b\n", "preds.csv row 3, column target: there is no target here"),
    ("missing-value", HEAD + ",a,b\n", "preds.csv row 2, column id: there is no id here"),
    ("missing-value", HEAD + '"1\n2",a,b\n3,a,\n', "preds.csv row 4, column prediction: there is no prediction here"),
    ("missing-value", '{"id":1,"target":null,"prediction":"a"}', "preds.csv row 1, column target: there is no target here"),
    ("not-a-number", "id,target,prediction,score\n1,a,b,0.5\n2,a,b,NaN\n", 'preds.csv row 3, column score: "NaN" is not a finite number'),
    ("not-a-number", "id,target,prediction,score\n1,a,b,inf\n", 'preds.csv row 2, column score: "inf" is not a finite number'),
    ("not-a-number", "id,target,prediction,score\n1,a,b,\n", "preds.csv row 2, column score: the cell is empty, a number is needed"),
    (
        "not-a-number",
        'id,target,prediction,score\n1,a,b,"1,5"\n',
        'preds.csv row 2, column score: "1,5" is not a number\n  write numbers with a decimal point',
    ),
    ("not-a-number", "id,target,prediction,score\n1,a,b,true\n", 'preds.csv row 2, column score: "true" is not a number'),
    ("not-a-number", "id,target,prediction,score\n1,a,b,1e999\n", 'preds.csv row 2, column score: "1e999" is not a number'),
    ("not-a-number", "id,target,prediction,weight\n1,a,b,1_000\n", 'preds.csv row 2, column weight: "1_000" is not a number'),
    (
        "bad-weight",
        "id,target,prediction,weight\n1,a,b,1\n2,a,b,0\n",
        "preds.csv row 3, column weight: a weight must be more than 0, this is 0.0",
    ),
    ("bad-probability", PROBS + "1,a,b,1.5,-0.5\n", "preds.csv row 2, column prob:a: a probability lies between 0 and 1, this is 1.5"),
    ("bad-probability", PROBS + "1,a,b,0.5,0.4\n", "preds.csv row 2, column prob:*: the probabilities of all labels sum to 0.9, not to 1"),
    (
        "missing-column",
        PROBS + "1,a,c,0.5,0.2\n",
        'preds.csv: there is no column "prob:c", and the probabilities do not sum to 1 without it',
    ),
    (
        "unknown-label-column",
        "id,target,prediction,prob:Spam\n1,spam,ham,0.5\n",
        'preds.csv, column prob:Spam: no row has the label "Spam"\n  did you mean "spam"?',
    ),
    ("unknown-label-column", "id,target,prediction,prob:\n1,spam,ham,0.5\n", 'preds.csv, column prob:: no row has the label ""'),
    (
        "labels-differ",
        HEAD + "1,1,1.0\n2,0,0.0\n",
        'column prediction: "0.0" in prediction and "0" in target look like one label but are two texts',
    ),
    ("labels-differ", HEAD + "1,Spam,spam\n", '"spam" in prediction and "Spam" in target look like one label'),
    (
        "bad-cluster",
        "id,repeat,cluster,target,prediction\n1,1,x,a,a\n1,2,y,a,a\n",
        'preds.csv row 3, column cluster: repeats of one id lie in two clusters; the second is "y"',
    ),
    ("ragged-row", HEAD + "1,a,b\n2,a,b,c\n", "preds.csv row 3: 4 cells where the header has 3"),
    ("bad-quotes", HEAD + '1,"a,b\n2,a,b\n', "preds.csv row 2: the quotes are not balanced"),
    (
        "cell-too-long",
        HEAD + "1,a,b\n2,a," + "x" * 10_000_000 + "\n",
        "preds.csv row 3, column prediction: a cell of 10,000,000 bytes cannot be a prediction",
    ),
    ("not-predictions", HEAD + "1,a\0,b\n", "preds.csv row 2: a NUL byte stands at byte 25: this is not text"),
    (
        "not-predictions",
        '{"id":"a\\u0000","target":"a","prediction":"a"}',
        'preds.csv row 1, column id: a NUL character stands in "a\\x00"',
    ),
    (
        "not-predictions",
        '{"id":"a","target":"a","prediction":"a"}\n{"id":"b","target":"a","prediction":"b\\u0000"}',
        'preds.csv row 2, column prediction: a NUL character stands in "b\\x00"',
    ),
    ("not-predictions", HEAD.encode() + b"1,\xff,b\n", "preds.csv row 2: byte 24 (0xff) is not UTF-8"),
    ("not-predictions", b"\xff\xfei\0d\0", "preds.csv: this is UTF-16 text, not a table of predictions"),
    ("not-predictions", b"\x1f\x8b\x08\0", "preds.csv: this is a gzip file"),
    ("not-predictions", b"PAR1 and nothing behind it", "preds.csv: the Parquet file is damaged"),
    ("not-predictions", b"accuracy\n0.9\n", "preds.csv: it has none of the columns id, target, prediction; it has accuracy"),
    ("not-predictions", '{"accuracy": 0.9}', "numbers by name belong into a metrics file"),
    ("not-predictions", '{\n "accuracy": 0.9\n}', "this is one JSON document, not one object a line"),
    ("not-predictions", '{"id": 1,\n', "preds.csv row 1: not readable as JSON"),
    (
        "not-predictions",
        '{"id":1,"target":1,"prediction":NaN}',
        "preds.csv row 1: not readable as JSON: NaN is not a number that can be compared",
    ),
    ("not-predictions", '{"id":1,"id":2}', "preds.csv row 1: not readable as JSON: a key stands twice in one row"),
    ("not-predictions", "[1]", "preds.csv row 1: each row must be an object, this is a number"),
    ("not-predictions", "[" * 100_000, "preds.csv: not readable as JSON"),
    ("not-predictions", '{"id":"\\ud800","target":"a","prediction":"a"}', "half a surrogate pair"),
    ("task-unclear", HEAD + "1,0.5,0.7\n", "preds.csv: the task cannot be told from target and prediction"),
]


def refusal(path: Path) -> MlopsError:
    with pytest.raises(InvalidFile) as caught:
        read(path, name="preds.csv")
    return caught.value


@pytest.mark.parametrize(("name", "content", "text"), REFUSALS, ids=[f"{i}-{row[0]}" for i, row in enumerate(REFUSALS)])
def test_a_wrong_file_is_refused_by_name_place_and_value(tmp_path: Path, name: str, content: str | bytes, text: str) -> None:
    path = tmp_path / "preds"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    error = refusal(path)
    assert (error.name, error.code) == (name, 5)
    assert text in str(error)
    assert len(str(error)) < 600


def test_probabilities_are_not_taken_for_labels(tmp_path: Path) -> None:
    path = tmp_path / "preds.csv"
    path.write_text(HEAD + "1,1,0.75\n2,0,0.5\n3,0,1e-3\n")
    with pytest.raises(InvalidFile, match=r'"0\.5" is a number with a fraction\n  a probability belongs into the column score') as caught:
        read(path, task="classification")
    assert caught.value.name == "labels-differ"
    for prediction in ("2", "b", "nan"):  # wrong, but labels
        path.write_text(HEAD + f"1,1,{prediction}\n2,0,{prediction}\n")
        assert read(path, task="classification").n == 2


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).name == "not-a-file"
    assert refusal(tmp_path / "nothing").name == "no-file"


def test_parquet_columns_that_hold_no_text_or_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pl.DataFrame({"id": ["1"], "target": [["a"]], "prediction": ["a"]}).write_parquet(path)
    assert "column target: a List(String) column cannot hold targets" in str(refusal(path))
    pl.DataFrame({"id": ["1", "2"], "target": ["a", "b"], "prediction": ["a", "b"], "score": [0.5, float("nan")]}).write_parquet(path)
    assert str(refusal(path)) == "preds.csv row 2, column score: nan is not a finite number"
    pl.DataFrame({"id": ["1"], "target": ["a"], "prediction": ["a"], "score": [True]}).write_parquet(path)
    assert str(refusal(path)) == "preds.csv row 1, column score: true is not a number"
    for score, kind in (([[1, 2]], "List(Int64)"), ([b"x"], "Binary"), (pl.Series([1]).cast(pl.Date), "Date")):
        pl.DataFrame({"id": ["1"], "target": ["a"], "prediction": ["a"], "score": score}).write_parquet(path)
        assert str(refusal(path)) == f"preds.csv row 1, column score: a {kind} is not a number"
    pl.DataFrame({"id": ["1"], "target": ["a"], "prediction": pl.Series([None], dtype=pl.String)}).write_parquet(path)
    assert refusal(path).name == "missing-value"


def test_a_parquet_file_cut_off_anywhere_is_damaged(tmp_path: Path) -> None:
    out = io.BytesIO()
    pl.DataFrame({"id": [str(i) for i in range(50)], "target": ["a"] * 50, "prediction": ["a"] * 50}).write_parquet(out)
    whole, path = out.getvalue(), tmp_path / "p.parquet"
    for size in range(4, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        assert refusal(path).name == "not-predictions"


def test_a_parquet_file_that_would_end_the_reader_itself_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.parquet"
    pl.DataFrame({"id": ["1"], "target": ["a"], "prediction": ["a"]}).write_parquet(path)
    assert read(path, careful=True).n == 1
    monkeypatch.setattr(formats, "TRIAL", "import os; os.abort()")
    with pytest.raises(InvalidFile) as caught:
        read(path, name="preds.csv", careful=True)
    assert (
        str(caught.value)
        == "preds.csv: the Parquet file is damaged: reading it crashes the reader\n  was the command stopped while it wrote it?"
    )


def test_what_the_trial_says_of_a_damaged_file_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 and nothing behind it, but PAR1")
    with pytest.raises(InvalidFile, match="the Parquet file is damaged: parquet: File out of specification"):
        read(path, name="preds.csv", careful=True)
