"""mlops.yaml into dataclasses: what is meant, and every error with its line, all at once."""

from __future__ import annotations

import dataclasses
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.quantities import Duration, Margin
from mlops_toolkit.config.read import discover, load, load_all, parse
from mlops_toolkit.config.rules import Accepted, Rule, SliceRule
from mlops_toolkit.config.schema import MetricRequest, SliceRequest
from mlops_toolkit.errors import ConfigErrors, EnvironmentFailure, UsageError
from tests.unit.config.examples import FULL, NOTHING_GIVEN, USUAL, VALID, read


def test_the_usual_file_means_what_it_says() -> None:
    config = read(USUAL).config
    assert config.train is not None
    assert config.evaluate is not None
    assert config.train.timeout == Duration("6h", 21600.0)
    assert config.train.gpus == 1
    assert config.evaluate.positive == "no"
    assert config.evaluate.metrics == (
        MetricRequest("accuracy", "accuracy"),
        MetricRequest("f1-macro", "f1-macro"),
        MetricRequest("recall:spam", "recall", argument="spam"),
    )
    assert config.evaluate.slices == (SliceRequest("language", column="language"), SliceRequest("long", where="length > 512"))
    assert config.gate["accuracy"] == Rule(max_drop=Margin("1pp", 0.01), slices=SliceRule(max_drop=Margin("3pp", 0.03)))
    assert config.gate["f1-macro"] == Rule(max_drop=Margin("2%", 0.02, relative=True), min=0.8)
    assert config.gate["latency-ms"] == Rule(max_rise=Margin("10%", 0.1, relative=True), max=50.0)


def test_every_key_can_be_given() -> None:
    config = read(FULL).config
    assert config.evaluate is not None
    quality = config.evaluate.suites["quality"]
    assert quality.metrics[2] == MetricRequest("helpfulness", "mean", argument="judge_score", better="higher")
    assert quality.metrics[3] == MetricRequest("p95:latency", "quantile", argument="latency", better="lower", q=0.95, unit="ms")
    assert config.evaluate.suites["safety"].positive == "1"
    assert config.gate["quality/helpfulness"].slices == SliceRule(max_drop=Margin("1", 1.0), must="pass", min=1e-3)
    assert config.accepted[0] == Accepted("quality/mae", "new sensors", up_to=0.5, until="2026-12-31")
    assert config.models.keep.main == "10"
    assert config.allow_forks is True
    assert config.train is not None
    assert config.train.run == "set -e\npython train.py\n"


def test_what_is_null_is_not_given() -> None:
    config = read(NOTHING_GIVEN).config
    assert (config.train, config.evaluate, dict(config.gate), config.accepted) == (None, None, {}, ())


def test_lines_are_known_by_dotted_key_and_unknown_ones_by_what_is_above() -> None:
    loaded = read(USUAL)
    assert loaded.at("gate.accuracy.max-drop") == "mlops.yaml:18"
    assert loaded.at("gate.nothing") == "mlops.yaml:17"
    assert loaded.at("evaluate.metrics[2]") == "mlops.yaml:14"
    assert loaded.at("nowhere") == "mlops.yaml"


