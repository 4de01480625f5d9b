"""What the recorded model answered: predictions, measures and metrics, read and refused as those of an evaluation are, and scored by us."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config.schema import Suite
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import UsageError
from mlops_toolkit.home import Home
from mlops_toolkit.models import prints
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.predictions.score import reported, suite_of
from mlops_toolkit.predictions.sized import answers, score
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Measure, MetricValue

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream

NOTHING = "give what it answered: --predictions FILE (one row per example), or its numbers: --metrics FILE"


@dataclass(frozen=True)
class Answers:
    """By suite (`` is the only one's name) its predictions and the slices they were scored on; and the numbers, by the names that the comment uses."""

    tables: Mapping[str, Table | Stream] = field(default_factory=dict)
    sliced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)


def gather(args: argparse.Namespace, home: Home) -> Answers:
    """Everything that was given on the command line.

    UsageErrors: `nothing-recorded` where there are no numbers and nothing computes them later, `no-suite`, `duplicate-metric`;
    InvalidFile and UsageError as of the predictions, measures and metrics of an evaluation.
    """
    config, cwd = home.loaded.config, home.world.cwd
    tables: dict[str, Table | Stream] = {}
    for suite, file in _by_suite(args.predictions, home).items():
        asked = suite_of(config, suite)
        tables[suite] = answers(cwd / file, task=asked.task, positive=asked.positive, name=file, careful=True)
    measures = read_measures(cwd / args.measures, name=args.measures, config=config) if args.measures else {}
    numbers = reported(read_metrics(cwd / args.metrics, args.metrics), config) if args.metrics else {}
    if not (tables or numbers) and not computed_here(home):
        raise UsageError("nothing-recorded", "there is not one number to record", where="--predictions", hint=NOTHING)
    metrics: dict[str, MetricValue] = {}
    slices: dict[str, dict[str, MetricValue]] = {}
    sliced = {}
    for suite, table in tables.items():
        scored = score(table, config, suite)
        metrics |= scored.metrics
        sliced[suite] = tuple(scored.slices)
        for label, values in scored.slices.items():
            slices.setdefault(label, {}).update(values)
    if twice := next((name for name in numbers if name in metrics), None):
        message = f"{shown(twice)} is computed from the predictions and stands in the metrics file too"
        raise UsageError("duplicate-metric", message, where="--metrics", hint="drop it from the one or the other")
    return Answers(tables, sliced, {**metrics, **numbers}, slices, measures)


def computed_here(home: Home) -> bool:
    """Whether an evaluation of its own will compute numbers of this model."""
    suites = prints.suites_of(home.loaded)
    return bool(suites) and all(suite.run for suite in suites.values())


def _by_suite(given: list[str], home: Home) -> dict[str, str]:
    """suite -> file, of `FILE` or, where there are suites, `SUITE=FILE`."""
    evaluate = home.loaded.config.evaluate
    suites: Mapping[str, Suite] = evaluate.suites if evaluate else {}
    found: dict[str, str] = {}
    for text in given:
        suite, equals, file = text.partition("=") if suites else ("", "=", text)
        if not equals or (suites and suite not in suites):
            wanted = " ".join(f"--predictions {name}=FILE" for name in suites)
            raise UsageError("no-suite", f"{shown(text)} is of no evaluation", where="--predictions", hint=f"say of which: {wanted}")
        if suite in found:
            hint = "one file for each evaluation" if suites else "one file holds all examples"
            raise UsageError(
                "duplicate-predictions",
                f"predictions are given twice: {shown(found[suite])} and {shown(file)}",
                where="--predictions",
                hint=hint,
            )
        found[suite] = file
    if missing := [name for name in suites if found and name not in found]:
        raise UsageError(
            "no-suite", f"the predictions of {missing[0]} are missing", where="--predictions", hint=f"--predictions {missing[0]}=FILE"
        )
    return found


def prompts(given: list[str], home: Home) -> dict[str, Path]:
    """path (relative to mlops.yaml) -> file, of the files that are part of the model; UsageErrors `no-file`, `outside-repository`."""
    top, folder = home.world.root.resolve(), home.loaded.folder.resolve()
    found = {}
    for text in given:
        path = (home.world.cwd / text).resolve()
        if not path.is_file():
            raise UsageError("missing-input", f"there is no file {shown(text)}", where="--prompt")
        if not path.is_relative_to(top):
            raise UsageError(
                "outside-repository",
                f"the prompt {shown(text)} is not in the repository",
                where="--prompt",
                hint="a review has to find it too: commit it",
            )
        name = Path(os.path.relpath(path, folder)).as_posix()
        if not name.isprintable() or len(name) > 200:
            raise UsageError(
                "invalid-name", f"{shown(name)} cannot name a prompt: one line of at most 200 printable characters", where="--prompt"
            )
        found[name] = path
    return found
