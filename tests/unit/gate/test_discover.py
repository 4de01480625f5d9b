"""Slices that nobody declared: found where they are planted, in which columns they are looked for, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.history.base import Bundle
from mlops_toolkit.history.branch import without_examples
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Result, loads
from mlops_toolkit.report import comment
from tests.unit.gate.drawn import request, run, side

TEXT = "evaluate: {run: x, metrics: [f1-macro, accuracy], slices: [language]DISCOVER}\ngate: {accuracy: {max-drop: 9pp}}\nMORE"
N = 4000
OTHER = {"spam": "ham", "ham": "spam"}


def said(discover: str = "", more: str = "") -> str:
    return TEXT.replace("DISCOVER", f", discover: {discover}" if discover else "").replace("MORE", more)


def drawn(seed: int = 1) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Two models on the same mail; the second gets a third of the French mail from the web wrong."""
    rng = np.random.default_rng(seed)
    language, source = rng.choice(["de", "en", "fr"], N), rng.choice(["app", "web"], N)
    target = rng.choice(["ham", "spam"], N)
    base = [OTHER[label] if rng.random() < 0.05 else label for label in target.tolist()]
    lost = (language == "fr") & (source == "web") & (rng.random(N) < 0.33)
    head = [OTHER[label] if gone else label for label, gone in zip(base, lost.tolist(), strict=True)]
    shared = {
        "target": target.tolist(),
        "language": language.tolist(),
        "source": source.tolist(),
        "length": rng.integers(1, 900, N).tolist(),
    }
    return {**shared, "prediction": base}, {**shared, "prediction": head}


def judged(base: Mapping[str, list[Any]], head: Mapping[str, list[Any]], text: str = "", **more: Any) -> Result:
    return assemble(request(text or said(), **more), side(base), side(head))


def where(result: Result) -> list[dict[str, str]]:
    return [dict(one.where) for one in result.discovered.found]


def test_what_got_worse_is_found_with_its_interval_and_decides_nothing() -> None:
    result = judged(*drawn())
    assert where(result) == [{"language": "fr", "source": "web"}]
    one = result.discovered.found[0]
    assert one.metric == "accuracy", "the first that is gated and a mean over rows"
    assert one.high is not None
    assert one.change < one.high < -0.2
    assert one.p <= one.q < 0.05
    assert result.discovered.columns == ("target", "language", "source", "length")
    assert result.exit == 0
    assert judged(*drawn(), said(more="comment: {discovered: 0}\n")).checks == result.checks
    assert loads(codec.dumps(result), where="x").discovered == result.discovered


def test_of_equal_models_nothing_is_said() -> None:
    base, head = drawn()
    assert judged(base, base).discovered.looked_at == 0
    turned = {**base, "prediction": [OTHER[p] if i % 25 == 0 else p for i, p in enumerate(base["prediction"])]}
    even = [p if i % 2 else q for i, (p, q) in enumerate(zip(base["prediction"], turned["prediction"], strict=True))]
    assert where(judged({**base, "prediction": even}, turned)) == []
    assert where(judged(head, base)) == [], "a gain"


@pytest.mark.slow
def test_of_two_models_that_are_equally_good_something_is_said_once_in_twenty() -> None:
    found, times = 0, 60
    for seed in range(times):
        rng = np.random.default_rng(1000 + seed)
        base, _ = drawn(seed)
        sides = [
            {**base, "prediction": [OTHER[t] if w else t for t, w in zip(base["target"], (rng.random(N) < 0.07).tolist(), strict=True)]}
            for _ in range(2)
        ]
        found += bool(where(judged(*sides)))
    assert found <= 0.05 * times + 3 * (0.05 * 0.95 * times) ** 0.5


def test_columns_that_tell_how_the_model_did_are_not_searched() -> None:
    base, head = drawn()
    right = [str(p == t) for p, t in zip(head["prediction"], head["target"], strict=True)]
    told = {
        **head,
        "correct": right,
        "label": [f"class {p}" for p in head["prediction"]],
        "confidence": [0.9 if r == "True" else 0.4 + i / 1e6 for i, r in enumerate(right)],
        "note": [f"text {i}" for i in range(N)],
    }
    assert judged(base, told).discovered.columns == ("target", "language", "source", "length")
    graded = [{**one, "grade": right} for one in (base, head)]
    graded[0]["grade"] = ["True"] * N
    assert "grade" not in judged(*graded).discovered.columns, "it differs between the sides"
    assert "grade" in judged({**base, "grade": right[::-1]}, {**head, "grade": right[::-1]}).discovered.columns