GATE = "name: m\nevaluate: {run: e, task: classification, metrics: [accuracy, recall:spam]}\ngate:\n"
WRONG = [
    ("", "mlops.yaml:1", "missing-key", 'the file has no "name"', "add `name: spam-filter` (the model's name, unique in the repository)"),
    ("name: m\ntrian: {}\n", "mlops.yaml:2", "unknown-key", 'there is no key "trian"', 'did you mean "train"?'),
    (
        "name: m\nmetrics: [accuracy]\n",
        "mlops.yaml:2",
        "unknown-key",
        'there is no key "metrics"',
        "it belongs under evaluate:",
    ),
    (
        "name: m\nevaluate:\n  run: e\n  gate: {}\n",
        "mlops.yaml:4",
        "unknown-key",
        'there is no key "gate" under evaluate',
        "it belongs at the top of the file, not indented",
    ),
    ("name: m\nwhenUncertain: ask\n", "mlops.yaml:2", "unknown-key", 'there is no key "whenUncertain"', 'did you mean "when-uncertain"?'),
    (
        "name: a b\n",
        "mlops.yaml:1",
        "wrong-value",
        'name is "a b": not letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit',
        None,
    ),
    ('name: "a\\eb"\n', "mlops.yaml:1", "wrong-value", 'name should be one line of printable characters, is "a\\u001bb"', None),
    ("name: [m]\n", "mlops.yaml:1", "wrong-type", "name should be text, is a list", None),
    ("name: m\ntrain: python train.py\n", "mlops.yaml:2", "wrong-type", 'train should be keys with values, is "python train.py"', None),
    (
        "name: m\ntrain: {run: t}\n",
        "mlops.yaml:2",
        "missing-key",
        'train has no "output"',
        "add `output: model/` (the file or folder the command leaves behind: the model)",
    ),
    (
        "name: m\nmodel: a.lock\ntrain: {run: t, output: o}\n",
        "mlops.yaml:2",
        "train-and-model",
        "both `train` and `model` are given",
        "keep `train` (made here) or `model` (a pointer to one trained elsewhere)",
    ),
    (
        "name: m\ntrain: {run: t, output: .}\n",
        "mlops.yaml:2",
        "wrong-value",
        'train.output cannot be ".": it is stored whole, as the model',
        "name the file or folder that holds only the model, like model/",
    ),
    (
        "name: m\ntrain: {run: t, output: ../../x}\n",
        "mlops.yaml:2",
        "outside-repository",
        'train.output leaves the repository: "../../x"',
        "paths are relative to this file and stay inside the repository",
    ),
    (
        "name: m\ntrain: {run: t, output: /x}\n",
        "mlops.yaml:2",
        "outside-repository",
        'train.output leaves the repository: "/x"',
        "paths are relative to this file and stay inside the repository",
    ),
    (
        "name: m\ntrain: {run: t, output: 's3://b/m'}\n",
        "mlops.yaml:2",
        "wrong-value",
        'train.output should be a path, is the address "s3://b/m"',
        "write a path relative to this file",
    ),
    (
        "name: m\ntrain: {run: t, output: o}\nevaluate: {run: e, metrics: [{cost: {mean: price, better: lower}}]}\n",
        "mlops.yaml:3",
        "wrong-type",
        "evaluate.metrics[0] should be a metric: accuracy, recall:spam, {mean: COLUMN, …}, {quantile: COLUMN, q: 0.95, …} "
        "or {python: FILE.py:FUNCTION, …}, is keys with values",
        "its name goes inside: {mean: …, name: cost}",
    ),
    (
        "name: m\ntrain: {run: t, output: o, gpus: two}\n",
        "mlops.yaml:2",
        "wrong-type",
        'train.gpus should be a whole number, is "two"',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, gpus: 1.5}\n",
        "mlops.yaml:2",
        "wrong-type",
        'train.gpus should be a whole number, is "1.5"',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, gpus: -1}\n",
        "mlops.yaml:2",
        "wrong-value",
        'train.gpus should be between 0 and 1024, is "-1"',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, seed: 1_000}\n",
        "mlops.yaml:2",
        "wrong-type",
        'train.seed should be a whole number, is "1_000"',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, timeout: 6}\n",
        "mlops.yaml:2",
        "wrong-value",
        'train.timeout should be a length of time (90s, 30m, 6h, 2d), is "6"',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, timeout: 0s}\n",
        "mlops.yaml:2",
        "wrong-value",
        'train.timeout is "0s": not a quantity that can be meant',
        None,
    ),
    (
        "name: m\ntrain: {run: t, output: o, inputs: src/}\n",
        "mlops.yaml:2",
        "wrong-type",
        'train.inputs should be a list, is "src/"',
        "write [src/]",
    ),
    (
        "name: m\ntrain: {run: t, output: o, data: ['s3://u:p@b/x']}\n",
        "mlops.yaml:2",
        "secret-in-address",
        "train.data[0] holds a password in its address",
        "give credentials through the environment, and change this one: others have seen it",
    ),
    ("name: m\nconfidence: 95%\n", "mlops.yaml:2", "wrong-type", 'confidence should be a number, is "95%"', None),
    ('name: m\nconfidence: "0.9"\n', "mlops.yaml:2", "wrong-type", 'confidence should be a number, is "0.9" in quotes', None),
    ("name: m\nconfidence: 95\n", "mlops.yaml:2", "wrong-value", 'confidence should be between 0.5 and 0.9999, is "95"', None),
    ("name: m\nconfidence: .nan\n", "mlops.yaml:2", "wrong-type", 'confidence should be a number, is ".nan"', None),
    ("name: m\nconfidence: 0x1\n", "mlops.yaml:2", "wrong-type", 'confidence should be a number, is "0x1"', None),
    ("name: m\nconfidence: 1e999\n", "mlops.yaml:2", "wrong-type", 'confidence should be a number, is "1e999"', None),
    (
        "name: m\nwhen-uncertain: aks\n",
        "mlops.yaml:2",
        "wrong-value",
        'when-uncertain should be ask or warn or fail, is "aks"',
        'did you mean "ask"?',
    ),
    ("name: m\nallow-forks: yes\n", "mlops.yaml:2", "wrong-type", 'allow-forks should be true or false, is "yes"', None),
    (
        "name: m\nhistory: {at: --upload-pack=x}\n",
        "mlops.yaml:2",
        "wrong-value",
        'history.at is "--upload-pack=x": not a branch name or REPOSITORY-URL#BRANCH',
        None,
    ),
    (
        "name: m\nmodels: {store: ftp://x}\n",
        "mlops.yaml:2",
        "wrong-value",
        'models.store is "ftp://x": not auto, none, file:, oci://…, s3://…, gs://… or az://…',
        None,
    ),
    (
        "name: m\nmodels: {keep: {main: all}}\n",
        "mlops.yaml:2",
        "wrong-value",
        'models.keep.main is "all": not 3d, a count or forever',
        None,
    ),
    (
        "name: m\nmeasures: {widgets: up}\n",
        "mlops.yaml:2",
        "wrong-value",
        'measures.widgets should be higher or lower, is "up"',
        "known: higher, lower",
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [acuracy]}\n",
        "mlops.yaml:2",
        "unknown-metric",
        'evaluate.metrics[0]: there is no metric "acuracy"',
        'did you mean "accuracy"?',
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [F1_Macro]}\n",
        "mlops.yaml:2",
        "unknown-metric",
        'evaluate.metrics[0]: there is no metric "F1_Macro"',
        'did you mean "f1-macro"?',
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [AUC]}\n",
        "mlops.yaml:2",
        "unknown-metric",
        'evaluate.metrics[0]: there is no metric "AUC"',
        'did you mean "roc-auc"?',
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [accuracy:spam]}\n",
        "mlops.yaml:2",
        "unwanted-argument",
        'evaluate.metrics[0]: accuracy takes no argument, here "spam"',
        "write accuracy",
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [pinball]}\n",
        "mlops.yaml:2",
        "missing-argument",
        "evaluate.metrics[0]: pinball needs a quantile",
        "write pinball:0.9",
    ),
    (
        "name: m\nevaluate: {run: e, metrics: ['pinball:2']}\n",
        "mlops.yaml:2",
        "wrong-value",
        'evaluate.metrics[0]: the quantile of pinball should be a number between 0 and 1, is "2"',
        "like 0.95",
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [{mean: x}]}\n",
        "mlops.yaml:2",
        "direction-unknown",
        'evaluate.metrics[0]: nobody said whether a higher or a lower "x" is better',
        'in mlops.yaml {mean: x, better: higher} (or lower), on the command line "mean:x better=higher"',
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [{quantile: x, better: lower}]}\n",
        "mlops.yaml:2",
        "missing-argument",
        "evaluate.metrics[0]: quantile needs q, the quantile between 0 and 1",
        "add q: 0.95",
    ),
    (
        "name: m\nevaluate: {run: e, metrics: [{mean: x, better: lower, beter: lower}]}\n",
        "mlops.yaml:2",
        "unknown-key",
        'evaluate.metrics[0]: a metric has no "beter"',
        'did you mean "better"?',
    ),
    (
        "name: m\nevaluate:\n  run: e\n  metrics:\n    - accuracy\n    - accuracy\n",
        "mlops.yaml:6",
        "duplicate-metric",
        'evaluate.metrics names "accuracy" twice',
        "remove one, or give one another name: {mean: COLUMN, name: …, better: …}",
    ),
    ("name: m\nevaluate: {run: e, slices: [a, a]}\n", "mlops.yaml:2", "duplicate-slice", 'evaluate.slices names "a" twice', "remove one"),
    (
        "name: m\nevaluate: {run: e, slices: [{a: x, b: y}]}\n",
        "mlops.yaml:2",
        "wrong-type",
        'evaluate.slices[0] should be a slice: a column, or {long: "length > 512"}, is keys with values',
        None,
    ),
    (
        "name: m\nevaluate: {run: e, task: clasification}\n",
        "mlops.yaml:2",
        "wrong-value",
        'evaluate.task should be classification or regression, is "clasification"',
        'did you mean "classification"?',
    ),
    (
        "name: m\nevaluate: {run: e, task: regression, positive: a}\n",
        "mlops.yaml:2",
        "wrong-task",
        "`positive` names a class, and the task is regression",
        "remove it",
    ),
    (
        "name: m\nevaluate: {data: [a]}\n",
        "mlops.yaml:2",
        "nothing-to-evaluate",
        "evaluate does nothing: it has no `run`",
        "add `run: python evaluate.py`, or `predictions:` if training writes them",
    ),
    (
        "name: m\nevaluate:\n  metrics: [mae]\n  suites: {a: {run: e}}\n",
        "mlops.yaml:3",
        "mixed-suites",
        "evaluate has `suites` and `metrics` beside them",
        "move `metrics` into each suite",
    ),
    (
        "name: m\nevaluate: {suites: {a/b: {run: e}}}\n",
        "mlops.yaml:2",
        "invalid-name",
        'a suite cannot be called "a/b"',
        "use letters, digits, - and _",
    ),
    (
        GATE + "  accuracy: 1pp\n",
        "mlops.yaml:4",
        "wrong-type",
        'gate.accuracy should be keys with values, is "1pp"',
        "write accuracy: {max-drop: 1pp}",
    ),
    (GATE + "  accuracy:\n", "mlops.yaml:4", "wrong-value", "gate.accuracy is empty", "write accuracy: {max-drop: 1pp}, or remove it"),
    (
        GATE + "  accuracy: {}\n",
        "mlops.yaml:4",
        "gates-nothing",
        "gate.accuracy allows anything: it has no max-drop, max-rise, improve-by, max-gain, min or max",
        "write accuracy: {max-drop: 1pp}",
    ),
    (
        GATE + "  accuracy: {min: 0.8, slices: {must: pass}}\n",
        "mlops.yaml:4",
        "gates-nothing",
        "gate.accuracy.slices allows anything",
        "write slices: {max-drop: 3pp}",
    ),
    (
        GATE + "  accuracy: {max_drop: 1pp, min: 0}\n",
        "mlops.yaml:4",
        "unknown-key",
        'there is no key "max_drop" under gate.accuracy',
        'did you mean "max-drop"?',
    ),
    (
        GATE + "  accuracy: {max-drop: 1 pp point}\n",
        "mlops.yaml:4",
        "wrong-value",
        'gate.accuracy.max-drop should be a margin (1pp: percentage points; 2%: of the baseline; or a number in the metric\'s unit), is "1 pp point"',
        None,
    ),
    (
        GATE + "  accuracy: {max-drop: -1pp}\n",
        "mlops.yaml:4",
        "wrong-value",
        'gate.accuracy.max-drop should be a margin (1pp: percentage points; 2%: of the baseline; or a number in the metric\'s unit), is "-1pp"',
        None,
    ),
    (
        GATE + "  accuracy:\n    max-drop: 1\n",
        "mlops.yaml:5",
        "margin-too-wide",
        "max-drop: 1 allows accuracy to get 100 percentage points worse",
        'did you mean 1pp? If you mean it, say it as a share of the baseline ("100%") or as `min:`',
    ),
    (
        GATE + "  recall:spam: {max-drop: 0.1}\n",
        "mlops.yaml:4",
        "margin-too-wide",
        "max-drop: 0.1 allows recall:spam to get 10 percentage points worse",
        'did you mean 1pp? If you mean it, say it as a share of the baseline ("10%") or as `min:`',
    ),
    (
        GATE + "  accuracy: {min: 0.5, slices: {max-drop: 10pp}}\n",
        "mlops.yaml:4",
        "margin-too-wide",
        "max-drop: 10pp allows accuracy to get 10 percentage points worse",
        'did you mean 1pp? If you mean it, say it as a share of the baseline ("10%") or as `min:`',
    ),
    (
        GATE + "  accuracy: {max-rise: 1pp}\n",
        "mlops.yaml:4",
        "wrong-direction",
        "a higher accuracy is better: max-rise would forbid it to improve",
        "write max-drop: 1pp",
    ),
    (
        GATE + "  latency-ms: {max-drop: 10%}\n",
        "mlops.yaml:4",
        "wrong-direction",
        "a lower latency-ms is better: max-drop would forbid it to improve",
        "write max-rise: 10%",
    ),
    (
        GATE + "  accuracy: {min: 0.9, max: 0.8}\n",
        "mlops.yaml:4",
        "wrong-value",
        "gate.accuracy: min 0.9 is above max 0.8",
        "exchange them",
    ),
    (
        GATE + "  f1-macro: {max-drop: 1pp}\n",
        "mlops.yaml:4",
        "gate-unlisted",
        'the gate names "f1-macro", which evaluate.metrics does not list',
        'add "f1-macro" to evaluate.metrics',
    ),
    (
        GATE + "  acuracy: {max-drop: 1pp}\n",
        "mlops.yaml:4",
        "direction-unknown",
        'nobody said whether a higher or a lower "acuracy" is better',
        'did you mean "accuracy"? If it is a measure, add `better: higher` or `better: lower` to gate.acuracy',
    ),
    (
        GATE + "  widgets: {max-rise: 1}\n",
        "mlops.yaml:4",
        "direction-unknown",
        'nobody said whether a higher or a lower "widgets" is better',
        "add `better: higher` or `better: lower` to gate.widgets",
    ),
    (
        GATE + "  accuracy: {max: 1, better: lower}\n",
        "mlops.yaml:4",
        "wrong-direction",
        "a higher accuracy is better, not a lower one",
        "leave `better` out",
    ),
    (
        "name: m\nevaluate: {suites: {q: {run: e, metrics: [mae]}}}\ngate:\n  mae: {max: 1}\n",
        "mlops.yaml:4",
        "gate-unlisted",
        'the gate names "mae", which is of no suite',
        'did you mean "q/mae"?',
    ),
    (
        "name: m\naccepted: [{check: accuracy, reason: x}]\n",
        "mlops.yaml:2",
        "accepted-unbound",
        'accepting "accuracy" needs the worst value that is accepted',
        "add `down-to: 0.941`",
    ),
    (
        "name: m\naccepted: [{check: accuracy, reason: x, up-to: 1}]\n",
        "mlops.yaml:2",
        "wrong-direction",
        "a higher accuracy is better: up-to binds the wrong side",
        "write `down-to`",
    ),
    (
        "name: m\naccepted: [{check: gate, reason: x, until: 2026-02-30}]\n",
        "mlops.yaml:2",
        "wrong-value",
        'accepted[0].until should be a day, is "2026-02-30"',
        "write it YYYY-MM-DD: 2026-12-31",
    ),
    (
        "name: m\naccepted: [{check: gate}]\n",
        "mlops.yaml:2",
        "missing-key",
        'accepted[0] has no "reason"',
        "add `reason: new label set` (why; shown in the comment)",
    ),
    (
        "name: m\naccepted:\n- {check: gate, reason: x}\n- {check: gate, reason: y}\n",
        "mlops.yaml:4",
        "duplicate-accepted",
        '"gate" is accepted twice',
        "keep one entry",
    ),
    (
        GATE + "  accuracy: {min: 0}\naccepted: [{check: acuracy, reason: x, down-to: 0}]\n",
        "mlops.yaml:5",
        "unknown-check",
        'the gate has no "acuracy"',
        'did you mean "accuracy"?',
    ),
]


