"""The gate against what else is named: what is asked of it, and what it does to the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded, Other
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Check, Result, Side
from mlops_toolkit.records.run import Measure
from tests.unit.gate.drawn import answers, request, run, side
from tests.unit.gate.test_assemble import shifted

LISTED = "against: [main, release]\n"
GATED = "evaluate: {run: x, metrics: [accuracy, f1-macro]}\ngate: {accuracy: {max-drop: 2pp, min: 0.5}}\n"
MAIN, RELEASED = answers(1900, 100), answers(1960, 40)


def release(columns: dict[str, list[str]] | None, run_id: str = "20261101-000000-bbbbbb", **more: Any) -> Other:
    if columns is None:
        return Other("release", Side(state="first-run", note="no release yet", label="release"))
    made = side(columns, label="v1", run=replace(run(), id=run_id))
    return Other("release", Side(label="v1", commit="b" * 40, run=run_id), made, **more)


def judged(text: str, head: dict[str, list[str]], *others: Other, base: Loaded | None = None, **more: Any) -> Result:
    return assemble(request(text, **more), base or side(MAIN, run=run()), side(head), others=others)


def against(result: Result) -> list[Check]:
    return [check for check in result.checks if check.against is not None]


def test_only_what_is_relative_is_asked_again() -> None:
    [check] = against(judged(GATED + LISTED, MAIN, release(RELEASED)))
    assert (check.metric, check.against, check.margin, check.min, check.baseline) == ("accuracy", "release", 0.02, None, 0.98)


def test_a_rule_without_a_margin_against_main_may_have_one_against_the_release() -> None:
    text = GATED.replace("max-drop: 2pp, min: 0.5", "against: {release: {max-drop: 1pp}}") + LISTED
    result = judged(text, MAIN, release(RELEASED))
    assert [(c.metric, c.margin) for c in against(result)] == [("accuracy", 0.01)]
    assert result.verdict == "fail"
    assert result.exit == 1


def test_it_is_part_of_holm_s_family_and_of_the_whole() -> None:
    """A drop that one check alone would call a failure is chance among many."""
    base, head = answers(1000, 0), shifted(1000, 0, 47)
    text = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 3.2pp}}\n" + LISTED
    [alone] = against(judged(text, head, release(base), base=side(head, run=run())))
    named = [replace(release(base, f"2026110{i}-000000-bbbbbb"), name=f"v{i}") for i in range(1, 9)]
    many = judged(text.replace("release]", ", ".join(other.name for other in named) + "]"), head, *named, base=side(head, run=run()))
    assert (alone.verdict, alone.reason) == ("fail", None)
    assert {(c.verdict, c.reason) for c in against(many)} == {("inconclusive", "multiplicity")}


def test_nothing_changes_where_there_is_no_release_but_a_note() -> None:
    plain, none = judged(GATED, MAIN), judged(GATED + LISTED, MAIN, release(None))
    assert none.checks == plain.checks
    assert [note for note in none.notes if note not in plain.notes] == ["against release: no release yet, so nothing is held against it"]


def test_what_the_release_does_not_know_waits_and_says_so() -> None:
    text = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 2pp}, parameters: {max-rise: 1%}}\n" + LISTED
    sizes = {"parameters": Measure((1000.0,), better="lower", noisy=False)}
    head = side(MAIN, measures=sizes)
    result = assemble(request(text), side(MAIN, run=run(), measures=sizes), head, others=[release(RELEASED)])
    [size] = [check for check in against(result) if check.metric == "parameters"]
    assert (size.verdict, size.reason, size.message) == ("ungated", "metric-new", "release does not have it: its margin waits")


def test_an_older_test_set_counts_where_nearly_all_of_it_is_common() -> None:
    older = {name: values[:1950] for name, values in MAIN.items()}
    ids = [f"e{i}" for i in range(2000)]
    [near] = against(
        judged(GATED + LISTED, {"id": ids, **MAIN}, release({"id": ids[:1950], **older}), base=side({"id": ids, **MAIN}, run=run()))
    )
    assert (near.n, near.verdict) == (1950, "pass")
    half = {"id": ids[:1000], **{name: values[:1000] for name, values in MAIN.items()}}
    result = judged(GATED + LISTED, {"id": ids, **MAIN}, release(half), base=side({"id": ids, **MAIN}, run=run()))
    [far] = against(result)
    assert (far.verdict, far.reason) == ("inconclusive", "data-changed")
    assert result.others["release"].state == "data-changed"
    assert result.baseline.state == "ok"
    assert any(
        note.startswith("against release: the test set changed: 1,000 examples in common (too few to compare)") for note in result.notes
    )


def test_a_fork_is_held_by_the_base_branch_s_list_alone() -> None:
    result = assemble(request(GATED, base=GATED + LISTED, forks_gate=True), side(MAIN, run=run()), side(MAIN), others=[release(RELEASED)])
    assert [check.margin for check in against(result)] == [0.02]


def test_a_list_that_lets_the_release_go_is_a_looser_gate() -> None:
    result = assemble(request(GATED, base=GATED + LISTED), side(MAIN, run=run()), side(MAIN), others=[release(RELEASED)])
    assert result.notes[0] == "gate loosened: against release → not held against"
    assert [check.margin for check in against(result)] == [0.02]


def test_charts_examples_and_proposals_are_of_the_baseline_alone() -> None:
    plain, both = judged(GATED, shifted(1900, 100, 4)), judged(GATED + LISTED, shifted(1900, 100, 4), release(RELEASED))
    assert (both.examples, both.charts, both.measures) == (plain.examples, plain.charts, plain.measures)
    assert [check for check in both.checks if check.against is None] == list(plain.checks)


def test_the_same_inputs_give_the_same_bytes() -> None:
    made = [codec.dumps(judged(GATED + LISTED, shifted(1900, 100, 30), release(RELEASED))) for _ in range(2)]
    assert made[0] == made[1]
