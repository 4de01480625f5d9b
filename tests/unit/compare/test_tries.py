"""How often it was tried: whatever an author changes so that the count starts anew, it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.compare.tries import looks
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.records.run import Data, Elsewhere, Evaluation, GateOutcome, MetricValue, Model, Run


def tried(number: int, *, model: str | None = None, data: str = "d", accuracy: float = 0.9, **more: object) -> Run:
    made = Run(
        id=f"20261124-0000{number:02}-aaaaaa",
        model="spam",
        pull_request=7,
        trained=Model(f"sha256:{model or number}", 1, "model"),
        evaluations={"": Evaluation(data=Data(data, 100))},
        metrics={"accuracy": MetricValue(accuracy, 100, "accuracy", "higher")},
        gate=GateOutcome("failed", "fail"),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def entries(*runs: Run) -> list[Entry]:
    return [of_run(run) for run in runs]


def test_each_model_is_a_look_and_the_same_one_again_is_none() -> None:
    before = entries(tried(1), tried(2), tried(3, model="2"))
    assert looks(before, tried(4)) == (3, 3)
    assert looks(before, tried(4, model="1")) == (2, 1)
    assert looks(before, tried(4, pull_request=8)) == (1, 1)
    assert looks(before, tried(4, pull_request=None)) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [{"evaluations": {"": Evaluation(data=Data("one row less", 99))}}, {"config": "moved/mlops.yaml"}],
    ids=["the test set by one row", "the configuration's place"],
)
def test_the_count_does_not_start_anew(change: dict[str, object]) -> None:
    assert looks(entries(*(tried(i) for i in range(1, 6))), replace(tried(9), **change)) == (6, 6)  # type: ignore[arg-type]


def test_one_model_by_other_examples_is_another_look() -> None:
    before = entries(*(tried(i, model="one", data=f"d{i}") for i in range(1, 6)))
    assert looks(before, tried(9, model="one", data="d9")) == (6, 6)


def test_a_vendor_s_model_with_another_prompt_or_other_answers_is_another_look() -> None:
    """Its address is the same each time."""

    def asked(number: int, prompt: str, accuracy: float) -> Run:
        elsewhere = Elsewhere("https://api.example/model", {"prompt.txt": f"sha256:{prompt}"})
        return tried(number, accuracy=accuracy, trained=None, elsewhere=elsewhere)

    before = entries(asked(1, "a", 0.9), asked(2, "b", 0.9), asked(3, "b", 0.91))
    assert looks(before, asked(4, "c", 0.9)) == (4, 4)
    assert looks(before, asked(4, "b", 0.91)) == (3, 3)
