"""A metric and a slice as a person asks for them, in one line: `recall:spam`, `mean:judge_score better=higher`, `long=length > 512`.

The same functions serve mlops.yaml and the command line. A text that cannot be meant is a UsageError without a place; who
knows the place adds it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import get_args

from mlops_toolkit.config.measures import direction
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.quantities import NUMBER, Better
from mlops_toolkit.config.schema import OWN, Config, MetricRequest, SliceRequest, Suite
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean

LONGEST_NAME = 200
# What people write for what we call otherwise; asked for by these names, the answer is the name to write.
ALIASES: Mapping[str, str] = {
    "acc": "accuracy",
    "auc": "roc-auc",
    "auroc": "roc-auc",
    "rocauc": "roc-auc",
    "ap": "average-precision",
    "auprc": "average-precision",
    "f1-score": "f1",
    "logloss": "log-loss",
    "cross-entropy": "log-loss",
    "r-squared": "r2",
    "matthews": "mcc",
    "cohen-kappa": "kappa",
    "medae": "median-absolute-error",
}


def check_name(text: str, what: str) -> str:
    """The text if it may be a name: one printable line of at most 200 characters. Else a UsageError `invalid-name`."""
    if not text.strip():
        raise UsageError("invalid-name", f"the name of a {what} is empty")
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise UsageError(
            "invalid-name", f"{shown(text)} is not a name for a {what}: one line of at most {LONGEST_NAME} printable characters"
        )
    return text


def metric(text: str, *, options: Mapping[str, str] | None = None) -> MetricRequest:
    """`accuracy`, `recall:spam`, `pinball:0.9`, `mean:judge_score`, `quantile:latency`; options: better, q, name, unit as text."""
    given = dict(options or {})
    family, colon, argument = check_name(text, "metric").partition(":")
    if family == OWN:
        hint = (
            "list it in mlops.yaml: {python: metrics.py:expected_cost, better: lower}; `mlops evaluate` runs it, compare runs nobody's code"
        )
        raise UsageError("own-metric", f"{shown(text)} is a program of your own, and no metric by its name alone", hint=hint)
    row = FAMILIES.get(family)
    if row is None:
        plain = re.sub(r"[^a-z0-9]+", "-", family.casefold())
        known = plain if plain in FAMILIES else ALIASES.get(plain)
        hint = f'did you mean "{known}{colon}{argument}"?' if known else did_you_mean(plain, FAMILIES)
        raise UsageError("unknown-metric", f"there is no metric {shown(family)}", hint=hint)
    if row.argument == "none" and colon:
        raise UsageError("unwanted-argument", f"{family} takes no argument, here {shown(argument)}", hint=f"write {family}")
    if not argument and (colon or row.argument in ("class", "quantile", "column")):
        raise UsageError("missing-argument", f"{family} needs a {row.argument.rstrip('?')}", hint=f"write {_example(family)}")
    if row.argument == "quantile":
        quantile(argument, f"the quantile of {family}")
    return _with_options(text, family, argument or None, given)


def own(text: str, options: Mapping[str, str]) -> MetricRequest:
    """`metrics.py:expected_cost`, a function of the user's; options: better (needed), name, unit, groups as text."""
    given = dict(options)
    found = re.fullmatch(r"(?P<file>[^:\s~/][^:\n]*\.py):(?P<function>[A-Za-z_]\w*)", check_name(text, "metric"))
    if found is None or ".." in found["file"].split("/"):
        hint = "like metrics.py:expected_cost, the path relative to mlops.yaml"
        raise UsageError("wrong-value", f"{shown(text)} names no function in a Python file of this repository", hint=hint)
    better = given.pop("better", None)
    if better not in get_args(Better):
        said = "nobody said whether a higher or a lower" if better is None else f"better is {shown(better)}: is a higher or a lower"
        raise UsageError("direction-unknown", f"{said} {found['function']} is better", hint="add better: higher or better: lower")
    name, unit, groups = (given.pop(key, None) for key in ("name", "unit", "groups"))
    if given:
        known = ("better", "name", "unit", "groups")
        raise UsageError(
            "unknown-key", f"a metric of your own has no {shown(next(iter(given)))}", hint=did_you_mean(next(iter(given)), known)
        )
    if groups is not None and not (re.fullmatch(r"[0-9]{1,4}", groups) and 10 <= int(groups) <= 1000):
        raise UsageError("wrong-value", f"groups should be a number from 10 to 1000, is {shown(groups)}")
    return MetricRequest(
        check_name(name if name is not None else found["function"], "metric"),
        OWN,
        argument=text,
        better="higher" if better == "higher" else "lower",
        unit=check_name(unit, "unit") if unit is not None else None,
        groups=int(groups) if groups is not None else None,
    )


