"""Where the way a model is made is judged, no check passes more easily because the answers of further seeds are not at hand, and it says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.predictions.stream import admit, scratch
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import Data, Evaluation, MetricValue, Model, Run, SeedRun, Spread
from mlops_toolkit.report import training
from tests.unit.gate.drawn import request, run, table

ASKED = "scope: recipe\nevaluate: {run: x, metrics: [accuracy], slices: [part]}\ngate: {accuracy: {max-drop: 2pp}}\n"
LUCKY = Spread(3, 4e-4, 1e-6)  # two points of a standard deviation


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    scratch.clear()


def columns(right: float, seed: int, n: int = 4000) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    target = draw.integers(0, 2, n)
    wrong = draw.random(n) > right
    return {
        "id": [f"e{i}" for i in range(n)],
        "target": target.astype(str).tolist(),
        "prediction": np.where(wrong, 1 - target, target).astype(str).tolist(),
        "part": ["a" if i % 4 else "b" for i in range(n)],
    }


def answers(seed: int, truth: dict[str, Any], share: float = 0.1) -> dict[str, Any]:
    """The same examples, answered wrong by chance."""
    wrong = np.random.default_rng(100 + seed).random(len(truth["id"])) < share
    other = {"0": "1", "1": "0"}
    return {**truth, "prediction": [other[t] if w else t for t, w in zip(truth["target"], wrong, strict=True)]}


def value(spread: Spread | None = LUCKY, at: float = 0.9) -> MetricValue:
    return MetricValue(at, 4000, "accuracy/1", "higher", standard_error=0.005, training=spread)


def record(model: str, told: MetricValue, ident: str) -> Run:
    seeds = (SeedRun(0), SeedRun(1), SeedRun(2)) if told.training else ()
    made = run(
        model,
        metrics={"accuracy": told},
        slices={"part=a": {"accuracy": told}},
        evaluations={"": Evaluation(data=Data("sha256:same", 4000))},
    )
    return replace(made, id=ident, seeds=seeds)


def streamed(folder: Path, shown: dict[str, Any], made: Run | None, label: str) -> Loaded:
    path = folder / f"{label}.parquet"
    pl.DataFrame(shown).write_parquet(path)
    return Loaded(label, run=made, tables={"": admit.read_stream(path, name=label)})


def overall(result: Result) -> Check:
    return next(c for c in result.checks if c.slice is None)


TRUTH = columns(0.9, 0)
BASE, HEAD = "20261124-092057-aaaaaa", "20261124-092057-bbbbbb"


@pytest.mark.parametrize("known", ["baseline", "head", "both"])
def test_answers_that_are_read_in_blocks_count_the_luck_that_the_records_tell(tmp_path: Path, known: str) -> None:
    sides = [
        streamed(tmp_path, answers(i, TRUTH), record(label, value(LUCKY if known in (label, "both") else None), ident), label)
        for i, (label, ident) in enumerate((("baseline", BASE), ("head", HEAD)))
    ]
    result = assemble(request(ASKED), *sides)
    check = overall(result)
    assert check.training == pytest.approx((2 * (4e-4 - 1e-6)) ** 0.5)
    assert check.low is not None
    assert check.high is not None
    assert check.high - check.low > 0.1  # t of two degrees of freedom
    assert check.verdict == "inconclusive"
    told = training.notes(result)
    assert len(told) == 2
    assert f"known from {'runs' if known == 'both' else 'run'} " in told[0]
    assert told[1] == "the luck of training is not included in: accuracy [part=b]"  # no record tells of that slice


def test_answers_in_blocks_without_any_record_of_luck_say_so(tmp_path: Path) -> None:
    sides = [streamed(tmp_path, answers(i, TRUTH), None, label) for i, label in enumerate(("baseline", "head"))]
    result = assemble(request(ASKED), *sides)
    assert overall(result).training is None
    assert training.notes(result) == [training.NOT_INCLUDED]


@pytest.mark.parametrize(("spread", "said"), [(LUCKY, "known from runs"), (None, training.NOT_INCLUDED)])
def test_a_baseline_without_predictions_counts_the_recorded_luck_or_says_that_it_is_missing(spread: Spread | None, said: str) -> None:
    baseline = Loaded("main", run=record("old", value(spread), BASE))
    head = Loaded("mine", run=record("new", value(spread), HEAD), tables={"": table(answers(1, TRUTH, 0.1))})
    result = assemble(request(ASKED), baseline, head)
    check = overall(result)
    assert check.method == "unpaired"
    assert (check.training is None) == (spread is None)
    assert any(said in note for note in training.notes(result))
    assert check.verdict == "inconclusive" if spread else check.low is not None


def test_a_suite_in_memory_counts_its_seeds_beside_one_that_is_read_in_blocks(tmp_path: Path) -> None:
    asked = (
        "scope: recipe\nevaluate: {suites: {small: {run: x, metrics: [accuracy]}, large: {run: x, metrics: [accuracy]}}}\n"
        "gate: {small/accuracy: {max-drop: 5pp}, large/accuracy: {max-drop: 5pp}}\n"
    )
    sides = []
    for side in ("baseline", "head"):
        large = streamed(tmp_path, answers(7, TRUTH), None, side)
        small = {seed: {"small": table(answers(seed + 10 * (side == "head"), TRUTH))} for seed in (0, 1, 2)}
        sides.append(replace(large, tables={"small": small[0]["small"], "large": large.tables[""]}, seeds={1: small[1], 2: small[2]}))
    result = assemble(request(asked), *sides)
    found = {c.metric: c for c in result.checks}
    assert found["small/accuracy"].method == "seeds"
    assert found["large/accuracy"].training is None
    assert result.training.source == "seeds"
    assert training.notes(result)[-1] == "the luck of training is not included in: large/accuracy"


def trained(digest: str, models: dict[int, str], right: dict[int, int], label: str) -> Loaded:
    """A side in memory: by seed, its model's digest, and from which draw it answers."""
    tables = {seed: {"": table(answers(draw, TRUTH))} for seed, draw in right.items()}
    known = tuple(SeedRun(seed, Model(digest=f"sha256:{name}", size=1, path="model")) for seed, name in models.items())
    made = replace(run(digest, evaluations={"": Evaluation(data=Data("sha256:same", 4000))}), seeds=known)
    return Loaded(label, run=made, tables=tables[0], seeds={seed: one for seed, one in tables.items() if seed})


