"""From facts to a commented mlops.yaml: what was found stands there, what was not is a comment that says how it is written. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from mlops_toolkit.config.emit.jsonschema import IDENTIFIER
from mlops_toolkit.config.measures import direction
from mlops_toolkit.config.yaml_text import scalar
from mlops_toolkit.init.facts import Facts

COLUMN = 36
USUAL = {"classification": ("accuracy", "f1-macro"), "regression": ("mae", "r2")}
HEADER = f"""\
# yaml-language-server: $schema={IDENTIFIER}
# How this model is trained and evaluated, and how much worse a pull request may make it.
# `mlops validate` checks this file; docs/reference/configuration.md of mlops-actions explains every key.
"""
PREDICTIONS = """\
# The command writes one row per example to $MLOPS_PREDICTIONS (CSV, Parquet or JSON lines), in Python for instance:
#   pandas.DataFrame({"id": ids, "target": y, "prediction": model.predict(X)}).to_csv(os.environ["MLOPS_PREDICTIONS"], index=False)
# Probabilities go into columns prob:LABEL, or one column score; anything else may be a slice.
"""
BARS = """\
# Predictions give error bars, slices and examples. To have them, replace `metrics-file:` by the following.
"""


def configuration(name: str, facts: Facts, *, gate: str | None = None, metrics: Sequence[str] = ()) -> str:
    """The text of mlops.yaml. gate: a ready block of margins that an earlier result proposes; metrics: what an earlier run computed."""
    parts = [HEADER + f"name: {scalar(name)}\n", _train(facts), _evaluate(facts, metrics), _gate(facts, gate, metrics)]
    return "\n".join(parts)


def line(text: str, why: str, indent: int = 2) -> str:
    """A line of YAML with a comment behind it."""
    return f"{' ' * indent + text:<{COLUMN}}  # {why}\n"


def _train(facts: Facts) -> str:
    if facts.train is None:
        return commented(
            "No training script was found (train*.py, a stage of dvc.yaml, a target of the Makefile). Remove the # and complete:",
            "train:\n  run: python train.py      # any command, in your own environment\n  output: model/            # the file or folder it leaves behind\n",
        )
    text = "train:\n" + line(f"run: {scalar(facts.train.value)}", f"found in {facts.train.source}; it runs in your own environment")
    if facts.output:
        text += line(f"output: {scalar(facts.output.value)}", f"found in {facts.output.source}: the file or folder it leaves behind")
    else:
        text += line("output: model/", "not found: name the file or folder that the command leaves behind")
    text += line("# inputs: [src/, train.py]", "what decides that it must run again; default: all tracked files but docs and CI files")
    text += (
        line(f"data: {_list(facts.train_data)}", "watched too")
        if facts.train_data
        else line("# data: [data/train/]", "watched too: paths or s3://, gs://, az:// addresses")
    )
    if facts.params:
        text += line(f"params: {scalar(facts.params)}", "differences are shown in the comment")
    text += line("gpus: 1" if facts.deep else "# gpus: 1", "how many it needs") if facts.deep else ""
    return text + line("# timeout: 6h", "stop it after this long")


def _evaluate(facts: Facts, metrics: Sequence[str]) -> str:
    if facts.evaluate is None and facts.predictions is None and facts.metrics_file is None:
        return commented(
            "No evaluation script was found (evaluate*.py, eval*.py). Remove the # and complete:",
            "evaluate:\n  run: python evaluate.py\n  task: classification      # or regression\n  metrics: [accuracy, f1-macro]\n",
        ) + textwrap.indent(PREDICTIONS, "# ", lambda _: False)
    text = "evaluate:\n"
    if facts.evaluate:
        text += line(f"run: {scalar(facts.evaluate.value)}", f"found in {facts.evaluate.source}")
    if facts.evaluate_data:
        text += line(f"data: {_list(facts.evaluate_data)}", "the evaluation data, watched by digest")
    if facts.predictions:
        text += line(f"predictions: {scalar(facts.predictions.value)}", "one row per example: id, target, prediction")
    elif facts.metrics_file:
        text += line(
            f"metrics-file: {scalar(facts.metrics_file.value)}", "numbers only: they are compared by threshold, noise is not tested"
        )
    if facts.predictions or facts.writes or not facts.metrics_file:
        text += _task(facts, metrics)
    if facts.slice_columns:
        text += line(f"slices: {_list(facts.slice_columns)}", "columns of the predictions: every value is judged, too")
    if facts.predictions is None and not facts.writes:
        text += textwrap.indent((BARS if facts.metrics_file else "") + PREDICTIONS, "  ")
    return text


def _task(facts: Facts, metrics: Sequence[str]) -> str:
    chosen = tuple(metrics) or (USUAL[facts.task] if facts.task else ())
    text = (
        line(f"task: {facts.task}", "by the look of the scripts")
        if facts.task
        else line("# task: classification", "or regression; default: by the look of the predictions")
    )
    return text + (
        line(f"metrics: {_list(chosen)}", "more: recall:CLASS, roc-auc, mcc, {mean: COLUMN, better: higher}, …")
        if chosen
        else line("# metrics: [accuracy, f1-macro]", "default: the usual ones of the task")
    )


def _gate(facts: Facts, gate: str | None, metrics: Sequence[str]) -> str:
    if gate:
        return (
            "# The smallest margins that a harmless change passes nine times in ten on this test set, as the last comparison measured.\n"
            + gate.rstrip("\n")
            + "\n"
        )
    names = [
        name for name in (tuple(metrics) or facts.metric_names or USUAL.get(facts.task or "", USUAL["classification"])) if direction(name)
    ]
    rules = []
    for name in names[:3]:
        relative = name not in USUAL["classification"] or facts.metrics_file is not None
        rules.append(f"  {scalar(name)}: {{{'max-rise' if direction(name) == 'lower' else 'max-drop'}: {'2%' if relative else '1pp'}}}\n")
    return commented(
        "Nothing is gated yet. The first `mlops compare` proposes, per metric, the smallest margin that a harmless change passes nine times\n"
        "in ten on this test set. By hand it is written so (1pp: one percentage point; 2%: of the baseline):",
        "gate:\n" + "".join(rules or ["  accuracy: {max-drop: 1pp}\n"]),
    )


def commented(why: str, yaml: str) -> str:
    """A section as a comment: remove the # and it counts."""
    return "".join(f"# {text}\n" for text in why.split("\n")) + "".join(f"# {text}\n" for text in yaml.rstrip("\n").split("\n"))


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(scalar(value, flow=True) for value in values)}]"
