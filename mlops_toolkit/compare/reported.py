"""What a reader must know of numbers that were not computed here, and of a model that was chosen from many. Pure."""

from __future__ import annotations

from datetime import date

from mlops_toolkit.config.measures import bounded_fraction
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate.acceptance import accepts_gate
from mlops_toolkit.records.run import Run
from mlops_toolkit.report import words
from mlops_toolkit.stats.best_of import flattery

HEAD = "the numbers of this run are as recorded by whoever trained it, not computed here"
BASE = "the baseline's numbers are as recorded by whoever trained it, not computed here"


def refused(head: Run | None, config: Config, base_config: Config | None, today: date) -> UsageError | None:
    """Why the head's numbers do not count; None where they do. What the base branch refuses, a pull request does not allow itself."""
    if head is None or not head.self_reported or head.elsewhere is None:
        return None
    held = (
        base_config is not None and base_config.self_reported == "refuse" and not accepts_gate(config.accepted, today, base_config.accepted)
    )
    if not held and config.self_reported != "refuse":
        return None
    whose = "the base branch's mlops.yaml" if held else "mlops.yaml"
    hint = "let them be computed here\nevaluate: {run: python evaluate.py}   # for the model at $MLOPS_MODEL"
    return UsageError(
        "self-reported", f"the numbers of run {head.id} are as they were recorded, and {whose} says `self-reported: refuse`", hint=hint
    )


def notes(head: Run | None, base: Run | None, config: Config, base_config: Config | None = None) -> tuple[str, ...]:
    """Sentences for the comment."""
    said = []
    if head is not None and head.self_reported:
        if base_config is not None and base_config.self_reported == "refuse":  # and it was said yes to: see `refused`
            said.append("gate loosened: self-reported refuse → allow")
        said.append(HEAD + (f": {head.reason}" if head.reason else ""))
    if base is not None and base.self_reported:
        # `mlops history push` sends the numbers of an evaluation on somebody's own machine, too.
        said.append(BASE if base.elsewhere else "the baseline's numbers were computed on somebody's own machine, not in a CI")
    tried = head.elsewhere.tried if head is not None and head.elsewhere else 1
    if head is not None and tried > 1:
        said.append(f"the best of {tried:,} was chosen{_flattered(head, tried, config)}")
    return tuple(said)


def _flattered(head: Run, tried: int, config: Config) -> str:
    """`: if these examples chose it, that alone flatters accuracy by up to about 0.9 pp`, of the first metric that has a standard error."""
    sure = {name: metric.standard_error for name, metric in head.metrics.items() if metric.standard_error}
    name = next((name for name in (*config.gate, *sure) if name in sure), None)
    if name is None:
        return ""
    by = words.alone(flattery(tried, sure[name] or 0.0), None, None, "fraction" if bounded_fraction(name) else "").removeprefix("+")
    return f": if these examples chose it, that alone flatters {name} by up to about {by}"