def test_a_change_of_nothing_has_no_other_values_where_seeds_were_added() -> None:
    """main was trained once; the pull request only adds seeds: the first model is main's, and no mean stands beside "no change"."""
    result = assemble(request(ASKED), trained("m", {}, {0: 1}, "main"), trained("m", {0: "m", 1: "b", 2: "c"}, {0: 1, 1: 5, 2: 9}, "mine"))
    assert result.baseline.state == "same-model"
    for check in result.checks:
        assert check.change == 0.0
        assert check.head == check.baseline
    assert result.training.seeds == ((0,), (0,))


@pytest.mark.parametrize(("last", "same"), [("c", True), ("d", False)])
def test_recipes_are_the_same_where_all_their_models_are(last: str, same: bool) -> None:
    """One that only the first seed cannot tell apart is another recipe."""
    base = trained("m", {0: "m", 1: "b", 2: "c"}, {0: 1, 1: 5, 2: 9}, "main")
    result = assemble(request(ASKED), base, trained("m", {0: "m", 1: "b", 2: last}, {0: 1, 1: 5, 2: 9 if same else 13}, "mine"))
    assert (result.baseline.state == "same-model") is same
    assert (overall(result).change == 0.0) is same
    artifact = assemble(
        request(ASKED.replace("recipe", "artifact")), base, trained("m", {0: "m", 1: "b", 2: last}, {0: 1, 1: 5, 2: 13}, "x")
    )
    assert artifact.baseline.state == "same-model"


def test_trainings_that_all_answered_the_same_are_said_to() -> None:
    def side(label: str, seeds: tuple[int, ...]) -> Loaded:
        made = [table(answers(seed, TRUTH)) for seed in seeds]
        return Loaded(label, tables={"": made[0]}, seeds={i: {"": one} for i, one in enumerate(made) if i})

    lucky = assemble(request(ASKED), side("main", (0, 1, 2)), side("mine", (3, 4, 5)))
    assert lucky.training.alike == ()
    deaf = assemble(request(ASKED), side("main", (0, 1, 2)), side("mine", (3, 3, 3)))
    assert deaf.training.alike == ("head",)
    assert any(note.startswith("this run's trainings all gave the very same answers") for note in training.notes(deaf))
    both = assemble(request(ASKED), side("main", (0, 0, 0)), side("mine", (3, 3, 3)))
    assert both.training.alike == ("baseline", "head")
