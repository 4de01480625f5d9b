"""Job summary, annotations and JUnit."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # our own output
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.report.annotations import annotations
from mlops_toolkit.report.junit import junit
from mlops_toolkit.report.summary import LIMIT, summary
from tests.unit.report import results
from tests.unit.report.results import HEAD, HOSTILE, MAIN

LEVELS = {
    "regression": "error",
    "failed": "error",
    "undecided": "warning",
    "unproven": "notice",
    "harmless": "notice",
    "first-run": "notice",
    "many-slices": "error",
}


@pytest.mark.parametrize(("name", "level"), LEVELS.items())
def test_the_first_annotation_is_the_sentence(name: str, level: str) -> None:
    """At the level of the verdict, on the configuration file."""
    result = results.ALL[name]()
    first = annotations(result)[0]
    assert (first.level, first.message, first.title, first.file) == (level, result.sentence, result.model, "mlops.yaml")


def test_worse_checks_are_annotated_worst_first_and_at_most_ten_of_a_level() -> None:
    """GitHub shows ten."""
    checks = tuple(Check(f"m{i}", baseline=1, head=0.5, change=-0.5, low=-0.6, high=-0.4, margin=0.1, verdict="fail") for i in range(30))
    made = annotations(Result("m", "fail", "failed", "", MAIN, HEAD, checks))
    assert len(made) == 10
    assert made[1].title == "m: m0"
    assert made[1].message.startswith("m0 −0.50 (likely −0.60 to −0.40; allowed −0.1) worse")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:20]))
def test_hostile_annotations_are_one_line(text: str) -> None:
    """No line break, no workflow command, bounded."""
    for made in annotations(results.hostile(text)):
        assert len(made.message.splitlines()) <= 1
        assert len(made.title.splitlines()) == 1
        assert len(made.message) <= 1002
        made.message.encode()


def test_the_summary_is_the_comment_with_more_examples() -> None:
    """And within the limit of a step summary."""
    text = summary(results.regression())
    assert text.startswith("❌ spam-filter: accuracy −3.1 pp")
    assert text.count("| `mail-") > 20
    assert len(text.encode()) <= LIMIT


def parsed(text: str | bytes) -> ET.Element:
    """The document; an error where it is not well-formed."""
    return ET.fromstring(text)  # noqa: S314 - we wrote it


def cases(text: str) -> dict[str, str]:
    """Test case -> how it ended."""
    root = parsed(text)
    return {case.get("name", ""): case[0].tag for case in root.iter("testcase")}


def test_a_check_is_a_test_case() -> None:
    """Worse fails, undecided is skipped, the rest passes with its numbers said."""
    found = cases(junit(results.regression()))
    assert found["accuracy"] == "failure"
    assert found["f1-macro"] == "skipped"
    assert found["latency-ms"] == "system-out"
    assert found["accuracy [language=de]"] == "failure"
    root = parsed(junit(results.regression(), results.harmless()))
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("11", "2", "0", "2")


def test_what_needs_a_yes_fails_unless_the_policy_only_warns() -> None:
    """As the gate does."""
    assert cases(junit(results.undecided()))["accuracy"] == "failure"
    assert cases(junit(replace(results.undecided(), policy="warn")))["accuracy"] == "skipped"


def test_an_error_is_a_test_case_with_an_error() -> None:
    """So that a CI that only reads JUnit cannot take it for green."""
    assert cases(junit(results.failed())) == {"verdict": "error"}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:20]))
def test_hostile_text_is_valid_xml(text: str) -> None:
    """It parses, and has as many cases as checks."""
    made = junit(results.hostile(text))
    assert len(list(parsed(made.encode()).iter("testcase"))) == 2
    assert len(made) < 40_000


@given(st.text())
@settings(deadline=None, max_examples=100)
def test_any_text_is_valid_xml(text: str) -> None:
    """Whatever character it holds."""
    parsed(junit(results.hostile(text)).encode())
