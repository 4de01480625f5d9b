"""What metrics that are the user's own programs were made of, as a run's record keeps it: a changed program is a reason to compute them again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_toolkit.config.schema import Suite
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.files import sha256

KIND = "metric"  # in Evaluation.reads: `metric:metrics.py`, with its sha256


def reads(files: Mapping[str, str]) -> dict[str, str]:
    """As the record keeps it. files: path from the repository's top -> sha256."""
    return {f"{KIND}:{path}": digest for path, digest in files.items()}


def lacking(run: Run, suites: Mapping[str, Suite], root: Path) -> str | None:
    """Why a run's own metrics are not those that would be computed now, as a clause. A file that is not here cannot be seen to differ."""
    for name, suite in suites.items():
        for request in suite.metrics:
            full = f"{name}/{request.name}" if name else request.name
            value = run.metrics.get(full) if request.own else None
            if request.own and (value is None or value.signature.rpartition("@")[0] != f"python:{request.argument}"):
                return f"it has no {full} by {request.argument}"
        if any(request.own for request in suite.metrics):
            kept = run.evaluations[name].reads if name in run.evaluations else {}
            files = {key.partition(":")[2]: digest for key, digest in kept.items() if key.startswith(f"{KIND}:")}
            if changed := next((path for path, digest in files.items() if (root / path).is_file() and sha256(root / path) != digest), None):
                return f"{changed}, which a metric is made of, changed"
    return None


def own(run: Run) -> dict[str, str]:
    """A run's own metrics, each with the signature that tells its program."""
    return {name: one.signature for name, one in run.metrics.items() if one.signature.startswith("python:")}


def redefined(base: Run, source: Run) -> list[str]:
    """The own metrics that two runs both have by different programs, as clauses."""
    return [
        f"{name} is another program" for name, one in own(source).items() if name in base.metrics and base.metrics[name].signature != one
    ]