def test_columns_that_only_this_run_has_are_searched() -> None:
    base, head = drawn()
    bare = {name: base[name] for name in ("target", "prediction")}
    result = judged(bare, head)
    assert result.discovered.columns == ("target", "language", "source")
    assert where(result) == [{"language": "fr", "source": "web"}]


def test_columns_that_are_named_are_searched_alone() -> None:
    result = judged(*drawn(), said("[source, length, colour, id]"))
    assert result.discovered.columns == ("source", "length")
    assert where(result)[0]["source"] == "web"
    assert 'evaluate.discover: there is no column "colour"' in "\n".join(result.notes)
    assert 'evaluate.discover: there is no column "id"' in "\n".join(result.notes)


def test_values_of_declared_slices_are_not_told_again() -> None:
    base, head = drawn()
    french = [
        OTHER[p] if lang == "fr" and i % 3 == 0 else p for i, (p, lang) in enumerate(zip(base["prediction"], base["language"], strict=True))
    ]
    assert where(judged(base, {**base, "prediction": french})) == []
    assert where(judged(base, {**base, "prediction": french}, said().replace("[language]", "[source]"))) == [{"language": "fr"}]
    assert head

    named = said().replace("[language]", "[source, {french: \"language = 'fr'\"}]")
    assert where(judged(base, {**base, "prediction": french}, named)) == []


def test_regressions_and_means_are_searched_by_their_own_numbers() -> None:
    rng = np.random.default_rng(5)
    target, part = rng.normal(size=3000), rng.choice(["a", "b", "c"], 3000)
    guess = target + rng.normal(size=3000)
    worse = target + (guess - target) * np.where(part == "b", 1.6, 1.0) + rng.normal(size=3000) * 0.01
    sides = [{"target": target.tolist(), "prediction": one.tolist(), "part": part.tolist()} for one in (guess, worse)]
    result = assemble(request("evaluate: {run: x, metrics: [rmse]}\n"), side(sides[0]), side(sides[1]))
    assert where(result) == [{"part": "b"}]
    assert (result.discovered.found[0].metric, result.discovered.found[0].direction) == ("mae", "lower")
    assert result.discovered.found[0].head is not None
    assert comment.comment(result).text.count("| part = `b` | mae |") == 1


def test_recall_is_searched_on_its_own_class() -> None:
    base, head = drawn()
    text = said().replace("f1-macro, accuracy", "'recall:spam'").replace("accuracy:", "'recall:spam':")
    result = judged(base, head, text)
    assert where(result) == [{"language": "fr", "source": "web"}]
    one = result.discovered.found[0]
    assert one.metric == "recall:spam"
    assert one.n == sum(
        t == "spam" and a == "fr" and b == "web" for t, a, b in zip(head["target"], head["language"], head["source"], strict=True)
    )


def test_one_model_or_another_evaluation_says_nothing() -> None:
    base, _ = drawn()
    same = side(base, run=run("m"))
    assert assemble(request(said()), same, same).discovered.looked_at == 0
    assert assemble(request(said(), state="first-run"), None, side(base)).discovered.looked_at == 0


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert codec.dumps(judged(*drawn())) == codec.dumps(judged(*drawn()))


def test_values_in_the_comment_are_harmless() -> None:
    base, head = drawn()
    hostile = "<!-- mlops --> @octocat |`x`\n![](http://x)"
    for one in (base, head):
        one["source"] = [hostile if value == "web" else value for value in one["source"]]
    text = comment.comment(judged(base, head)).text
    line = next(part for part in text.splitlines() if part.startswith("| language = "))
    assert "<!-- mlops" not in line
    assert "\n" not in line
    assert "…" in line, "cut"
    assert line.count(" | ") == 5


def test_values_of_columns_that_nobody_declared_stay_out_of_git() -> None:
    result = judged(*drawn())
    kept = without_examples(Bundle(run("m"), result)).result
    assert kept is not None
    assert kept.discovered.looked_at == result.discovered.looked_at
    assert "web" not in codec.dumps(kept)
    assert kept.discovered.columns == ()
