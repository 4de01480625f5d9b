"""The committed pointer: written and read back the same, and everything wrong in one said at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlops_toolkit.config.emit.jsonschema import schema
from mlops_toolkit.config.pointer import Pointer, dumps, for_reading, loads, name_of, read, wrong_uri
from mlops_toolkit.config.read import load, parse
from mlops_toolkit.errors import ConfigErrors, MlopsError, UsageError
from tests.check import ROOT

DIGEST = "sha256:" + "ab" * 32
WHOLE = Pointer(
    uri="s3://bucket/models/spam.onnx",
    run="20261124-092057-3f9a1c",
    digest=DIGEST,
    size=123,
    kind="file",
    name="spam.onnx",
    tried=50,
    recorded="2026-11-24T09:20:57Z",
    prompts={"prompts/a b.txt": DIGEST},
    params={"lr": "1e-3", "yes": "no", "text": "a: b # c"},
    metrics={"accuracy": 0.9722, "tiny": 1e-12},
)
VENDOR = Pointer(uri="vendor:acme/chat-4@2026-08-01", run=WHOLE.run)
names = st.text(max_size=250)
anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.lists(st.integers(), max_size=3))


@pytest.mark.parametrize("made", [WHOLE, VENDOR, replace(WHOLE, uri="models/spam.onnx", name=None)], ids=["whole", "vendor", "here"])
def test_what_is_written_is_read_back(made: Pointer) -> None:
    assert loads(dumps(made), where="p") == made
    assert dumps(loads(dumps(made), where="p")) == dumps(made)


@given(st.dictionaries(names, anything, max_size=8), st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_any_parameters_and_metrics_make_a_pointer_that_is_read_back(params: dict[str, object], metrics: dict[str, float]) -> None:
    """Whatever a user's file holds: no name and no value makes a pointer that we then refuse, or that a reader of YAML takes otherwise."""
    texts, numbers = for_reading(params, metrics)
    made = replace(WHOLE, params=texts, metrics=numbers)
    text = dumps(made)
    assert loads(text, where="p") == made
    assert dict(yaml.safe_load(text).get("params") or {}) == texts


def test_a_password_in_a_parameter_stays_out() -> None:
    texts, _ = for_reading({"dsn": "postgres://me:secret@host/db", "url": "https://h/x?X-Amz-Signature=1", "lr": 0.1}, {})
    assert texts == {"lr": "0.1"}


def test_a_hundred_entries_are_shown_and_the_file_stays_readable() -> None:
    texts, numbers = for_reading({f"p{i}": "ü" * 500 for i in range(300)}, {f"m{i}": i / 7 for i in range(300)})
    assert (len(texts), len(numbers)) == (100, 100)
    assert loads(dumps(replace(WHOLE, params=texts, metrics=numbers)), where="p").metrics == numbers


@given(st.dictionaries(names, anything, max_size=5))
def test_it_is_written_as_json_where_its_name_says_so(params: dict[str, object]) -> None:
    made = replace(WHOLE, params=for_reading(params, {})[0])
    text = dumps(made, as_json=True)
    assert json.loads(text)["params"] == made.params if made.params else "params" not in json.loads(text)
    assert loads(text, where="p") == made


def test_json_is_read_too() -> None:
    assert loads(json.dumps({"uri": "vendor:a", "run": WHOLE.run, "tried": 3}), where="p") == replace(VENDOR, uri="vendor:a", tried=3)


def test_everything_wrong_is_said_at_once_with_its_line() -> None:
    text = f"uri: ftp://host/m\nrun: yesterday\nsize: -1\nprompts:\n  ../../x: {DIGEST}\n  y: z\ncolour: red\n"
    with pytest.raises(ConfigErrors) as caught:
        loads(text, where="models/spam.lock")
    said = {(problem.where, problem.name) for problem in caught.value.problems}
    assert said == {
        ("models/spam.lock:1", "unknown-address"),
        ("models/spam.lock:2", "wrong-value"),
        ("models/spam.lock:3", "wrong-value"),
        ("models/spam.lock", "missing-key"),
        ("models/spam.lock:5", "outside-repository"),
        ("models/spam.lock:6", "wrong-value"),
        ("models/spam.lock:7", "unknown-key"),
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("schema: 2\nuri: later\n", "newer-pointer"),
        ("- 1\n", "invalid-yaml"),
        ("uri: [\n", "invalid-yaml"),
        ("", "missing-key"),
        (f"uri: vendor:a\nrun: {WHOLE.run}\nuri: vendor:b\n", "invalid-yaml"),
        (f"uri: vendor:a\nrun: {WHOLE.run}\ndigest: {DIGEST}\n", "wrong-value"),
        (f"uri: m.onnx\nrun: {WHOLE.run}\n", "missing-key"),
        (f"uri: m.onnx\nrun: {WHOLE.run}\ndigest: {DIGEST}\nsize: 1\nkind: file\nname: ../../.bashrc\n", "wrong-value"),
        (f"uri: vendor:a\nrun: {WHOLE.run}\nmetrics: {{a: .nan}}\n", "wrong-type"),
    ],
)
def test_what_is_no_pointer_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(text, where="p")
    assert caught.value.name == name


