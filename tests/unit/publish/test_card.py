"""The model card, the notes and the marks on an image: what they say, that they are ours alone to say, and that they end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import cmarkgfm
from cmarkgfm.cmark import Options

from mlops_toolkit.formats.manifest import Manifest, Part
from mlops_toolkit.formats.signature import Signature, Tensor
from mlops_toolkit.publish import marks
from mlops_toolkit.publish.card import Facts, Previous, card
from mlops_toolkit.publish.notes import Image, notes
from mlops_toolkit.publish.policy import Allowed, Override, judged, rule
from mlops_toolkit.records.result import Check, Result, Side
from mlops_toolkit.records.run import Data, Evaluation, GateOutcome, Measure, MetricValue, Model, Resources, Run

HOSTILE = "a|b\n# x <img src=x onerror=alert(1)> ![i](http://e.example/p.png) [l](http://e.example) @team #1 `c` <!-- mlops-actions:1 end 0 --> \u202e$x$"
COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64
ACCURACY = MetricValue(0.9525, 2000, "accuracy", "higher", standard_error=0.00475)


def facts(**changes: Any) -> Facts:
    """A run as it is recorded. changes: of the run."""
    run = Run(
        id="20261129-192210-e0e3e4",
        model="spam-filter",
        commit=COMMIT,
        branch="main",
        status="succeeded",
        started="2026-11-29T19:22:10Z",
        seed=3,
        params={"lr": 0.1, "net": {"width": 64}},
        resources=Resources(wall_seconds=3725.0, gpu_seconds=3600.0, peak_memory=2_000_000_000, energy_joules=1_800_000.0),
        trained=Model(DIGEST, 14_200_000, "model/", "folder"),
        evaluations={"": Evaluation(data=Data("sha256:" + "e" * 64, 2000, "classification"))},
        metrics={"accuracy": ACCURACY},
        measures={"latency-ms": Measure((10.0, 10.2), unit="ms")},
        slices={
            f"language={name}": {"accuracy": replace(ACCURACY, value=0.9 + i / 1000, n=100)} for i, name in enumerate("abcdefghijklmno")
        },
        gate=GateOutcome("passed", "pass", sentence="accuracy +0.25 pp: shown not worse"),
    )
    run = replace(run, **changes)
    check = Check(
        "accuracy",
        head=0.9525,
        change=0.0025,
        low=0.0004,
        high=0.0058,
        margin=0.01,
        verdict="pass",
        unit="fraction",
        head_low=0.9423,
        head_high=0.961,
    )
    result = Result("spam-filter", "pass", "passed", "said", Side("b" * 40, "20261128-192210-e0e3e4", label="main"), checks=(check,))
    what = judged(run, result)
    return Facts(
        what, rule(what, Allowed(), Override("ada", "new labels") if run.withdrawn else None), repository="https://github.com/acme/spam"
    )


def test_a_card_says_how_good_it_is_where_not_what_it_took_and_where_it_comes_from() -> None:
    text = card(facts())
    for part in (
        "**✅ its gate passed** · accuracy +0.25 pp: shown not worse",
        f"[`ccccccc`](https://github.com/acme/spam/commit/{COMMIT})",
        "| accuracy | 0.9525 | 0.9423 to 0.9610 | 2,000 | +0.25 pp [+0.04, +0.58] | −1.0 pp | ✅ not worse |",
        "Measured on 2,000 examples of classification, data `sha256:eeeeeeeeeeee`.",
        "Compared with main",
        "| language=a | 0.9000 |",
        "and 3 slices more.",
        "| `net.width` | `64` |",
        "- time: 1 h 02 min",
        "- energy: 0.5 kWh",
        "It is the first release of this model.",
    ):
        assert part in text, part
    assert text.index("language=a") < text.index("language=b")  # the worst first
    assert card(facts()) == text


def test_the_release_before_is_named_with_what_moved_unless_it_was_measured_otherwise() -> None:
    made = facts()
    before = replace(
        made.run,
        id="20261101-192210-e0e3e4",
        trained=Model("sha256:" + "f" * 64, 1, "m"),
        metrics={"accuracy": replace(ACCURACY, value=0.95)},
    )
    said = card(replace(made, previous=Previous(before, "v1.0.0", "https://github.com/acme/spam/releases/tag/v1.0.0")))
    assert "The release before it is [v1.0.0](https://github.com/acme/spam/releases/tag/v1.0.0)" in said
    assert "| accuracy | 0.9500 | 0.9525 | +0.25 pp |" in said
    other = replace(before, evaluations={"": Evaluation(data=Data("sha256:" + "9" * 64, 500))})
    assert "| accuracy | 0.9500 | 0.9525 | measured otherwise |" in card(replace(made, previous=Previous(other, "v1.0.0")))
    same = replace(before, trained=made.run.trained)
    assert "It is the very same model." in card(replace(made, previous=Previous(same, "v1.0.0")))


def test_whatever_names_and_values_hold_stays_text() -> None:
    metric = {HOSTILE: ACCURACY}
    made = facts(
        model=HOSTILE,
        branch=HOSTILE,
        params={HOSTILE: HOSTILE},
        metrics=metric,
        measures={HOSTILE: Measure((1.0,), unit=HOSTILE)},
        slices={HOSTILE: metric},
        withdrawn=HOSTILE,
        gate=GateOutcome("failed", sentence=HOSTILE, said_yes=(HOSTILE,)),
    )
    tensor = Tensor(HOSTILE, "FP32", (None, 3), HOSTILE, (HOSTILE,))
    part = Part(HOSTILE, "m")
    served = Manifest(part, part, Signature((tensor,), (tensor,)), {"name": HOSTILE, "version": HOSTILE}, (HOSTILE,), HOSTILE, 1, {})
    made = replace(made, served=served, previous=Previous(replace(made.run, trained=None), HOSTILE, "javascript:alert(1)"))
    for text in (card(made), notes(made, Image("ghcr.io/acme/spam", DIGEST, ("v1",)))):
        html = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
        assert "<img" not in html
        assert 'e.example"' not in html
        assert "javascript:" not in re.sub(r"&\w+;", "", " ".join(re.findall(r'href="([^"]*)"', html)))
        assert "<!--" not in text
        assert "@team" not in re.sub(r"<code>.*?</code>", "", html, flags=re.S)
        assert "\u202e" not in text
    told = marks.marks(made)
    assert all(value.replace("\n", "").isprintable() for value in told.values())


def test_every_list_ends() -> None:
    many = {f"m{i}": ACCURACY for i in range(5000)}
    made = facts(metrics=many, params={f"p{i}": "x" * 5000 for i in range(5000)}, slices={f"s{i}": many for i in range(50)})
    assert len(notes(made, Image("ghcr.io/acme/spam", DIGEST))) < 40_000
    assert sum(map(len, marks.marks(made).values())) < 10_000


def test_notes_say_how_to_run_and_verify_that_very_image() -> None:
    text = notes(facts(), Image("ghcr.io/acme/spam", DIGEST, ("v1.2.3", "1.2"), key="cosign.pub"))
    assert text.startswith("## spam-filter\n\n`ghcr.io/acme/spam:v1.2.3`")
    assert f"docker run --rm --read-only --cap-drop ALL -p 8080:8080 ghcr.io/acme/spam@{DIGEST}" in text
    assert "oras pull" in notes(facts(), Image("ghcr.io/acme/spam", DIGEST, form="artifact"))


def test_an_override_is_on_the_image_and_in_the_notes_and_not_a_secret_of_who_signed() -> None:
    made = facts(withdrawn="labels were shifted")
    told = marks.marks(made)
    assert told["vnd.mlops.override"] == "ada: new labels"
    assert told["vnd.mlops.override.against"] == "it was withdrawn: labels were shifted"
    text = notes(made, Image("ghcr.io/acme/spam", DIGEST, key="env://COSIGN_PRIVATE_KEY"))
    assert "Published by ada, who said: new labels. Against it stood:" in text
    assert "COSIGN_PRIVATE_KEY" not in text


def test_an_image_that_is_there_is_taken_only_where_it_is_this_run_s_and_judged_the_same() -> None:
    made = facts()
    told = marks.marks(made)
    assert marks.is_of(told, made)
    assert json.loads(told["vnd.mlops.metrics"]) == {"accuracy": 0.9525}
    assert not marks.is_of({**told, marks.RUN: "20261101-192210-e0e3e4"}, made)
    assert not marks.is_of({**told, marks.VERDICT: "overridden"}, made)
    assert not marks.is_of({}, made)
