"""How often it was tried: whatever an author changes so that the count starts anew, it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from mlops_toolkit.compare import tries
from mlops_toolkit.compare.tries import looks
from mlops_toolkit.history.base import Entry, History
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.records.run import Data, Elsewhere, Evaluation, GateOutcome, MetricValue, Model, Run, SeedRun, Spread


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


def test_a_look_is_known_once_it_is_recorded_with_an_outcome() -> None:
    assert tries.known(entries(tried(1)), tried(9, model="1"))
    assert not tries.known(entries(tried(1, gate=None)), tried(9, model="1"))
    assert not tries.known(entries(tried(1)), tried(9, model="2"))
    assert not tries.known(entries(tried(1, pull_request=8)), tried(9, model="1"))


TOLD = {"accuracy": MetricValue(0.9, 100, "accuracy/1", "higher", training=Spread(3, 1e-4, 1e-6))}


class Past:
    """A history of these runs."""

    def __init__(self, *runs: Run) -> None:
        self.runs = {one.id: one for one in runs}

    def entries(self) -> list[Entry]:
        return [of_run(one) for one in self.runs.values()]

    def run(self, run_id: str) -> Run | None:
        return self.runs.get(run_id)


def seeded(n: int, **more: Any) -> Run:
    return tried(
        n,
        **{
            "pull_request": None,
            "branch": "main",
            "metrics": TOLD,
            "status": "succeeded",
            "seeds": (SeedRun(0), SeedRun(1), SeedRun(2)),
            **more,
        },
    )


def spread(*runs: Run, base: Run | None) -> str | None:
    found = tries.spread(cast("History", Past(*runs)), base, ("main",))
    return found.id if found else None


def test_the_baseline_itself_tells_of_the_luck_else_the_newest_of_its_line() -> None:
    plain = tried(5, pull_request=None, branch="main")
    assert spread(seeded(1), seeded(2), base=seeded(3)) == seeded(3).id
    assert spread(seeded(1), seeded(2), plain, base=plain) == seeded(2).id
    assert spread(plain, base=plain) is None
    assert spread(seeded(1), base=None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"pull_request": 5},
        {"fork": True},
        {"dirty": True},
        {"status": "failed"},
        {"status": "judged"},
        {"branch": "feature"},
        {"config": "others/mlops.yaml"},
    ],
)
def test_the_luck_is_never_told_by_a_run_that_is_no_baseline(change: dict[str, Any]) -> None:
    plain = tried(5, pull_request=None, branch="main")
    assert spread(seeded(1), replace(seeded(2), **change), base=plain) == seeded(1).id
