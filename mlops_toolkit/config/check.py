"""What cannot be meant though each value has the right shape: keys that contradict each other, margins that gate nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlops_toolkit.config.measures import bounded_fraction, direction
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.quantities import Better, Margin
from mlops_toolkit.config.rules import Accepted, Rule, SliceRule
from mlops_toolkit.config.schema import Config, Evaluate, Suite
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import Problem
from mlops_toolkit.plug import did_you_mean

WIDE = 0.1  # a tenth of a share's range
Found = Iterator[tuple[str, Problem]]  # (dotted key, problem without a place)


def check(config: Config) -> Found:
    """Every contradiction of a configuration, with the dotted key it stands at."""
    yield from _model(config)
    if config.evaluate is not None:
        yield from _evaluate(config.evaluate, recorded=config.model is not None)
    for name, rule in config.gate.items():
        yield from _rule(name, rule, config)
    yield from _accepted(config)


def suite_of(name: str, evaluate: Evaluate | None) -> tuple[str, str, Suite | None]:
    """A gate's key as (suite, metric, the suite's definition): `safety/refusal-rate` where suites are defined, else ("", name, …)."""
    if evaluate is None or not evaluate.suites:
        return "", name, evaluate
    suite, slash, metric = name.partition("/")
    return (suite, metric, evaluate.suites[suite]) if slash and suite in evaluate.suites else ("", name, None)


def _model(config: Config) -> Found:
    if config.train is not None and config.model is not None:
        yield (
            "model",
            Problem(
                "train-and-model",
                "both `train` and `model` are given",
                hint="keep `train` (made here) or `model` (a pointer to one trained elsewhere)",
            ),
        )
    if config.train is not None:
        parts = [part for part in config.train.output.split("/") if part not in ("", ".")]
        if config.train.output and (not parts or parts[0] in (".git", ".mlops")):
            message = f"train.output cannot be {shown(config.train.output)}: it is stored whole, as the model"
            yield "train.output", Problem("wrong-value", message, hint="name the file or folder that holds only the model, like model/")


def _evaluate(evaluate: Evaluate, *, recorded: bool) -> Found:
    """recorded: a model from elsewhere comes with what it answered, so that nothing need be run here."""
    if evaluate.suites:
        for key in ("run", "metrics", "predictions", "metrics_file", "task", "slices", "data", "inputs", "measures", "positive", "timeout"):
            if getattr(evaluate, key):
                written = key.replace("_", "-")
                hint = f"move `{written}` into each suite"
                yield f"evaluate.{written}", Problem("mixed-suites", f"evaluate has `suites` and `{written}` beside them", hint=hint)
    else:
        yield from _suite(evaluate, "evaluate", recorded=recorded)
    for name, suite in evaluate.suites.items():
        path = f"evaluate.suites.{name}"
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            yield path, Problem("invalid-name", f"a suite cannot be called {shown(name)}", hint="use letters, digits, - and _")
        yield from _suite(suite, path, recorded=recorded)


def _suite(suite: Suite, path: str, *, recorded: bool) -> Found:
    if not (suite.run or suite.predictions or suite.metrics_file or recorded):
        message, hint = f"{path} does nothing: it has no `run`", "add `run: python evaluate.py`, or `predictions:` if training writes them"
        yield f"{path}.run", Problem("nothing-to-evaluate", message, hint=hint)
    seen: dict[str, str] = {}
    for i, request in enumerate(suite.metrics):
        if request.name in seen:
            hint = "remove one, or give one another name: {mean: COLUMN, name: …, better: …}"
            yield f"{path}.metrics[{i}]", Problem("duplicate-metric", f"{path}.metrics names {shown(request.name)} twice", hint=hint)
        seen[request.name] = request.family
        tasks = FAMILIES[request.family].tasks
        if suite.task is not None and suite.task not in tasks:
            message = f"{request.family} is a metric of {' and '.join(tasks)}, and the task is {suite.task}"
            fitting = [name for name, row in FAMILIES.items() if suite.task in row.tasks]
            yield f"{path}.metrics[{i}]", Problem("wrong-task", message, hint=f"of {suite.task}: {', '.join(fitting)}")
    names = [request.name for request in suite.slices]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield f"{path}.slices[{i}]", Problem("duplicate-slice", f"{path}.slices names {shown(name)} twice", hint="remove one")
    if suite.positive is not None and suite.task == "regression":
        yield f"{path}.positive", Problem("wrong-task", "`positive` names a class, and the task is regression", hint="remove it")


def _rule(name: str, rule: Rule, config: Config) -> Found:
    path = f"gate.{name}"
    suite_name, metric, suite = suite_of(name, config.evaluate)
    listed = [request.name for request in suite.metrics] if suite else []
    family = FAMILIES.get(metric.partition(":")[0])
    reported = bool(suite is None or suite.metrics_file or metric in config.measures or name in config.measures or rule.better)
    if config.evaluate is not None and config.evaluate.suites and not suite_name and name not in config.measures:
        known = [f"{s}/{request.name}" for s, one in config.evaluate.suites.items() for request in one.metrics]
        hint = did_you_mean(name, known) if known else f"write {next(iter(config.evaluate.suites))}/{name}"
        yield path, Problem("gate-unlisted", f"the gate names {shown(name)}, which is of no suite", hint=hint)
        return
    if family is not None and listed and metric not in listed and not reported:
        place = f"evaluate.suites.{suite_name}.metrics" if suite_name else "evaluate.metrics"
        hint = f'{_near(metric, listed, then=" Or ")}add "{metric}" to {place}'
        yield path, Problem("gate-unlisted", f"the gate names {shown(metric)}, which {place} does not list", hint=hint)
        return
    better = direction(name, config)
    if better is None:
        hint = (
            f"{_near(metric, listed or list(FAMILIES), then=' If it is a measure, ')}add `better: higher` or `better: lower` to gate.{name}"
        )
        yield path, Problem("direction-unknown", f"nobody said whether a higher or a lower {shown(name)} is better", hint=hint)
    elif rule.better is not None and (own := _family_direction(metric, suite)) not in (None, rule.better):
        yield (
            f"{path}.better",
            Problem("wrong-direction", f"a {own} {metric} is better, not a {rule.better} one", hint="leave `better` out"),
        )
    computed = suite is not None and not suite.metrics_file and name not in config.measures
    yield from _limits(path, metric, rule, better, fraction=computed and bounded_fraction(metric))
    if rule.slices is not None:
        yield from _limits(f"{path}.slices", metric, rule.slices, better, fraction=computed and bounded_fraction(metric))
        if rule.slices == SliceRule(must=rule.slices.must):
            hint = "write slices: {max-drop: 3pp}"
            yield f"{path}.slices", Problem("gates-nothing", f"{path}.slices allows anything", hint=hint)
    if rule == Rule(better=rule.better, severity=rule.severity):
        hint = f"write {name}: {{{'max-rise: 10%' if better == 'lower' else 'max-drop: 1pp'}}}"
        yield path, Problem("gates-nothing", f"{path} allows anything: it has no max-drop, max-rise, min or max", hint=hint)


def _near(word: str, known: Sequence[str], *, then: str) -> str:
    """`did you mean "accuracy"?` and how to go on; empty where nothing is near."""
    hint = did_you_mean(word, known)
    return f"{hint}{then}" if hint.startswith("did") else ""


def _family_direction(metric: str, suite: Suite | None) -> Better | None:
    for request in suite.metrics if suite else ():
        if request.name == metric:
            return request.better or FAMILIES[request.family].better
    row = FAMILIES.get(metric.partition(":")[0])
    return row.better if row else None


def _limits(path: str, metric: str, rule: Rule | SliceRule, better: Better | None, *, fraction: bool) -> Found:
    for key, margin, fitting in (("max-drop", rule.max_drop, "higher"), ("max-rise", rule.max_rise, "lower")):
        if margin is None:
            continue
        if better is not None and better != fitting:
            other = "max-rise" if key == "max-drop" else "max-drop"
            message = f"a {better} {metric} is better: {key} would forbid it to improve"
            yield f"{path}.{key}", Problem("wrong-direction", message, hint=f"write {other}: {margin.text}")
        if fraction and not margin.relative and margin.value >= WIDE:
            message = f"{key}: {margin.text} allows {metric} to get {margin.value * 100:g} percentage points worse"
            hint = f'did you mean {_narrow(margin)}? If you mean it, say it as a share of the baseline ("{min(margin.value, 1) * 100:g}%") or as `min:`'
            yield f"{path}.{key}", Problem("margin-too-wide", message, hint=hint)
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        yield f"{path}.min", Problem("wrong-value", f"{path}: min {rule.min:g} is above max {rule.max:g}", hint="exchange them")


def _narrow(margin: Margin) -> str:
    """The margin in percentage points that was probably meant: `1` -> 1pp, `0.1` and `10pp` -> 1pp, `5` -> 5pp."""
    plain = margin.text.removesuffix("pp").strip()
    return f"{plain}pp" if not margin.text.endswith("pp") and 1 <= margin.value < WIDE * 100 else "1pp"


def _accepted(config: Config) -> Found:
    seen: set[str] = set()
    for i, one in enumerate(config.accepted):
        path = f"accepted[{i}]"
        if one.check in seen:
            message = f"{shown(one.check)} is accepted twice"
            yield f"{path}.check", Problem("duplicate-accepted", message, hint="keep one entry")
        seen.add(one.check)
        if one.check and one.check != "gate":
            yield from _bound(one, path, config)


def _bound(one: Accepted, path: str, config: Config) -> Found:
    """An accepted regression is bound to a value, on the side that is worse."""
    metric = one.check.partition(" [")[0]
    better = direction(metric, config)
    key, other = ("up-to", "down-to") if better == "lower" else ("down-to", "up-to")
    values: Mapping[str, float | None] = {"down-to": one.down_to, "up-to": one.up_to}
    if one.down_to is None and one.up_to is None:
        message, hint = f"accepting {shown(one.check)} needs the worst value that is accepted", f"add `{key}: 0.941`"
        yield path, Problem("accepted-unbound", message, hint=hint)
    elif values[other] is not None and (better is not None or values[key] is not None):
        message = f"a {better} {metric} is better: {other} binds the wrong side" if better else "down-to and up-to contradict each other"
        yield f"{path}.{other}", Problem("wrong-direction", message, hint=f"write `{key}`" if better else "keep one")
    if metric not in config.gate and config.gate and (near := did_you_mean(metric, config.gate)).startswith("did"):
        yield f"{path}.check", Problem("unknown-check", f"the gate has no {shown(metric)}", hint=near)
