"""YAML as written: what is kept, what is refused, and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.yaml_text import MOST_BYTES, Listing, Scalar, Table, compose, lines, shown
from mlops_toolkit.errors import UsageError


def _texts(text: str) -> dict[str, str]:
    return {key: node.text for key, (_, node) in compose(text, where="f.yaml").entries.items() if isinstance(node, Scalar)}


def test_every_scalar_stays_the_text_that_was_written() -> None:
    written = {"a": "no", "b": "1e-3", "c": "1_000", "d": "0x10", "e": ".inf", "f": "2026-12-31", "g": "010", "h": "true", "i": "12:30:00"}
    assert _texts("".join(f"{key}: {value}\n" for key, value in written.items())) == written


@pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL"])
def test_an_empty_or_null_value_means_that_nothing_was_given(nothing: str) -> None:
    node = compose(f"a: {nothing}\n", where="f").entries["a"][1]
    assert not node.given
    quoted = compose('a: "null"\n', where="f").entries["a"][1]
    assert quoted.given


def test_keys_and_values_know_their_lines() -> None:
    document = compose("a:\n  b: 1\n  c:\n    - x\n    -\n      d: 2\n", where="f")
    assert dict(lines(document)) == {"a": 1, "a.b": 2, "a.c": 3, "a.c[0]": 4, "a.c[1]": 6, "a.c[1].d": 6}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3", 'the key "a" stands twice, first on line 1'),
        ("a:\n  b: 1\n  b: 2\n", "f.yaml:3", 'the key "b" stands twice, first on line 2'),
        ("a:\n\tb: 1\n", "f.yaml:2", "a tab stands where YAML wants spaces"),
        (b"a: 1\nb: caf\xe9\n", "f.yaml:2", "not UTF-8: byte 0xe9"),
        (b"\xff\xfea\x00", "f.yaml:1", "not UTF-8: byte 0xff"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2", "a second document begins here"),
        ("a: b: c\n", "f.yaml:1", "not YAML: mapping values are not allowed here"),
        ("a: *x\n", "f.yaml:1", "not YAML: found undefined alias 'x'"),
        ("a: &x [*x]\n", "f.yaml:1", "unfolds to more than a configuration can hold"),
        (
            "\na: !!python/object/apply:os.system [ls]\n",
            "f.yaml:2",
            'the tag "tag:yaml.org,2002:python/object/apply:os.system" is not wanted here',
        ),
        ("a: !mine x\n", "f.yaml:1", 'the tag "!mine" is not wanted here'),
        ("- a\n", "f.yaml:1", "the file holds a list, not keys with values"),
        ("\nhello\n", "f.yaml:2", "the file holds a text, not keys with values"),
        ("? [a]\n: b\n", "f.yaml:1", "a key must be a text"),
        ("x: 1\n<<: {a: 1}\n", "f.yaml:2", "`<<` is not supported: it is no part of YAML 1.2"),
        ("a: 1\nb: \x07\n", "f.yaml:2", "the character U+0007 cannot stand in YAML"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2", "not YAML: expected ',' or ']', but got ':' while parsing a flow sequence (begun on line 1)"),
    ],
)
def test_what_is_not_one_plain_document_is_refused_with_its_line(text: str | bytes, where: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose(text, where="f.yaml")
    assert (caught.value.name, caught.value.where, caught.value.message) == ("invalid-yaml", where, message)


def test_two_keys_that_stand_twice_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        compose("a: 1\na: 2\nb: 1\nb: 2\n", where="f")
    assert str(caught.value).count("stands twice") == 2


def test_a_file_of_ten_megabytes_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UsageError, match=f"over {MOST_BYTES // 1024} KiB"):
        compose(b"a: 1\n" * 2_000_000, where="f")


def test_aliases_that_unfold_to_millions_are_refused() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(UsageError, match="unfolds to more"):
        compose(bomb, where="f")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_without_exhausting_the_stack(opening: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose(opening * 20_000, where="f")
    assert (caught.value.name, caught.value.message) == ("invalid-yaml", "nested too deeply to be a configuration")


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.text(max_size=80), st.binary(max_size=80), st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t<~", max_size=60)))
def test_any_text_is_read_or_refused_by_name(text: str | bytes) -> None:
    error = refusal(text)
    assert error is None or error.name == "invalid-yaml"
    assert all(line.isprintable() for line in str(error).splitlines())


def refusal(text: str | bytes) -> UsageError | None:
    """The error of a text, None where it is read."""
    try:
        assert isinstance(compose(text, where="f"), Table)
    except UsageError as error:
        return error
    return None


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=100))
def test_a_shown_text_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown("x" * 10_000_000)) < 100


def test_a_list_is_a_listing() -> None:
    node = compose("a: [x, y]\n", where="f").entries["a"][1]
    assert isinstance(node, Listing)
    assert [item.text for item in node.items if isinstance(item, Scalar)] == ["x", "y"]