@pytest.mark.parametrize(("text", "where", "name", "message", "hint"), WRONG, ids=[f"{row[2]}: {row[3][:40]}" for row in WRONG])
def test_each_wrong_file_has_one_clear_error(text: str, where: str, name: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert (problem.where, problem.name, problem.message, problem.hint) == (where, name, message, hint)
    assert caught.value.code == 2


def test_all_errors_come_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(
            "nam: m\ntrain:\n  run: t\n  outputs: o\n  gpus: two\ngate:\n  accuracy: {max-drop: 1, max-rise: 1pp}\n  latency: {max-drop: 3}\n"
        )
    told = [(p.where, p.name) for p in caught.value.problems]
    assert told == [
        ("mlops.yaml:1", "unknown-key"),
        ("mlops.yaml:1", "missing-key"),
        ("mlops.yaml:2", "missing-key"),
        ("mlops.yaml:4", "unknown-key"),
        ("mlops.yaml:5", "wrong-type"),
        ("mlops.yaml:7", "wrong-direction"),
        ("mlops.yaml:8", "wrong-direction"),
    ]


def test_a_metric_refused_in_the_list_is_not_missed_again_in_the_gate() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read("name: m\nevaluate: {run: e, metrics: [acuracy, mae]}\ngate: {accuracy: {max-drop: 1pp}}\n")
    assert [p.name for p in caught.value.problems] == ["unknown-metric"]


def test_a_metrics_file_may_hold_percentages_so_a_wide_margin_is_taken_as_said() -> None:
    loaded = read("name: m\nevaluate: {metrics-file: m.json}\ngate: {accuracy: {max-drop: 0.5}}\n")
    assert loaded.config.gate["accuracy"].max_drop == Margin("0.5", 0.5)


@pytest.mark.parametrize(
    "at",
    [
        "mlops-history",
        "team/runs",
        "https://github.com/org/records#mlops-history",
        "git@host:~me/x.git#a/b",
        "/srv/../git/x.git#runs",
        "ssh://git@host:22/x.git#runs",
    ],
)
def test_a_history_may_be_a_branch_here_or_in_another_repository(at: str) -> None:
    assert read(f'name: m\nhistory: {{at: "{at}"}}\n').config.history.at == at


@pytest.mark.parametrize(
    "at",
    [
        "-x",
        "a b",
        "a..b",
        "x#-y",
        "x#",
        "#b",
        "a#b#c",
        "ext::sh -c x#b",
        "ext::x#b",
        "a:b",
        "a~1",
        "x#/b",
        "x@{1}",
        "a*",
        "https://u:p@host/x#b",
    ],
)
def test_a_history_is_no_option_no_command_and_no_password(at: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(f'name: m\nhistory: {{at: "{at}"}}\n')
    assert caught.value.problems[0].where == "mlops.yaml:2"
    assert "u:p" not in str(caught.value)


def test_data_may_stand_outside_but_nothing_else() -> None:
    text = "name: m\ntrain: {run: t, output: o, data: [/mnt/x, ../data/y, 'https://host/z']}\n"
    assert read(text).config.train.data == ("/mnt/x", "../data/y", "https://host/z")  # type: ignore[union-attr]


SCALARS = [
    "no",
    "1_000",
    ".inf",
    "nan",
    "-1",
    "1e999",
    "''",
    '"\\u202e"',
    "[]",
    "{}",
    "[[x]]",
    "{a: {b: c}}",
    "../../../x",
    "0x10",
    "~",
    "|",
    "10" * 40,
    "2026-13-01",
    "100%",
    "@team",
    "`x`",
    "$(x)",
    "'<!-- x'",
    "'</details>'",
    "'a|b'",
    "'${{ x }}'",
]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(VALID)), st.data())
def test_any_mutation_is_read_or_refused_with_a_place_and_never_crashes(which: str, data: st.DataObject) -> None:
    lines = VALID[which].splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(["drop", "twice", "value", "key", "indent", "cut", "swap"]))
    line = lines[at]
    if how == "drop":
        del lines[at]
    elif how == "twice":
        lines.insert(at, line)
    elif how == "value":
        lines[at] = line.partition(":")[0] + ": " + data.draw(st.sampled_from(SCALARS))
    elif how == "key":
        lines[at] = line.replace(
            line.strip().partition(":")[0], data.draw(st.text(st.characters(exclude_characters="\n\r"), max_size=8)), 1
        )
    elif how == "indent":
        lines[at] = " " * data.draw(st.integers(0, 6)) + line.strip()
    elif how == "cut":
        lines[at] = line[: data.draw(st.integers(0, len(line)))]
    else:
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], line
    problems = refusals("\n".join(lines))
    assert all(where and where.startswith("mlops.yaml:") for where, _ in problems), problems
    assert all(part.isprintable() for _, text in problems for part in text.splitlines()), problems


