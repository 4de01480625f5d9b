"""`mlops power`: find out what is to be planned, answer, draw."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from mlops_toolkit.config import read, requests
from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.local import prepare
from mlops_toolkit.power import answer as answers
from mlops_toolkit.power import plan as plans
from mlops_toolkit.power.plan import Plan
from mlops_toolkit.records.result import Check
from mlops_toolkit.report import curve
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

PICTURE = Path(".mlops") / "power.png"


def run(args: argparse.Namespace, world: World) -> int:
    """Answer one question; 0. UsageError where it cannot be answered."""
    files = [world.cwd / word for word in args.of if (world.cwd / word).is_file()]
    metrics = [word for word in args.of if not (world.cwd / word).is_file()]
    if len(files) > 2 or len(metrics) + bool(args.metric) > 1:
        raise UsageError(
            "wrong-value", f"one metric, and two files at most: {' '.join(args.of)[:200]}", hint="mlops power accuracy a.parquet b.parquet"
        )
    if missing := next((word for word in metrics if Path(word).suffix in (".csv", ".parquet", ".jsonl", ".json")), None):
        raise UsageError("no-file", f"there is no file {missing[:200]}")
    metric = args.metric or (metrics[0] if metrics else None)
    power = plans.share(args.power, "--power")
    if args.confidence is not None and not 0.5 <= args.confidence < 1:
        raise UsageError("wrong-value", f"--confidence should lie between 0.5 and 1, is {args.confidence:g}")
    configured = _config(args, world)
    plan = _plan(args, world, metric, files, configured)
    asked = _margin(args, plan, configured)
    n = args.examples if args.examples is not None else plan.n if asked is None else None
    if n is not None and n < 1:
        raise UsageError("wrong-value", f"--examples should be one or more, is {n}")
    if asked is None and n is None:
        raise UsageError("nothing-asked", "neither a margin nor a number of examples is given", hint="--margin 1pp, or --examples 2000")
    found = answers.answer(plan, asked, n if asked is None or args.examples is not None else None, power)
    if args.json:
        print(json.dumps(answers.document(found), ensure_ascii=True, allow_nan=False), file=world.out)
    else:
        print(answers.words(found), file=world.out)
    picture = world.cwd / args.png if args.png else world.cwd / PICTURE
    with contextlib.nullcontext() if args.png else contextlib.suppress(OSError, MlopsError):
        if not args.png:
            prepare(picture.parent)
        write_atomic(picture, curve.sample_size(_lines(found), _caption(found), at=_point(found), fraction=plan.fraction, of=plan.of))
        print(f"drawn: {args.png or PICTURE.as_posix()}", file=world.err)
    return 0


def _config(args: argparse.Namespace, world: World) -> read.Loaded | None:
    """The one mlops.yaml here, if there is one: its margins and its confidence are taken where the command line says none."""
    with contextlib.suppress(MlopsError):
        found = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
        return found[0] if len(found) == 1 else None
    return None


def _plan(args: argparse.Namespace, world: World, metric: str | None, files: list[Path], loaded: read.Loaded | None) -> Plan:
    confidence = args.confidence if args.confidence is not None else loaded.config.confidence if loaded else 0.95
    if files:
        return plans.clustered(_of_files(args, metric, files, confidence), args.clusters, args.alike, confidence)
    disagree = plans.share(args.disagree, "--disagree") if args.disagree else None
    accuracy = plans.share(args.accuracy, "--accuracy") if args.accuracy else None
    if disagree is None and accuracy is None and metric is not None:
        return plans.clustered(_of_history(args, world, metric, confidence), args.clusters, args.alike, confidence)
    return plans.assumed(
        metric or "accuracy",
        disagree=disagree,
        accuracy=accuracy,
        classes=args.classes,
        confidence=confidence,
        clusters=args.clusters,
        alike=args.alike,
    )


def _of_files(args: argparse.Namespace, metric: str | None, files: list[Path], confidence: float) -> Plan:
    from mlops_toolkit.predictions.pair import pair
    from mlops_toolkit.predictions.samples import sample
    from mlops_toolkit.predictions.stream import whole
    from mlops_toolkit.stats.metrics import resolve
    from mlops_toolkit.stats.paired import paired

    tables = [
        whole.read(path, why="mlops power", times=len(files), task=args.task, positive=args.positive, name=path.name) for path in files
    ]
    request = requests.metric(metric or ("accuracy" if tables[0].task == "classification" else "mae"))
    columns = (request.argument,) if request.family in ("mean", "quantile") and request.argument else ()
    if len(tables) == 1:
        rows = sample(tables[0], columns)
        return plans.of_one(resolve(request, labels=rows.labels, where="--metric"), rows, confidence)
    both = pair(tables[0], tables[1], salt=None, columns=columns)
    made = resolve(request, labels=both.head.labels, where="--metric")
    return plans.of_two(made, paired(made, both.baseline, both.head, confidence=confidence), confidence)


def _of_history(args: argparse.Namespace, world: World, metric: str, confidence: float) -> Plan:
    loaded = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    if len(loaded) > 1:
        raise UsageError("several-models", f"{len(loaded)} models are configured", hint="say which: --config FILE")
    one = loaded[0]
    history = world.history(one.folder / ".mlops", one.config.history.at)
    key = key_of(one.where, one.config.name, world.context.matrix)
    checks: list[Check] = []
    # A stranger's models are no guide to how the next two will differ, and anybody can send as many as they like.
    judged = [entry for entry in reversed(history.entries()) if entry.key == key and entry.gate is not None and entry.status != "judged"]
    for entry in judged[: 3 * plans.LATEST]:
        result = history.result(entry.id)
        checks += result.checks if result is not None else ()
    return plans.recorded(metric, checks, confidence)


def _margin(args: argparse.Namespace, plan: Plan, loaded: read.Loaded | None) -> float | None:
    """The margin asked about: the command line's, else the gate's; none where a number of examples is asked about."""
    if args.margin:
        try:
            margin: Margin | None = Margin.parse(args.margin)
        except ValueError as error:
            raise UsageError("wrong-value", str(error), where="--margin") from error
    else:
        margin = _gated(loaded.config, plan.metric) if loaded and args.examples is None else None
    if margin is None:
        return None
    value = margin.of(plan.value)
    if value is None:
        raise UsageError(
            "wrong-value",
            f"{margin.text} is a share of the metric's value, which is not known",
            where="--margin",
            hint="write it as 1pp, or add --accuracy",
        )
    if value <= 0:
        raise UsageError(
            "wrong-value", "a margin of 0 is never shown to be kept, whatever the number of examples", where="--margin", hint="like 1pp"
        )
    return value


def _gated(config: Config, metric: str) -> Margin | None:
    rule = config.gate.get(metric)
    return (rule.max_drop or rule.max_rise) if rule else None


def _lines(found: answers.Answer) -> list[tuple[str, list[int], list[float]]]:
    made = []
    for i, power in enumerate(answers.POWERS):
        points = [(row.n, m) for row in found.rows if (m := row.margins[i]) is not None]
        made.append((f"{power * 100:g} % of harmless changes pass", [n for n, _ in points], [m for _, m in points]))
    return made


def _caption(found: answers.Answer) -> str:
    return f"{found.plan.metric}: the margin that a test set decides"


def _point(found: answers.Answer) -> tuple[int, float] | None:
    return (found.n, found.margin) if found.n is not None and found.margin is not None else None