def _with_options(text: str, family: str, argument: str | None, given: dict[str, str]) -> MetricRequest:
    """The request of a checked family and argument, completed by its options."""
    row = FAMILIES[family]
    better = _better(given.pop("better", None), family, argument)
    asked = given.pop("q", None)
    if asked is not None and family != "quantile":
        raise UsageError("unwanted-argument", f"{family} takes no q", hint="q belongs to {quantile: COLUMN, q: 0.95, …}")
    if asked is None and family == "quantile":
        raise UsageError("missing-argument", "quantile needs q, the quantile between 0 and 1", hint="add q: 0.95")
    q = quantile(asked, "q") if asked is not None else None
    name, unit = given.pop("name", None), given.pop("unit", None)
    if given:
        raise UsageError(
            "unknown-key",
            f"a metric has no {shown(next(iter(given)))}",
            hint=did_you_mean(next(iter(given)), ("better", "q", "name", "unit")),
        )
    if unit is not None:
        check_name(unit, "unit")
    usual = {"mean": argument, "quantile": f"p{(q or 0) * 100:g}:{argument}"}.get(family) if row.argument == "column" else text
    return MetricRequest(
        check_name(name, "metric") if name is not None else usual or text, family, argument=argument, better=better, q=q, unit=unit
    )


def quantile(text: str, what: str) -> float:
    """A number strictly between 0 and 1."""
    value = float(text) if re.fullmatch(NUMBER, text) else -1.0
    if not 0 < value < 1:
        raise UsageError("wrong-value", f"{what} should be a number between 0 and 1, is {shown(text)}", hint="like 0.95")
    return value


def _better(text: str | None, family: str, argument: str | None) -> Better | None:
    """The direction said, checked against the family's own; for a column, else what its name tells."""
    row = FAMILIES[family]
    if text is not None and text not in get_args(Better):
        raise UsageError("wrong-value", f"better should be higher or lower, is {shown(text)}")
    said: Better | None = "higher" if text == "higher" else "lower" if text == "lower" else None
    if row.better is not None:
        if said not in (None, row.better):
            raise UsageError("wrong-direction", f"a {row.better} {family} is better, not a {said} one", hint="leave `better` out")
        return None
    found = said or direction(argument or "")
    if found is None:
        raise UsageError(
            "direction-unknown",
            f"nobody said whether a higher or a lower {shown(argument or '')} is better",
            hint=f"in mlops.yaml {{{family}: {argument}, {'q: 0.95, ' if family == 'quantile' else ''}better: higher}} (or lower), on the command line {shown(f'{family}:{argument} better=higher')}",
        )
    return found


def _example(family: str) -> str:
    return {
        "pinball": "pinball:0.9",
        "mean": "{mean: COLUMN, better: higher}",
        "quantile": "{quantile: COLUMN, q: 0.95, better: lower}",
    }.get(family, f"{family}:CLASS, or {family}")


def slice_column(text: str) -> SliceRequest:
    """Every value of a column is a slice."""
    return SliceRequest(check_name(text, "slice"), column=text)


def slice_where(name: str, condition: str) -> SliceRequest:
    """A named condition on columns; its grammar is checked by `predictions`, which knows the columns."""
    if not condition.strip() or len(condition) > 1000 or not condition.isprintable():
        raise UsageError(
            "wrong-value", f"the slice {shown(name)} needs a condition in one line, is {shown(condition)}", hint='like "length > 512"'
        )
    return SliceRequest(check_name(name, "slice"), where=condition)


def columns(config: Config, name: str, suite: Suite) -> tuple[str, ...]:
    """The columns that a suite's metrics take means and quantiles of: those listed, and where none are those that the gate names."""
    return read_by(suite.metrics or gated(config, name))


def read_by(metrics: Iterable[MetricRequest]) -> tuple[str, ...]:
    """The columns that metrics take means and quantiles of, each once."""
    return tuple(dict.fromkeys(m.argument for m in metrics if m.argument and m.family in ("mean", "quantile")))


def apart(config: Config, name: str) -> frozenset[str]:
    """The columns by whose groups a gap of this suite's metrics is judged."""
    return frozenset(column for key, rule in config.gate.items() if key.rpartition("/")[0] == name for column in rule.gap)


def gated(config: Config, name: str) -> tuple[MetricRequest, ...]:
    """The metrics of a suite that the gate names and we know how to compute."""
    found: list[MetricRequest] = []
    for key in config.gate:
        suite, _, short = key.rpartition("/")
        if suite == name and key not in config.measures:
            with contextlib.suppress(UsageError):  # a number of a metrics file
                found.append(metric(short))
    return tuple(found)
