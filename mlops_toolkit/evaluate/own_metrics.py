"""Metrics that are functions of the user's: run by the user's Python, here where the user's code runs anyway, and never in compare.

For their interval the examples fall into groups (whole clusters, else single ids), dealt out in the order of a hash of the id: the same
groups whatever the order of the rows and the machine. The function is asked for its value on all rows and without each group.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.config.schema import MetricRequest, Suite
from mlops_toolkit.errors import CommandFailed, EnvironmentFailure, InvalidFile
from mlops_toolkit.evaluate import own_script
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.predictions.score import Scored
from mlops_toolkit.predictions.slices import masks
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import LARGEST, MetricValue
from mlops_toolkit.stats import jackknife
from mlops_toolkit.system import supervise, user_python
from mlops_toolkit.system.files import sha256

GROUPS = 100
LIMIT = 600.0  # seconds, where the suite has no time limit
LOG = "log-metrics.txt"


@dataclass(frozen=True)
class Groups:
    """Which group each row is in, of `count`; digest: of which units, in how many groups."""

    of_row: Sequence[int]
    count: int
    digest: str


def with_own(scored: Scored, job: Job, suite_name: str, table: Table, *, run_dir: Path, env: Mapping[str, str], data: str) -> Scored:
    """The suite's numbers with those of its own functions. data: the digest of ids and targets.

    CommandFailed `own-metric-failed` names file, function and group; `time-limit` and the like as for every command.
    """
    suite = job.suites[suite_name]
    asked = [request for request in suite.metrics if request.own]
    if not asked:
        return scored
    groups = {request.name: grouped(table, request.groups or GROUPS, data) for request in asked}
    slices = [(label, mask) for label, mask in (masks(table.frame, suite.slices) if suite.slices else ())]
    found = _run(job, suite_name, suite, asked, table, groups, slices, run_dir, env)
    signatures = {request.name: _signature(request, found["files"], job.world.root) for request in asked}

    def value(request: MetricRequest, place: str, n: int) -> MetricValue:
        one = found["values"][request.name][place]
        left = tuple(one["left"])
        return MetricValue(
            one["value"],
            n,
            signatures[request.name],
            request.better or "higher",
            jackknife.error(left),
            "ok" if one["value"] is not None else "undefined",
            left,
            groups[request.name].digest,
        )

    def full(request: MetricRequest) -> str:
        return f"{suite_name}/{request.name}" if suite_name else request.name

    return replace(
        scored,
        metrics={**scored.metrics, **{full(r): value(r, "", table.n) for r in asked}},
        slices={
            **scored.slices,
            **{
                label: {**scored.slices.get(label, {}), **{full(r): value(r, label, int(mask.sum())) for r in asked}}
                for label, mask in slices
            },
        },
        units={**scored.units, **{full(r): r.unit or "" for r in asked}},
    )


def grouped(table: Table, most: int, data: str) -> Groups:
    """The groups of a table's rows: at most `most`, of whole clusters or single ids, as even as can be."""
    keys = (table.frame["cluster"] if "cluster" in table.columns else table.frame["id"]).cast(str).to_list()
    order = sorted({key: hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest() for key in keys}.items(), key=lambda item: item[1])
    count = min(len(order), most)
    place = {key: rank % count for rank, (key, _) in enumerate(order)}
    digest = hashlib.sha256(b"".join(hashed for _, hashed in order) + data.encode()).hexdigest()[:16]
    return Groups([place[key] for key in keys], count, f"{count}:{digest}")


def _signature(request: MetricRequest, files: Sequence[str], root: Path) -> str:
    """The function's name, and a digest of every file of the repository that it was made of."""
    text = "".join(f"{Path(file).relative_to(root.resolve()).as_posix()} {sha256(Path(file))}\n" for file in files)
    return f"python:{request.argument}@{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _run(
    job: Job,
    suite_name: str,
    suite: Suite,
    asked: Sequence[MetricRequest],
    table: Table,
    groups: Mapping[str, Groups],
    slices: Sequence[tuple[str, Any]],
    run_dir: Path,
    env: Mapping[str, str],
) -> dict[str, Any]:
    folder, what = job.loaded.folder, job.place(suite_name, "metrics")
    programs = user_python.candidates(suite.run or "", env, folder)
    if not programs:
        raise EnvironmentFailure("no-python", "there is no Python on PATH to run metrics of your own with", where=job.loaded.at(what))
    room = run_dir / "own"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    try:
        plan, out, log = room / "plan.json", room / "out.json", run_dir / LOG
        plan.write_text(json.dumps(_plan(job, asked, table, groups, slices)), encoding="utf-8")
        command = f"exec {shlex.join([programs[0], own_script.__file__, str(plan), str(out)])}"
        limit = suite.timeout.seconds if suite.timeout else LIMIT
        ended = supervise.run(command, cwd=folder, env=env, log=log, timeout_seconds=limit)
        names = ", ".join(request.argument or request.name for request in asked)
        if error := supervise.trouble(ended, what=f"computing {names}", log=Path(job.shown(log)), where=job.loaded.at(what)):
            if error.name == "time-limit":
                hint = "the function is asked once for every group of examples: `groups: 20` asks less often, `timeout:` gives it longer"
                error.hint = f"{hint}\n{error.hint}"
            raise error
        return _checked(_read(out, names), job.loaded.at(what), groups, {"", *(label for label, _ in slices)})
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _plan(
    job: Job, asked: Sequence[MetricRequest], table: Table, groups: Mapping[str, Groups], slices: Sequence[tuple[str, Any]]
) -> dict[str, Any]:
    metrics = {}
    for request in asked:
        file, _, function = (request.argument or "").rpartition(":")
        one = groups[request.name]
        place = str(job.loaded.folder / file)
        metrics[request.name] = {"file": place, "shown": file, "function": function, "groups": list(one.of_row), "count": one.count}
    columns = {name: table.frame[name].to_list() for name in table.columns if not table.frame[name].dtype.is_nested()}
    return {
        "folder": str(job.loaded.folder),
        "root": str(job.world.root),
        "metrics": metrics,
        "columns": {name: [v if isinstance(v, str | int | float | None) else str(v) for v in values] for name, values in columns.items()},
        "slices": {label: [int(i) for i in mask.nonzero()[0]] for label, mask in slices},
    }


def _read(out: Path, names: str) -> Any:
    try:
        return json.loads(out.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidFile(
            "own-metric-failed", f"computing {names} ended well and left no values", hint="does it end the program itself?"
        ) from error


def _checked(found: Any, where: str, groups: Mapping[str, Groups], places: set[str]) -> dict[str, Any]:
    """What the program left, if it is what only our script leaves: the user's code ran in the same process."""
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        raise CommandFailed(
            "own-metric-failed",
            str(found["error"].get("message"))[:600],
            where=where,
            hint=str(found["error"].get("trace"))[-1500:] or None,
        )

    def fine(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return value is None or (number and math.isfinite(value) and abs(value) <= LARGEST)

    try:
        values = found["values"]
        ok = all(
            fine(one["value"]) and len(one["left"]) == groups[name].count and all(map(fine, one["left"]))
            for name in groups
            for one in values[name].values()
        )
        ok = ok and all(set(values[name]) == places for name in groups) and all(isinstance(file, str) for file in found["files"])
    except (TypeError, KeyError, AttributeError):
        ok = False
    if not ok:
        raise InvalidFile(
            "own-metric-failed", "a metric of your own left values that are none", where=where, hint="numbers up to 1e300, or None"
        )
    return dict(found)
