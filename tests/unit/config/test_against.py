"""What `against:` may say, and the margins of its own that a rule gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.config import read
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import ConfigErrors


def config(text: str) -> Config:
    return read.parse(
        f"name: pets\nevaluate: {{run: x, metrics: [accuracy, log-loss]}}\n{text}", where="mlops.yaml", path=Path("/r/mlops.yaml")
    ).config


def test_names_and_margins_are_read() -> None:
    made = config(
        "against: [main, release, release-1.2, 20261124-092057-3f9a1c]\ngate: {accuracy: {max-drop: 1pp, against: {release: {max-drop: 2pp}}}}"
    )
    assert made.against == ("main", "release", "release-1.2", "20261124-092057-3f9a1c")
    own = made.gate["accuracy"].against["release"].max_drop
    assert own is not None
    assert own.value == 0.02


@pytest.mark.parametrize(
    ("text", "name", "hint"),
    [
        ("against: [main, latest]", "unknown-against", 'did you mean "release"?'),
        ("against: [main, --upload-pack=x]", "wrong-value", "write main, release"),
        ("against: [main, a..b]", "wrong-value", "write main, release"),
        ("against: [main, v1, v1]", "duplicate-against", "remove one"),
        ("against: [main, release]\ngate: {accuracy: {against: {relase: {max-drop: 1pp}}}}", "against-unlisted", 'did you mean "release"?'),
        ("gate: {accuracy: {against: {release: {max-drop: 1pp}}}}", "against-unlisted", "add it: against: [main, release]"),
        ("gate: {accuracy: {against: {main: {max-drop: 1pp}}}}", "against-unlisted", "move it to gate.accuracy"),
        (
            "against: [release]\ngate: {accuracy: {max-drop: 1pp, against: {release: {}}}}",
            "gates-nothing",
            "write release: {max-drop: 2pp}",
        ),
        ("against: [release]\ngate: {log-loss: {against: {release: {max-drop: 1}}}}", "wrong-direction", "write max-rise: 1"),
        ("against: [release]\ngate: {accuracy: {against: {release: {max-drop: 20pp}}}}", "margin-too-wide", "did you mean 1pp?"),
    ],
)
def test_slips_are_found(text: str, name: str, hint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        config(text)
    problems = {problem.name: problem for problem in caught.value.problems}
    assert hint in (problems[name].hint or "")


def test_what_is_accepted_against_a_release_is_bound_on_the_side_that_is_worse() -> None:
    text = "against: [release]\ngate: {accuracy: {max-drop: 1pp}}\naccepted: [{check: accuracy against release, KEY: 0.9, reason: x}]"
    assert config(text.replace("KEY", "down-to")).accepted[0].down_to == 0.9
    with pytest.raises(ConfigErrors, match="binds the wrong side"):
        config(text.replace("KEY", "up-to"))