def refusals(text: str) -> list[tuple[str | None, str]]:
    """(place, error) of all that is wrong with a text."""
    try:
        read(text)
    except ConfigErrors as errors:
        return [(p.where, f"{p.name} {p.message} {p.hint}") for p in errors.problems]
    except UsageError as error:
        return [(error.where, str(error))]
    return []


HOSTILE = [
    "a|b",
    "<!-- x",
    "</details>",
    "@team",
    "`x`",
    "$(rm)",
    "${{ x }}",
    "x" * 190,
    "ünï",
    "no",
    "1",
    "null",
    "[",
    "'",
    '"',
    "# x",
    "a: b",
    "-",
    "*a",
]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE))
def test_hostile_labels_and_columns_are_kept_as_text(label: str, column: str) -> None:
    text = yaml.safe_dump(
        {"name": "m", "evaluate": {"run": "e", "positive": label, "metrics": [f"recall:{label}"], "slices": [column]}}, allow_unicode=True
    )
    config = read(text).config
    assert config.evaluate is not None
    assert config.evaluate.positive == label
    assert config.evaluate.metrics[0].argument == label
    assert config.evaluate.slices[0].column == column


@settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries(
        {"name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)},
        optional={
            "confidence": st.floats(0.5, 0.9999),
            "when-uncertain": st.sampled_from(["ask", "warn", "fail"]),
            "allow-forks": st.booleans(),
            "measures": st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(["higher", "lower"]), max_size=3),
            "comment": st.fixed_dictionaries({}, optional={"charts": st.booleans(), "examples": st.integers(0, 100)}),
            "train": st.fixed_dictionaries({"run": st.just("t"), "output": st.just("o/")}, optional={"seed": st.integers(0, 2**32 - 1)}),
        },
    )
)
def test_what_is_written_comes_back(document: dict[str, Any]) -> None:
    config = read(yaml.safe_dump(document)).config
    plain = dataclasses.asdict(config)
    for key, value in document.items():
        got = plain[key.replace("-", "_")]
        assert {k: got[k.replace("-", "_")] for k in value} == value if isinstance(value, dict) else got == value


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "mlops.yaml")
    assert caught.value.name == "no-config"
    assert "mlops init" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_the_environments_fault(tmp_path: Path) -> None:
    path = tmp_path / "mlops.yaml"
    path.write_text("name: m\n")
    path.chmod(0)
    with pytest.raises(EnvironmentFailure):
        load(path)


