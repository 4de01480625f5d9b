"""The legs of a job's matrix, and whether two of them would take each other's run for their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from mlops_toolkit.config.yaml_text import Listing, Node, Scalar, Table
from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import Job, Step

Leg = Mapping[str, Any]  # axis -> a text, list or mapping of them

MOST_LEGS = 256  # GitHub starts no more
BRACES = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
REFERENCE = re.compile(r"\bmatrix((?:\.[\w-]+|\[\s*'[^']*'\s*\])+)")
WHOLE = re.compile(r"\bmatrix\b(?!\s*[.\[])|strategy\.job-index")


class _Unknown(dict[str, Any]):
    """What an expression yields that is known at run time only: number `leg` of at least two, whatever is asked of it."""

    def __init__(self, leg: str) -> None:
        super().__init__()
        self.leg = leg

    def __repr__(self) -> str:
        return self.leg


def legs(matrix: Node) -> Sequence[Leg]:
    """The combinations as GitHub makes them; an axis or a list that an expression gives stands for two that differ."""
    if not isinstance(matrix, Table):
        return [_Unknown("0"), _Unknown("1")]
    axes: dict[str, Sequence[Any]] = {}
    for key, (_, node) in matrix.entries.items():
        if key not in ("include", "exclude"):
            axes[key] = [_plain(item) for item in node.items] if isinstance(node, Listing) else [_Unknown("0"), _Unknown("1")]
    excluded = _entries(matrix, "exclude")
    combined = [dict(zip(axes, values, strict=True)) for values in islice(product(*axes.values()), MOST_LEGS)] if axes else []
    made: list[dict[str, Any]] = [leg for leg in combined if not any(_within(entry, leg) for entry in excluded)]
    originals, alone = [dict(leg) for leg in made], list[dict[str, Any]]()
    for entry in _entries(matrix, "include"):
        fits = [i for i, leg in enumerate(originals) if not isinstance(entry, _Unknown) and _within(entry, leg, only=axes)]
        for i in fits:
            made[i] |= entry
        if not fits:
            alone.append(entry)
    return [*made, *alone][:MOST_LEGS]


def findings(job: Job) -> Iterator[Finding]:
    """A problem at the first step of ours that several legs run with the same configuration and no leg of their own."""
    if job.matrix is None:
        return
    found = legs(job.matrix)
    for step in job.steps:
        if step.action is None or len({_rendered(step, leg) for leg in found}) == len(found):
            continue
        names = [name for name in _names(job.matrix, found) if not _refers(step, name)]
        leg = "-".join(f"${{{{ matrix.{name} }}}}" for name in names) or "${{ strategy.job-index }}"
        yield Finding(
            "problem",
            f"several legs of the job {job.id}'s matrix run {step.given.get('config') or 'mlops.yaml'}: each would take another's run, section "
            "and check for its own",
            f"{step.uses or step.action}:\n  with:\n    matrix: {leg}\nat each step of this job that uses an action of ours",
            code=2,
            where=f"{job.where}:{step.line}",
        )
        return


def _rendered(step: Step, leg: Leg) -> tuple[str, str]:
    """What tells a leg from others: the step's configuration and its `matrix`."""

    def value(match: re.Match[str]) -> str:
        return repr(_dig(leg, re.findall(r"[\w-]+", match[1])))

    def expression(match: re.Match[str]) -> str:
        return WHOLE.sub(repr(leg) if not isinstance(leg, _Unknown) else leg.leg, REFERENCE.sub(value, match[1]))

    config, matrix = (BRACES.sub(expression, step.given.get(name, "")) for name in ("config", "matrix"))
    return config, matrix


def _dig(value: Any, path: Iterable[str]) -> Any:
    for key in path:
        if isinstance(value, _Unknown):
            return value
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return value


def _names(matrix: Node, found: Sequence[Leg]) -> list[str]:
    """The axes that tell legs apart by a plain text."""
    keys = {key: None for leg in found for key in leg}
    if isinstance(matrix, Table):
        keys |= {key: None for key, (_, node) in matrix.entries.items() if key not in ("include", "exclude")}
    return [
        key
        for key in keys
        if all(isinstance(leg.get(key, ""), str | _Unknown) for leg in found) and len({repr(leg.get(key)) for leg in found}) > 1
    ]


def _refers(step: Step, name: str) -> bool:
    return any(re.search(rf"matrix\.{re.escape(name)}\b", step.given.get(key, "")) for key in ("config", "matrix"))


def _within(entry: Mapping[str, Any], leg: Leg, only: Iterable[str] | None = None) -> bool:
    """Whether a leg has what an entry says (of the axes `only`)."""
    keys = [key for key in entry if only is None or key in only]
    return all(key in leg and leg[key] == entry[key] for key in keys)


def _entries(matrix: Table, key: str) -> list[dict[str, Any]]:
    node = matrix.entries.get(key, (0, None))[1]
    if isinstance(node, Listing):
        return [entry for entry in map(_plain, node.items) if isinstance(entry, dict)][:MOST_LEGS]
    return [_Unknown("0"), _Unknown("1")] if isinstance(node, Scalar) and node.given and key == "include" else []


def _plain(node: Node) -> Any:
    if isinstance(node, Table):
        return {key: _plain(value) for key, (_, value) in node.entries.items()}
    return [_plain(item) for item in node.items] if isinstance(node, Listing) else node.text
