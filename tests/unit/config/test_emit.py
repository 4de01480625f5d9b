"""What is generated from the one definition says the same as the definition: schema, action.yml files, reference pages."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_toolkit import errors
from mlops_toolkit.config.emit import reference
from mlops_toolkit.config.emit.__main__ import ROOT, generated, main
from mlops_toolkit.config.emit.actions import action_inputs, action_outputs, action_yml
from mlops_toolkit.config.emit.jsonschema import plain, schema
from mlops_toolkit.config.emit.raised import raised
from mlops_toolkit.config.inputs import ACTIONS, OUTPUTS, fields_of
from mlops_toolkit.config.inputs import read as read_inputs
from mlops_toolkit.config.step_inputs import Inputs
from mlops_toolkit.config.yaml_text import Scalar, compose, scalar
from mlops_toolkit.errors import UsageError
from tests.unit.config.examples import VALID, read
from tests.unit.config.test_read import SCALARS, WRONG

PACKAGE = ROOT / "mlops_toolkit"
SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
# Shapes: both the reader and the schema must refuse these. The rest contradicts itself in ways a schema does not say.
OF_SHAPE = {"unknown-key", "missing-key", "wrong-type", "unknown-metric", "missing-argument"}


def accepts(text: str) -> bool:
    return VALIDATOR.is_valid(plain(compose(text, where="f")))  # type: ignore[no-any-return]


def problems(text: str) -> list[str]:
    """Names of what the reader refuses."""
    try:
        read(text)
    except errors.ConfigErrors as error:
        return [p.name for p in error.problems]
    except UsageError as error:
        return [error.name]
    return []


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("which", sorted(VALID))
def test_the_schema_accepts_what_the_reader_accepts(which: str) -> None:
    assert problems(VALID[which]) == []
    assert [error.message for error in VALIDATOR.iter_errors(plain(compose(VALID[which], where="f")))] == []


@pytest.mark.parametrize("text", [row[0] for row in WRONG if row[2] in OF_SHAPE])
def test_the_schema_refuses_what_has_the_wrong_shape(text: str) -> None:
    assert not accepts(text)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["usual", "full"]), st.data())
def test_schema_and_reader_agree_on_the_shape_of_any_mutation(which: str, data: st.DataObject) -> None:
    lines = VALID[which].splitlines()
    at = data.draw(st.integers(1, len(lines) - 1))
    key = lines[at].partition(":")[0]
    if data.draw(st.booleans()):
        lines[at] = f"{key}: {data.draw(st.sampled_from(SCALARS))}"
    else:
        lines[at] = lines[at].replace(key.strip(), data.draw(st.sampled_from(["metrics", "run", "xyz", "max-drop", "better", "q"])), 1)
    text = "\n".join(lines)
    names = problems(text)
    if "invalid-yaml" in names:
        return
    if not names:
        assert accepts(text), text
    elif {"unknown-key", "missing-key"} & set(names):
        assert not accepts(text), text


def test_every_definition_and_every_key_is_described() -> None:
    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, value in node.get("properties", {}).items():
                if "$ref" not in value:
                    assert value.get("description"), f"{path}.{key}"
            for key, value in node.items():
                walk(value, f"{path}.{key}")

    walk(SCHEMA, "")
    assert all(definition.get("description") for definition in SCHEMA["$defs"].values())


def test_every_example_is_valid_where_it_stands() -> None:
    for definition in [SCHEMA, *SCHEMA["$defs"].values()]:
        for key, entry in definition.get("properties", {}).items():
            for shown in entry.get("examples", []):
                error = jsonschema.exceptions.best_match(VALIDATOR.evolve(schema={**entry, "$defs": SCHEMA["$defs"]}).iter_errors(shown))
                assert error is None, (key, shown, error)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_action_yml_says_exactly_the_inputs_and_outputs_of_the_definition(action: str) -> None:
    document = yaml.safe_load(action_yml(action))
    defaults = {f.name: f.metadata.get("given", f.default) for f in fields_of(action)}
    assert {name: entry["default"] for name, entry in document["inputs"].items()} == defaults
    assert all(isinstance(entry["default"], str) for entry in document["inputs"].values())
    assert document["outputs"].keys() == {o.name for o in OUTPUTS if action in o.actions}
    assert all(entry["value"] == f"${{{{ steps.run.outputs.{name} }}}}" for name, entry in document["outputs"].items())
    assert yaml.safe_load(action_inputs(action)) == {"inputs": document["inputs"]}
    assert yaml.safe_load(action_outputs(action)) == {"outputs": document["outputs"]}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_what_action_yml_declares_is_what_the_reader_takes(action: str) -> None:
    document = yaml.safe_load(action_yml(action))
    given_by_github = {name: "" if "${{" in entry["default"] else entry["default"] for name, entry in document["inputs"].items()}
    assert read_inputs(json.dumps(given_by_github), action) == Inputs()
    for name in {f.name for other in ACTIONS for f in fields_of(other)} - given_by_github.keys():
        with pytest.raises(UsageError):
            read_inputs(json.dumps({name: ""}), action)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_an_action_is_one_step_that_hands_everything_over_as_data(action: str) -> None:
    runs = yaml.safe_load(action_yml(action))["runs"]
    (step,) = runs["steps"]
    assert step["env"] == {"MLOPS_INPUTS": "${{ toJSON(inputs) }}"}
    assert "${{" not in step["run"]
    assert step["run"].endswith(f'exec bash "$d/actions/run" {ACTIONS[action].verb}')


def test_the_outputs_that_the_code_sets_are_those_that_are_declared() -> None:
    """Every dictionary handed to `forge.output` in a verb, against the table that action.yml is made from."""
    written: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "world.forge.output" and isinstance(node.args[0], ast.Dict):
                written |= {key.value for key in node.args[0].keys if isinstance(key, ast.Constant)}  # type: ignore[misc]
    assert written == {output.name for output in OUTPUTS}


def test_every_input_belongs_to_some_action() -> None:
    import dataclasses

    assert {f.name for action in ACTIONS for f in fields_of(action)} == {f.name for f in dataclasses.fields(Inputs)}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("path", "link"), [("train", False), ("actions/train", False), ("train", True), ("deep/er/train", False)])
def test_the_step_finds_the_entry_script_from_a_copied_and_a_linked_folder(tmp_path: Path, path: str, link: bool) -> None:
    root = tmp_path / "mlops actions"
    (root / "actions" / "train").mkdir(parents=True)
    (root / "actions" / "run").write_text('echo "ran $1 in $PWD"\n')
    if link:
        (root / path).symlink_to("actions/train")
    else:
        (root / path).mkdir(parents=True, exist_ok=True)
    command = yaml.safe_load(action_yml("train"))["runs"]["steps"][0]["run"]
    environment = {"GITHUB_ACTION_PATH": str(root / path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"ran train in {tmp_path}\n"


@settings(deadline=None, max_examples=100)
@example("A?")
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
    | st.from_regex(r"[ -~]{1,8}", fullmatch=True)
    | st.from_regex(r"[a-c?:,*&#%!|>'@`\[\]{} ~.-]{1,6}", fullmatch=True)
)
def test_any_text_stands_in_yaml_as_itself(text: str) -> None:
    _, node = compose(f"x: {scalar(text)}\n", where="f").entries["x"]
    assert isinstance(node, Scalar)
    assert (node.text, node.given) == (text, True)
    assert yaml.safe_load(f"[{scalar(text, flow=True)}]") == [text]


def test_the_files_in_the_repository_are_as_they_are_made() -> None:
    stale = [path for path, text in generated(PACKAGE).items() if path != "docs/reference/errors.md" and (ROOT / path).read_text() != text]
    assert stale == [], "run python -m mlops_toolkit.config.emit --write"


def test_checking_names_what_differs_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write"], root=tmp_path) == 0
    assert main(["--check"], root=tmp_path) == 0
    (tmp_path / "action.yml").write_text("changed")
    capsys.readouterr()
    assert main(["--check"], root=tmp_path) == 1
    assert capsys.readouterr().out.startswith("action.yml: ")
    assert (tmp_path / "action.yml").read_text() == "changed"
    assert main(["--write"], root=tmp_path) == 0
    assert (tmp_path / "action.yml").read_text() == action_yml("review")


def test_every_error_that_is_raised_by_name_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "raise UsageError('one', f'it is {x}', hint='write y')\n"
        "def f():\n    message, hint = f'two {a}', 'do' if b else None\n    yield Problem('two', message, hint=hint)\n"
        "errors.EnvironmentFailure('three', 'a ' + b)\n"
        "reader.refuse(path, 1, 'four', 'm', 'h')\nProblem(error.name, error.message)\nraise UsageError(f'unknown-{kind}', 'x')\n"
    )
    found = [(r.name, r.code, r.message, r.hint) for r in sorted(raised(tmp_path), key=lambda r: r.name)]
    assert found == [
        ("four", 2, "m", "h"),
        ("one", 2, "it is …", "write y"),
        ("three", 4, "…", ""),
        ("two", 2, "two …", "do"),
        ("unknown-…", 2, "x", ""),
    ]


def test_the_error_page_lists_each_name_once() -> None:
    page = reference.error_page(PACKAGE)
    names = re.findall(r"^\| `([^`]+)` \|", page, flags=re.M)
    assert len(names) == len(set(names))
    assert {"invalid-yaml", "unknown-key", "margin-too-wide", "unknown-input", "no-config"} <= set(names)


def test_the_exit_code_page_lists_every_code() -> None:
    page = reference.exit_codes()
    for code in (errors.PASSED, errors.GATE_FAILED, errors.USAGE, errors.UNDECIDED, errors.ENVIRONMENT, errors.COMMAND, errors.DEFECT):
        assert f"| {code} |" in page


def test_the_configuration_page_names_every_key() -> None:
    page = reference.configuration()
    for definition in [SCHEMA, *(SCHEMA["$defs"][name] for name in ("Train", "Suite", "Rule", "SliceRule", "Accepted", "Keep"))]:
        assert all(f"| `{key}` |" in page for key in definition["properties"])


def test_the_examples_on_the_configuration_page_can_be_read() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", reference.configuration(), flags=re.S)
    assert examples
    assert [problems(text) for text in examples] == [[]] * len(examples)


def test_reading_a_configuration_imports_nothing_heavy() -> None:
    script = (
        "import sys; from mlops_toolkit.config import read, flags, inputs; from pathlib import Path;"
        "read.parse('name: m', where='f', path=Path('/f'));"
        "heavy = {'numpy', 'polars', 'requests', 'github', 'matplotlib', 'jinja2', 'jsonschema', 'rich'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_no_generated_page_names_a_value_of_this_machine() -> None:
    for path, text in generated(PACKAGE).items():
        assert str(ROOT) not in text, path