def test_a_file_in_a_repository_is_called_by_its_path_there(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    path = tmp_path / "models" / "spam" / "mlops.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("name: m\ntrain: {run: t, output: ../../o, params: ../../../p}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.where, problem.message) == ("models/spam/mlops.yaml:2", 'train.params leaves the repository: "../../../p"')


def test_a_path_or_a_glob_finds_the_files_in_order(tmp_path: Path) -> None:
    for name in ("b", "a", ".mlops"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mlops.yaml").write_text(f"name: {name}\n")
    found = discover("*/mlops.yaml", cwd=tmp_path, root=tmp_path)
    assert [path.parent.name for path in found] == ["a", "b"]
    assert [loaded.config.name for loaded in load_all(found)] == ["a", "b"]
    assert discover("a/mlops.yaml", cwd=tmp_path, root=tmp_path) == (tmp_path / "a" / "mlops.yaml",)


def test_the_default_is_found_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("name: m\n")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    assert discover("", cwd=tmp_path / "src" / "deep", root=tmp_path) == (tmp_path / "mlops.yaml",)
    with pytest.raises(UsageError):
        discover("", cwd=tmp_path / "src" / "deep", root=tmp_path / "src")


def test_a_name_that_is_nearly_right_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlops.yml").write_text("name: m\n")
    with pytest.raises(UsageError) as caught:
        discover("mlops.yaml", cwd=tmp_path, root=tmp_path)
    assert (caught.value.name, caught.value.hint) == ("no-config", "there is mlops.yml: rename it to mlops.yaml, or say --config mlops.yml")


@pytest.mark.parametrize(
    ("asked", "there", "hint"),
    [
        ("mlops.yaml", [], "`mlops init` looks at the repository and writes one"),
        ("models/a/spam.yaml", [], "`mlops init --config models/a/spam.yaml` looks at the repository and writes it"),
        ("my models/spam.yaml", [], "`mlops init --config 'my models/spam.yaml'` looks at the repository and writes it"),
        ("models/*/mlops.yaml", [], "`mlops init --config models/spam/mlops.yaml` looks at the repository and writes one"),
        ("models/a", ["models/a/mlops.yaml"], "there is models/a/mlops.yaml: say --config models/a/mlops.yaml"),
        ("mlops.yaml", ["model/mlops.yaml"], "there is model/mlops.yaml: say --config model/mlops.yaml"),
        ("mlops.yaml", ["m/a/mlops.yaml", "m/b/mlops.yaml"], "there is m/a/mlops.yaml: say --config '*/*/mlops.yaml'"),
    ],
)
def test_the_way_out_of_a_missing_configuration_is_what_was_asked_for(tmp_path: Path, asked: str, there: list[str], hint: str) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("name: m\n")
    with pytest.raises(UsageError) as caught:
        discover(asked, cwd=tmp_path, root=tmp_path)
    assert (caught.value.name, caught.value.hint) == ("no-config", hint)
    if there:  # the hint is what works
        assert discover(shlex.split(hint.rpartition("--config ")[2])[0], cwd=tmp_path, root=tmp_path)


@pytest.mark.parametrize("pattern", ["../mlops.yaml", "../*.yaml", "link.yaml"])
def test_a_configuration_outside_of_the_repository_is_refused(tmp_path: Path, pattern: str) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (tmp_path / "mlops.yaml").write_text("name: m\n")
    (root / "link.yaml").symlink_to(tmp_path / "mlops.yaml")
    with pytest.raises(UsageError) as caught:
        discover(pattern, cwd=root, root=root)
    assert caught.value.name == "outside-repository"


def test_two_models_of_one_name_and_all_other_errors_of_all_files_are_told(tmp_path: Path) -> None:
    for folder, text in (("a", "name: m\n"), ("b", "name: m\n"), ("c", "nam: m\n"), ("d", "a: 1\na: 2\n"), ("e", "- x\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mlops.yaml").write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load_all(discover("*/mlops.yaml", cwd=tmp_path, root=tmp_path), root=tmp_path)
    told = [(p.where, p.name) for p in caught.value.problems]
    assert told == [
        ("b/mlops.yaml:1", "duplicate-name"),
        ("c/mlops.yaml:1", "unknown-key"),
        ("c/mlops.yaml:1", "missing-key"),
        ("d/mlops.yaml:2", "invalid-yaml"),
        ("e/mlops.yaml:1", "invalid-yaml"),
    ]


def test_parsing_touches_no_disk() -> None:
    loaded = parse(b"name: m\n", where="main:mlops.yaml", path=Path("/nowhere/mlops.yaml"))
    assert (loaded.folder, loaded.config.name) == (Path("/nowhere"), "m")
