"""From what is to be done about each model to a plan: a document, lines for people, and a matrix for the jobs that follow. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mlops_toolkit.records.plan import Plan, Planned


def identifier(key: str, name: str, matrix: str | None) -> str:
    """`cats-1a2b3c4d`: readable, and unique where names differ only by case or in what a file's name cannot hold."""
    text = "-".join(word for word in (name, matrix) if word)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).lower().strip(".-")
    return f"{safe[:80] or 'model'}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def matrix(plan: Plan) -> str:
    """The models to run as `fromJSON` takes them: one line of JSON."""
    rows = [{"name": m.name, "config": m.config, "reason": m.reason, "id": m.id, "matrix": m.matrix or ""} for m in plan.running]
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":"))


def lines(plan: Plan) -> Sequence[str]:
    """A line a model, as people read it: `cats: unchanged since run … (main a1b2c3d)`."""
    said = [f"{_called(one)}: {'runs, because ' if one.decision == 'run' else ''}{one.reason}" for one in plan.models]
    return [*said, *([plan.notice] if plan.notice else [])]


def _called(one: Planned) -> str:
    return f"{one.name} ({one.matrix})" if one.matrix else one.name
