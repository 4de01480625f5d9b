"""Measures: numbers with a direction that is known or said, never guessed; everything else refused by the measure's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.records.run import Measure


def test_a_number_and_a_list_of_repeats_are_measures(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"latency-ms": [12.5, 11], "parameters": 1200000, "widgets": 3}')
    found = read_measures(path)
    assert found == {
        "latency-ms": Measure((12.5, 11.0), better="lower", noisy=True),
        "parameters": Measure((1200000.0,), better="lower", noisy=False),
        "widgets": Measure((3.0,), better=None, noisy=False),
    }
    assert read_measures(path, config=Config("m", measures={"widgets": "higher"}))["widgets"].better == "higher"
    assert read_measures(path, config=Config("m", gate={"widgets": Rule(better="lower")}))["widgets"].better == "lower"


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ('{"a": NaN}', "not-a-number", 'm.json: "a" is nan, which compares with nothing'),
        ('{"a": -Infinity}', "not-a-number", '"a" is -inf'),
        ('{"a": 1e999}', "not-a-number", '"a" is inf'),
        (f'{{"a": 1{"0" * 400}}}', "not-a-number", '"a" is inf'),
        ('{"a": true}', "not-a-number", '"a" is true, not a number'),
        ('{"a": null}', "not-a-number", '"a" is null, not a number'),
        ('{"a": "1"}', "not-a-number", '"a" is "1", not a number'),
        ('{"a": {"b": 1}}', "not-a-number", '"a" is an object, not a number'),
        ('{"a": [1, [2]]}', "not-a-number", '"a" is a list, not a number'),
        ('{"a": []}', "not-measures", '"a" is an empty list'),
        ('{"": 1}', "not-measures", "a measure has no name"),
        ("[1]", "not-measures", "measures are one JSON object"),
        ('{"a": 1, "a": 2}', "not-json", 'the key "a" stands twice'),
        ("{", "not-json", "not readable as JSON"),
        ("[" * 100_000, "not-json", "not readable as JSON"),
    ],
)
def test_everything_else_is_refused_by_name(tmp_path: Path, content: str, name: str, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(InvalidFile) as caught:
        read_measures(path, name="m.json")
    assert caught.value.name == name
    assert text in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path, name in ((tmp_path / "none", "no-file"), (tmp_path, "not-a-file")):
        with pytest.raises(InvalidFile) as caught:
            read_measures(path)
        assert caught.value.name == name
