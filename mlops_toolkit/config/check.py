"""What cannot be meant though each value has the right shape: keys that contradict each other, margins that gate nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlops_toolkit.config.check_deploy import deploy
from mlops_toolkit.config.check_rules import accepted, limits
from mlops_toolkit.config.measures import bounded_fraction, direction, metric_direction, statistic
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.quantities import Better
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, Evaluate, Suite, Train
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import Problem
from mlops_toolkit.plug import did_you_mean

MOST_SEEDS = 100
Found = Iterator[tuple[str, Problem]]  # (dotted key, problem without a place)


def check(config: Config) -> Found:
    """Every contradiction of a configuration, with the dotted key it stands at."""
    yield from _model(config)
    if config.evaluate is not None:
        yield from _evaluate(config.evaluate, recorded=config.model is not None)
    for name, rule in config.gate.items():
        yield from _rule(name, rule, config)
        yield from _against(name, rule, config)
    yield from _called(config)
    yield from _names(config)
    yield from _publish(config)
    yield from deploy(dict(config.deploy))
    yield from accepted(config)


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
        yield from _seeds(config.train, config.evaluate)


def _seeds(train: Train, evaluate: Evaluate | None) -> Found:
    if not train.seeds:
        return
    if train.seed is not None:
        yield (
            "train.seed",
            Problem("seed-and-seeds", "both `seed` and `seeds` are given", hint="keep `seeds`: its first one's model is the model"),
        )
    if (twice := next((seed for i, seed in enumerate(train.seeds) if seed in train.seeds[:i]), None)) is not None:
        yield (
            "train.seeds",
            Problem("duplicate-seed", f"train.seeds names {twice} twice: that would train the same again", hint="remove one"),
        )
    if len(train.seeds) > MOST_SEEDS:
        yield (
            "train.seeds",
            Problem("too-many-seeds", f"train.seeds has {len(train.seeds)}, at most {MOST_SEEDS} count", hint="three to five tell much"),
        )
    suites = evaluate.suites or {"": evaluate} if evaluate else {}
    for name, suite in suites.items():
        if not suite.run and len(train.seeds) > 1:
            place = f"evaluate.suites.{name}" if name else "evaluate"
            message = f"{place} reads what training wrote, and each seed's training writes it anew"
            yield f"{place}.run", Problem("seeds-need-evaluation", message, hint="add `run: python evaluate.py`: it runs once a seed")


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
        if request.own:
            continue
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
    reported = bool(
        suite is None or suite.metrics_file or metric in config.measures or name in config.measures or rule.better or statistic(metric)
    )
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
    yield from limits(path, metric, rule, better, fraction=computed and bounded_fraction(metric))


GATE = "gate"
LIKE_A_PART = re.compile(r".* \[.*\]|.* against \S+", re.DOTALL)  # `accuracy [language=de]`, `recall gap [sex]`, `accuracy against release`


def _called(config: Config) -> Found:
    """No metric or measure is called like the whole gate, or like a part of another one's checks: `accepted:` could mean either."""
    suites = (config.evaluate.suites or {"": config.evaluate}) if config.evaluate is not None else {}
    listed = {
        f"{suite}/{one.name}" if suite else one.name: (f"evaluate{f'.suites.{suite}' if suite else ''}.metrics[{i}]", one)
        for suite, each in suites.items()
        for i, one in enumerate(each.metrics)
    }
    usual = {
        name
        for name, (_, one) in listed.items()
        if not one.own and one.name.rpartition("/")[2] in (one.family, f"{one.family}:{one.argument}")
    }
    places = {**{name: f"measures.{name}" for name in config.measures}, **{name: f"gate.{name}" for name in config.gate}}
    places |= {name: path for name, (path, _) in listed.items()}
    for name, path in places.items():
        if name == GATE:
            message = "a metric or measure cannot be called gate: in `accepted:` that is the gate as a whole"
        elif LIKE_A_PART.fullmatch(name) and name not in usual and name.partition(":")[0] not in FAMILIES:
            message = f"a metric or measure cannot be called {shown(name)}: so are called the checks of its slices, gaps and releases"
        else:
            continue
        yield path, Problem("invalid-name", message, hint="give it another name (of a metric: `name: …`)")


PINNED = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
MAIN, RELEASE = "main", "release"
# What is no tag but a slip; `release-1.2` may be one.
SLIPS = frozenset({"relase", "realease", "releas", "relesae", "releases", "released", "last-release", "latest", "latest-release"})


def _names(config: Config) -> Found:
    """`against:` names what git and the history can be asked for, each once."""
    for i, name in enumerate(config.against):
        if not PINNED.fullmatch(name):
            hint = "write main, release, a run's id, a tag or a commit"
            yield f"against[{i}]", Problem("wrong-value", f"against cannot be held against {shown(name)}", hint=hint)
        elif name in config.against[:i]:
            yield f"against[{i}]", Problem("duplicate-against", f"against names {shown(name)} twice", hint="remove one")
        elif name.casefold() in SLIPS:
            yield f"against[{i}]", Problem("unknown-against", f"against names {shown(name)}", hint=f'did you mean "{RELEASE}"?')


def _against(metric: str, rule: Rule, config: Config) -> Found:
    """Margins of their own are of something that `against:` lists: nothing is implied, so that the list says all that is held against."""
    for name in rule.against:
        path = f"gate.{metric}.against.{name}"
        if name == MAIN:
            message = f"{path}: what is allowed against the baseline stands in gate.{metric} itself"
            yield path, Problem("against-unlisted", message, hint=f"move it to gate.{metric}")
        elif name not in config.against:
            listed = [one for one in config.against if one != MAIN]
            near = did_you_mean(name, listed) if listed else ""
            hint = near if near.startswith("did") else f"add it: against: [{', '.join(dict.fromkeys((MAIN, *config.against, name)))}]"
            yield path, Problem("against-unlisted", f"gate.{metric} names {shown(name)}, which `against` does not list", hint=hint)


OF_IMAGES = ("base", "python", "packages", "system_packages", "dockerfile", "mirrors")


def _publish(config: Config) -> Found:
    """What says nothing of an artifact, and what cannot be an image's."""
    publish = config.publish
    for key in OF_IMAGES if publish.as_ == "artifact" else ():
        if getattr(publish, key):
            written = key.replace("_", "-")
            message = f"publish.{written} is of an image, and publish.as is artifact: the model alone"
            yield f"publish.{written}", Problem("of-an-image", message, hint="remove it, or publish `as: image`")
    if publish.dockerfile and publish.system_packages:
        message = "publish has a `dockerfile` and `system-packages` beside it"
        yield "publish.system-packages", Problem("dockerfile-and-packages", message, hint="install them in the Dockerfile")
    if not publish.tags:
        yield "publish.tags", Problem("wrong-value", "publish.tags is empty: nothing would say which image is which", hint="leave it out")
    if publish.scan is not None and "{image}" not in publish.scan:
        hint = 'write {image} where it takes the image: "trivy image --exit-code 1 {image}"'
        yield "publish.scan", Problem("no-image-in-scan", "publish.scan does not say where the image goes", hint=hint)


def _near(word: str, known: Sequence[str], *, then: str) -> str:
    """`did you mean "accuracy"?` and how to go on; empty where nothing is near."""
    hint = did_you_mean(word, known)
    return f"{hint}{then}" if hint.startswith("did") else ""


def _family_direction(metric: str, suite: Suite | None) -> Better | None:
    for request in suite.metrics if suite else ():
        if request.name == metric:
            return request.better or metric_direction(request.family)
    row = FAMILIES.get(metric.partition(":")[0])
    return row.better if row else None
