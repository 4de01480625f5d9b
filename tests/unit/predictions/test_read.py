"""What a file of predictions may look like, and what it is read as."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions.digest import digests
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.table import Table
from tests.unit.predictions.hostile import HOSTILE


def table(tmp_path: Path, content: str | bytes, **options: str) -> Table:
    path = tmp_path / "preds"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, name="preds.csv", **options)  # type: ignore[arg-type]


def rows(made: Table) -> list[tuple[object, ...]]:
    return made.frame.rows()


def as_csv(records: list[dict[str, object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(records[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def as_lines(records: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def as_array(records: list[dict[str, object]]) -> bytes:
    return json.dumps(records, indent=1).encode()


def as_parquet(records: list[dict[str, object]]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(records).write_parquet(out)
    return out.getvalue()


FORMATS = (as_csv, as_lines, as_array, as_parquet)


@pytest.mark.parametrize("write", FORMATS)
def test_the_four_formats_of_the_same_rows_are_the_same_table(tmp_path: Path, write: object) -> None:
    records: list[dict[str, object]] = [
        {"id": 10, "target": "spam", "prediction": "ham", "score": 0.25, "weight": 2.0, "cluster": "u1", "language": "de"},
        {"id": 9, "target": "ham", "prediction": "ham", "score": 0.5, "weight": 1.0, "cluster": "u2", "language": "en"},
    ]
    made = table(tmp_path, write(records))  # type: ignore[operator]
    assert rows(made) == [("10", "spam", "ham", 0.25, 2.0, "u1", "de"), ("9", "ham", "ham", 0.5, 1.0, "u2", "en")]
    assert made.labels == ("ham", "spam")
    assert digests(made) == digests(table(tmp_path, as_csv(records)))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
        ),
        min_size=1,
        max_size=8,
        unique=True,
    )
)
def test_any_text_is_an_id_and_a_label_exactly_as_written_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str]]
) -> None:
    records: list[dict[str, object]] = [{"id": text, "target": text, "prediction": text, "note": text} for (text,) in texts]
    folder = tmp_path_factory.mktemp("any")
    wanted = sorted((text, text, text, text) for (text,) in texts)
    for write in FORMATS:
        made = table(folder, write(records), task="classification")
        assert sorted(rows(made)) == wanted, write.__name__  # type: ignore[type-var]
        assert set(made.labels) >= {text for (text,) in texts}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("\ufeffid,target,prediction\n1,a,b\n", "a byte order mark"),
        ("id,target,prediction\r\n1,a,b\r\n", "CRLF"),
        ("id,target,prediction\r1,a,b\r", "CR alone"),
        ("id;target;prediction\n1;a;b\n", "semicolons"),
        ("id\ttarget\tprediction\n1\ta\tb\n", "tabs"),
        ("prediction,id,target\nb,1,a\n", "another order of columns"),
        ('"id","target","prediction"\n"1","a","b"\n', "quotes"),
        ("id,target,prediction\n1,a,b", "no last newline"),
        ("id,target,prediction\n\n1,a,b\n\n\n", "blank lines"),
        ('{"id": 1, "target": "a", "prediction": "b"}\n\n', "JSON lines"),
        ('\ufeff  [{"id": "1", "target": "a", "prediction": "b"}]', "a JSON array"),
    ],
)
def test_ways_of_writing_one_row(tmp_path: Path, content: str, what: str) -> None:
    made = table(tmp_path, content)
    assert made.frame.select("id", "target", "prediction").rows() == [("1", "a", "b")], what


def test_a_semicolon_inside_a_comma_separated_header_is_no_separator(tmp_path: Path) -> None:
    assert "a;b;c" in table(tmp_path, "id,target,prediction,a;b;c\n1,x,y,z\n").frame.columns


def test_labels_stay_as_written(tmp_path: Path) -> None:
    made = table(tmp_path, "id,target,prediction\n1,no,no\n2,007,007\n3,1.0,1.0\n4,1e3,no\n5,NA,NA\n6,null,NaN\n")
    assert made.labels == ("007", "1.0", "1e3", "NA", "NaN", "no", "null")
    lines = '{"id":1,"target":1.0,"prediction":1.0}\n{"id":2,"target":true,"prediction":7}\n{"id":3,"target":7,"prediction":1.50}\n'
    assert table(tmp_path, lines, task="classification").labels == ("1.0", "1.50", "7", "true")


def test_parquet_numbers_and_truths_become_their_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2], "target": [True, False], "prediction": [True, True]})
    out = io.BytesIO()
    frame.write_parquet(out)
    made = table(tmp_path, out.getvalue())
    assert rows(made) == [("1", "true", "true"), ("2", "false", "true")]
    assert made.positive == "true"


@pytest.mark.parametrize(
    ("labels", "positive"),
    [(("0", "1"), "1"), (("1", "1"), "1"), (("0", "0"), "1"), (("True", "False"), "True"), (("false", "true"), "true"), (("a", "b"), None)],
)
def test_the_positive_class_is_known_only_of_zero_one_and_false_true(tmp_path: Path, labels: tuple[str, str], positive: str | None) -> None:
    made = table(tmp_path, f"id,target,prediction\n1,{labels[0]},{labels[0]}\n2,{labels[1]},{labels[1]}\n")
    assert made.positive == positive
    assert positive is None or positive in made.labels


def test_a_positive_class_that_is_given_must_exist(tmp_path: Path) -> None:
    assert table(tmp_path, "id,target,prediction\n1,spam,ham\n", positive="spam").positive == "spam"
    with pytest.raises(UsageError) as caught:
        table(tmp_path, "id,target,prediction\n1,spam,ham\n", positive="spm")
    assert str(caught.value) == 'positive: "spm" is no label of preds.csv\n  did you mean "spam"?'


@pytest.mark.parametrize(
    ("target", "prediction", "task"),
    [
        (range(10), range(10), "classification"),
        ([i + 0.5 for i in range(20)], [i + 0.25 for i in range(20)], "regression"),
        (range(20), [i + 0.25 for i in range(20)], "regression"),
        (["a", "b"], ["b", "a"], "classification"),
        (range(100), range(100), "task-unclear"),
        ([0, 1] * 10, [0.1 * i for i in range(20)], "task-unclear"),
    ],
)
def test_the_task_is_told_by_the_values_or_asked_for(tmp_path: Path, target: list[object], prediction: list[object], task: str) -> None:
    lines = "".join(f"{i},{t},{p}\n" for i, (t, p) in enumerate(zip(target, prediction, strict=True)))
    content = "id,target,prediction\n" + lines
    if task == "task-unclear":
        with pytest.raises(Exception, match="the task cannot be told") as caught:
            table(tmp_path, content)
        assert caught.value.name == "task-unclear"  # type: ignore[attr-defined]
        assert not table(tmp_path, content, task="regression").inferred
    else:
        made = table(tmp_path, content)
        assert (made.task, made.inferred) == (task, True)


def test_a_table_without_targets_is_for_means_only(tmp_path: Path) -> None:
    made = table(tmp_path, "id,prediction,judge_score\n1,The answer,4\n2,Another,5\n")
    assert (made.task, made.labels, made.task_has_target) == ("columns", (), False)
    assert made.extra == ("judge_score",)


def test_numbers_are_parsed_where_numbers_are_meant(tmp_path: Path) -> None:
    lines = "".join(f"{i},{i}.5,+{i}e0,{i % 3 + 1}\n" for i in range(12))
    made = table(tmp_path, "id,target,prediction,weight\n" + lines)
    assert made.task == "regression"
    assert made.frame.schema["target"] == pl.Float64
    assert dict(zip(made.frame["id"], made.frame["target"], strict=True))["11"] == 11.5


def test_repeats_of_an_id_are_told_apart(tmp_path: Path) -> None:
    made = table(tmp_path, "id,repeat,target,prediction\nb,2,x,y\nb,1,x,x\na,1,x,x\n")
    assert made.frame.select("id", "repeat").rows() == [("a", "1"), ("b", "1"), ("b", "2")]


def test_rows_are_sorted_by_the_bytes_of_their_ids_however_long_they_are(tmp_path: Path) -> None:
    for ids in (
        ["10", "9", "b", "a", "B"],
        ["é", "z", "🦊", "a"],
        ["x" * 40 + c for c in "cab"],
        ["exactly-16-bytes", "exactly-16-bytet", "e"],
    ):
        content = "id,target,prediction\n" + "".join(f"{i},x,y\n" for i in ids)
        assert table(tmp_path, content).frame["id"].to_list() == sorted(ids)


def test_a_stored_table_of_columns_is_read_back_as_one(tmp_path: Path) -> None:
    assert table(tmp_path, "id,language\n1,de\n", task="columns").task == "columns"
