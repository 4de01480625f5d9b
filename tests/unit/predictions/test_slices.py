"""Slices by value and by condition: what they select, and what in them is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.predictions import conditions
from mlops_toolkit.predictions.slices import columns, masks
from tests.unit.predictions.hostile import HOSTILE

TEXT = pl.DataFrame(
    {
        "id": ["1", "2", "3", "4"],
        "length": ["100", "600.5", "513", None],
        "language": ["de", "en", "de", ""],
        "long name": ["x", "y", "it's", "Ünï"],
        "flag": ["True", "false", "FALSE", "true"],
    }
)
TYPED = TEXT.with_columns(pl.col("length").cast(pl.Float64), pl.col("flag").str.to_lowercase() == "true")

CONDITIONS = [
    ("length > 512", "0110"),
    ("length>512 and language = 'de'", "0010"),
    ("language = 'de' OR language = 'en'", "1110"),
    ("NOT language IN ('de', 'en')", "0001"),
    ("language not in ('de')", "0101"),
    ("length BETWEEN 100 AND 513", "1010"),
    ("length not between 100 and 513", "0100"),
    ("language LIKE 'd%'", "1010"),
    ("language like '_n'", "0100"),
    ("\"long name\" = 'it''s'", "0010"),
    ("`long name` like '%.%'", "0000"),
    ("length is null", "0001"),
    ("length IS NOT NULL AND (length - 100) / 2 >= 206.5", "0110"),
    ("length % 2 = 1", "0010"),
    ("-length < -550", "0100"),
    ("length(language) = 2", "1110"),
    ('length("long name") = 3', "0001"),
    ("upper(language) = 'DE'", "1010"),
    ("lower(\"long name\") = 'ünï'", "0001"),
    ("abs(length - 600) < 1", "0100"),
    ("flag", "1001"),
    ("not flag and true", "0110"),
    ("flag = false", "0110"),
    ("length = '513'", "0010"),
    ("id < 3", "1100"),
    ("1e2 = length", "1000"),
    ("true", "1111"),
    ("not not (language <> 'de')", "0101"),
    ("starts_with(language, 'd') or endsWith(language, 'n')", "1110"),
    ("not contains(\"long name\", 'ï')", "1110"),
    ("contains(id, '.') or contains(language, language)", "1111"),
    ("startswith('it''s', \"long name\")", "0010"),
    ("language ilike 'D%' and not language like 'D%'", "1010"),
    ("trim(language) = ''", "0001"),
    ("floor(length / 100) in (1, 6)", "1100"),
    ("id = floor(length / 100)", "1000"),
    ("length > id * 250", "0100"),
]


@pytest.mark.parametrize("frame", [TEXT, TYPED], ids=["text", "typed"])
@pytest.mark.parametrize(("condition", "rows"), CONDITIONS)
def test_conditions_mean_the_same_on_text_and_on_typed_columns(frame: pl.DataFrame, condition: str, rows: str) -> None:
    assert "".join(str(int(m)) for m in conditions.mask(frame, condition, "slice x")) == rows


def test_nan_is_no_number_in_conditions_and_a_missing_value_among_slices() -> None:
    frame = pl.DataFrame({"id": ["1", "2", "3", "4"], "x": [1.5, float("nan"), None, 0.0]})
    for condition, rows in (("x > 1", "1000"), ("x <= 1", "0001"), ("x is null", "0110"), ("x / x >= 1", "1000"), ("not x > 1", "0001")):
        assert "".join(str(int(m)) for m in conditions.mask(frame, condition, "slice x")) == rows, condition
    found = {name: rows.tolist() for name, rows in masks(frame, (SliceRequest(name="x", column="x"),))}
    assert found["x=(missing)"] == [False, True, True, False]


@pytest.mark.parametrize("kind", [pl.Duration, pl.Binary, pl.List(pl.Int64)])
def test_columns_that_are_no_text_are_refused_by_name(kind: pl.DataType) -> None:
    frame = pl.DataFrame({"id": ["1"], "x": pl.Series([None], dtype=kind)})
    for attempt in (lambda: masks(frame, (SliceRequest(name="x", column="x"),)), lambda: conditions.mask(frame, "x = 1", "slice x")):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert caught.value.name == "bad-slice"


WRONG = [
    ("", "the condition is empty"),
    ("lenght > 3", 'there is no column "lenght"\n  did you mean "length"?'),
    ('language = "de"', "there is no column \"de\"\n  text stands in single quotes: 'de'"),
    ("language > 512", 'the column "language" is compared with a number but holds "de"'),
    ("length >", "the condition ends where a value is expected"),
    ("length > 512 512", '"512" is not expected after "512"'),
    ("length", "a condition is expected, not a value"),
    ("length + 1", "a condition is expected, not a value"),
    ("length LIKE 5", "LIKE needs a text in single quotes"),
    ("length IN ()", 'a value is expected where ")" stands'),
    ("length IN (1", ") is expected where the end stands"),
    ("length between 1 or 2", 'AND is expected where "or" stands'),
    ("length not 5", "IN, BETWEEN or LIKE is expected after NOT"),
    ("flag > true", "true and false can only be compared by = and !="),
    ("sqrt(length) > 2", 'there is no function "sqrt"'),
    ("starts_with(language)", ', is expected where ")" stands'),
    ("starts_wth(language, 'd')", 'did you mean "starts_with"?'),
    ("contains(language, length + 1)", "a text is expected"),
    ("length > 'many'", '"many" is not a number'),
    ("language; drop table x", 'cannot read "; drop table x"'),
    ("length > $HOME", 'cannot read "$HOME"'),
    ("(" * 100 + "length > 1" + ")" * 100, "the condition is nested too deeply"),
    ("x" * 5000, "a condition has at most 4,000 characters"),
    ("length > 5 and", "the condition ends where a value is expected"),
    ("select = 1", 'there is no column "select"'),
    ("length > 512x", 'cannot read "512x"'),
]


@pytest.mark.parametrize(("condition", "text"), WRONG)
def test_what_cannot_be_meant_is_refused(condition: str, text: str) -> None:
    typed = TYPED if condition.startswith(("length > 'many'", "length + ")) else TEXT
    with pytest.raises(UsageError) as caught:
        conditions.mask(typed, condition, "slice x")
    assert caught.value.name == "bad-slice"
    assert text in str(caught.value)


PARTS = st.sampled_from(
    [
        "length",
        "language",
        "flag",
        "'de'",
        "512",
        "1.5",
        "and",
        "or",
        "not",
        "in",
        "(",
        ")",
        ",",
        "=",
        "<",
        "+",
        "-",
        "/",
        "%",
        "like",
        "is",
        "null",
        "between",
        "true",
        "abs",
        "lower",
        "contains",
        "starts_with",
        "ilike",
        '"id"',
        "`",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PARTS, max_size=10).map(" ".join) | st.text(max_size=40) | st.sampled_from(HOSTILE), st.sampled_from([TEXT, TYPED]))
def test_any_text_as_a_condition_is_a_mask_or_a_named_error(condition: str, frame: pl.DataFrame) -> None:
    refused = rows = None
    try:
        rows = conditions.mask(frame, condition, "slice x")
    except UsageError as error:
        refused = error
    if rows is not None:
        assert rows.dtype == bool
        assert rows.shape == (4,)
    assert refused is None or refused.name == "bad-slice"


def test_a_column_gives_a_slice_a_value_and_a_name_gives_its_condition() -> None:
    found = masks(TEXT, (SliceRequest("language", column="language"), SliceRequest("long", where="length > 512")))
    assert [(name, int(rows.sum())) for name, rows in found] == [
        ("language=(missing)", 1),
        ("language=de", 2),
        ("language=en", 1),
        ("long", 2),
    ]
    values = masks(
        pl.DataFrame({"level": [1, 2, 1], "ok": [True, None, False]}),
        (SliceRequest("level", column="level"), SliceRequest("ok", column="ok")),
    )
    assert [name for name, _ in values] == ["level=1", "level=2", "ok=(missing)", "ok=false", "ok=true"]
    assert np.array_equal(sum(rows.astype(int) for _, rows in values[:2]), [1, 1, 1])


def names(column: pl.Series) -> list[str]:
    return [name for name, _ in masks(pl.DataFrame({"x": column}), (SliceRequest("x", column="x"),))]


@pytest.mark.parametrize("kind", [pl.Float64, pl.Int64, pl.String])
def test_a_column_of_many_numbers_is_cut_into_quartiles(kind: pl.DataType) -> None:
    """Also where it was read from a CSV file, as text."""
    values = [*range(100), None]
    frame = pl.DataFrame({"x": pl.Series(values[::-1], dtype=pl.Int64).cast(kind)})
    found = masks(frame, (SliceRequest("x", column="x"),))
    point = ".0" if kind == pl.Float64 else ""
    assert [name for name, _ in found] == [
        "x=(missing)",
        *(f"x={a}{point} to {b}{point}" for a, b in ((0, 24), (25, 49), (50, 74), (75, 99))),
    ]
    assert [int(rows.sum()) for _, rows in found] == [1, 25, 25, 25, 25]
    assert np.array_equal(sum(rows.astype(int) for _, rows in found), np.ones(101))


def test_quartiles_keep_equal_values_together_whatever_their_order() -> None:
    most_are_zero = pl.Series([0] * 900 + list(range(100)))
    assert names(most_are_zero) == names(most_are_zero.reverse()) == ["x=0", "x=1 to 99"]


def test_days_are_cut_too_and_texts_are_not() -> None:
    days = pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 4, 10), eager=True)
    cut = [
        "x=2026-01-01 to 2026-01-25",
        "x=2026-01-26 to 2026-02-19",
        "x=2026-02-20 to 2026-03-16",
        "x=2026-03-17 to 2026-04-10",
    ]
    assert names(days) == names(days.cast(pl.String)) == cut
    with pytest.raises(UsageError, match="has 100 values, at most 50"):
        names(pl.Series([f"user {i}" for i in range(100)]))
    with pytest.raises(UsageError, match="has 100 values, at most 50"):
        names(pl.Series(["mine", *map(str, range(99))]))


@pytest.mark.parametrize("column", ["score", "prob:spam", "cluster", "prediction"])
def test_what_the_model_answered_is_not_cut(column: str) -> None:
    with pytest.raises(UsageError, match="has 100 values"):
        masks(pl.DataFrame({column: [i / 100 for i in range(100)]}), (SliceRequest(column, column=column),))


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_as_a_value_is_a_slice_of_its_own(text: str) -> None:
    frame = pl.DataFrame({"x": [text, "a", text]})
    found = dict(masks(frame, (SliceRequest("x", column="x"),)))
    assert found[f"x={text or '(missing)'}"].tolist() == [True, False, True]


def refused(*requests: SliceRequest) -> UsageError:
    frame = pl.DataFrame({"id": [str(i) for i in range(60)], "target": ["a"] * 60})
    with pytest.raises(UsageError) as caught:
        masks(frame, requests)
    return caught.value


def test_slices_that_prove_nothing_are_refused() -> None:
    empty = refused(SliceRequest("none", where="id > 1000"))
    assert empty.name == "empty-slice"
    assert str(empty) == 'slice none: no row fulfils "id > 1000"\n  a slice without rows proves nothing: remove it'
    assert str(refused(SliceRequest("id", column="id"))).startswith('slice id: the column "id" has 60 values, at most 50 can be slices')
    assert (
        str(refused(SliceRequest("traget", column="traget")))
        == 'slice traget: there is no column "traget" to slice by\n  did you mean "target"?'
    )
    assert refused(SliceRequest("a", where="id = 1"), SliceRequest("a", where="id = 2")).name == "duplicate-slice"


def test_the_columns_that_slices_need_are_known() -> None:
    requests = (SliceRequest("language", column="language"), SliceRequest("long", where="length > 512"))
    assert columns(requests, TEXT.columns) == ("length", "language")


def test_values_of_any_type_and_missing_ones_are_slices() -> None:
    for values in ([1.5, None, 2.5, 1.5], ["a", None, "", "a"], [True, None, False, True], [1, None, 2, 1]):
        column = pl.Series("c", values)
        found = masks(pl.DataFrame({"c": column}), (SliceRequest("c", column="c"),))
        assert found[0][0] == "c=(missing)"
        assert sum(rows.astype(int) for _, rows in found).tolist() == [1, 1, 1, 1]
        assert [rows.tolist() for name, rows in found if name == f"c={column.cast(pl.String)[0]}"] == [[True, False, False, True]]
