"""Hostile strings in every place of a result that users, models and branches can reach, in every form it is shown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.records.result import Next
from mlops_toolkit.report.comment import MOST, comment
from tests.unit.report import results
from tests.unit.report.results import HOSTILE
from tests.unit.report.test_escape import elements, no_reference, rendered


def shape(markdown: str) -> list[str]:
    """The elements of the comment, the ones that differ harmlessly between texts left out."""
    return [e for e in elements(markdown) if e not in ("span", "em", "code")]


PLAIN = shape(comment(results.hostile("plain")).text)
SHORT = shape(comment(replace(results.hostile("plain"), next=Next(reproduce="x", more_data=("x",)))).text)


def check_comment(text: str) -> None:
    """The comment has the same elements as with a harmless word in its place."""
    made = comment(results.hostile(text))
    wanted = PLAIN if len(text) < 4000 else SHORT  # longer YAML is left out
    assert shape(made.text) == wanted, rendered(made.text)
    assert "<!--" not in made.text
    assert len(made.text) <= MOST
    assert len(made.verdict_line.splitlines()) == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", made.text)
    no_reference(made.text.replace("</summary>", ""))


@pytest.mark.parametrize("text", [h for h in HOSTILE if h.strip()], ids=lambda t: repr(t[:20]))
def test_the_comment_gains_no_element(text: str) -> None:
    """No link, image, fold, row, heading or marker of its own; ten megabytes are cut."""
    check_comment(text)


@given(st.text(min_size=1, max_size=40).filter(str.strip))
@settings(deadline=None, max_examples=60)
def test_the_comment_gains_no_element_whatever_the_text(text: str) -> None:
    """Any text at all."""
    check_comment("a" + text)