@pytest.mark.parametrize(
    "uri",
    ["m.onnx", "models/a b", "s3://b/m", "oci://h/r:sha256-1", "https://h/m?download=1", "vendor:a/b@1", f"file:sha256/ab/{'ab' * 32}"],
)
def test_addresses(uri: str) -> None:
    assert wrong_uri(uri, 0) is None


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("../m", "outside-repository"),
        ("/etc/passwd", "outside-repository"),
        ("~/m", "outside-repository"),
        ("file:/etc/passwd", "unknown-address"),
        ("file:///etc/passwd", "unknown-address"),
        ("ext::sh -c id", "unknown-address"),
        ("s3://", "unknown-address"),
        ("https:///x", "unknown-address"),
        ("vendor:", "unknown-address"),
        ("vendor:a b", "unknown-address"),
        ("https://u:p@h/m", "secret-in-address"),
        ("https://h/m?sig=1", "secret-in-address"),
        ("https://h/m?a=1&access_token=1", "secret-in-address"),
    ],
)
def test_what_is_no_address(uri: str, name: str) -> None:
    found = wrong_uri(uri, 0)
    assert found is not None
    assert found[0] == name


@given(st.text(max_size=300))
def test_any_name_is_made_a_plain_file_name(text: str) -> None:
    made = replace(WHOLE, name=name_of(text))
    assert loads(dumps(made), where="p") == made


def test_the_schema_that_is_published_accepts_what_is_written() -> None:
    published = json.loads((ROOT / "schema/pointer.schema.json").read_text())
    check = Draft202012Validator(published)
    for made in (WHOLE, VENDOR):
        assert not list(check.iter_errors(yaml.safe_load(dumps(made))))
    assert list(check.iter_errors({"uri": "x"}))
    assert list(check.iter_errors({**yaml.safe_load(dumps(VENDOR)), "colour": "red"}))
    assert published == schema(Pointer, name="pointer", title=published["title"])


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    """Its content would be quoted in the errors of whoever put the link there."""
    (tmp_path / "secret").write_text("root: x")
    root = tmp_path / "repository"
    root.mkdir()
    (root / "mlops.yaml").write_text("name: spam\nmodel: spam.lock\nevaluate: {task: classification}\n")
    (root / "spam.lock").symlink_to(tmp_path / "secret")
    with pytest.raises(MlopsError) as caught:
        read(load(root / "mlops.yaml", root=root), root)
    assert caught.value.name == "outside-repository"
    (root / "spam.lock").unlink()
    with pytest.raises(MlopsError) as caught:
        read(load(root / "mlops.yaml", root=root), root)
    assert (caught.value.name, caught.value.where) == ("no-pointer", "mlops.yaml:2")
    (root / "spam.lock").write_text(dumps(WHOLE))
    assert read(load(root / "mlops.yaml", root=root), root) == WHOLE


def test_a_model_from_elsewhere_needs_no_command_and_no_training(tmp_path: Path) -> None:
    """What it answered comes with it; without `model:` an evaluation that runs nothing is a mistake, and with `train:` there are two models."""

    def wrong(text: str) -> list[str]:
        try:
            parse(f"name: spam\n{text}", where="mlops.yaml", path=tmp_path / "mlops.yaml", root=tmp_path)
        except ConfigErrors as errors:
            return [problem.name for problem in errors.problems]
        return []

    assert wrong("model: m.lock\nevaluate: {task: classification}\n") == []
    assert wrong("model: m.lock\nevaluate: {suites: {a: {task: classification}}}\n") == []
    assert wrong("evaluate: {task: classification}\n") == ["nothing-to-evaluate"]
    assert wrong("evaluate: {run: x}\n") == []
    assert wrong("model: m.lock\ntrain: {run: x, output: m}\n") == ["train-and-model"]
    assert wrong("model: s3://bucket/m\n") == ["wrong-value"]
    assert wrong("model: ../m.lock\n") == ["outside-repository"]


keys = st.sampled_from(["uri", "run", "schema", "digest", "size", "kind", "name", "tried", "recorded", "prompts", "params", "metrics", "x"])
values = st.recursive(
    st.one_of(
        anything, st.sampled_from([WHOLE.run, DIGEST, "file", "vendor:a", "s3://b/m", "../..", "~", "1e999", "99999999999999999999"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=6,
)


@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200), st.dictionaries(keys, values, max_size=6).map(lambda data: json.dumps(data)))
)
def test_whatever_stands_there_is_a_pointer_or_an_error_in_words(text: bytes | str) -> None:
    """Of a pull request anybody may write it: never a traceback, and each sentence is one printable line."""
    try:
        made = loads(text, where="models/spam.lock")
    except MlopsError as error:
        problems = error.problems if isinstance(error, ConfigErrors) else (error,)
        assert all(problem.message.isprintable() and len(problem.message) < 500 for problem in problems)
    else:
        assert loads(dumps(made), where="p") == made
