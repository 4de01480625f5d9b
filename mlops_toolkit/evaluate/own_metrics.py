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
from mlops_toolkit.system.opened import watching

GROUPS, FEWEST_GROUPS = 100, 20  # where `groups:` says nothing
LIMIT = 600.0  # seconds, where the suite has no time limit
LOG = "log-metrics.txt"
CODE = (".py", ".pyc", ".so", ".pyd")

Slices = Sequence[tuple[str, Any]]
Values = Mapping[str, Mapping[str, MetricValue]]  # metric, as its suite calls it -> "" or slice -> value


@dataclass(frozen=True)
class Groups:
    """Which group each row is in, of `count`; digest: of which units, in how many groups."""

    of_row: Sequence[int]
    count: int
    digest: str


@dataclass(frozen=True)
class Place:
    """Whose functions are run: those of the work tree, or of another commit's checkout.

    folder: of the mlops.yaml. root: what belongs to a metric lies below it. tracked: its files, as paths from there
    """

    folder: Path
    root: Path
    env: Mapping[str, str]
    tracked: frozenset[str] = frozenset()

    @property
    def data(self) -> set[Path]:
        """Files that are no code, nor configuration of tools, which anybody may open at any time."""
        root, dull = self.root.resolve(), (*CODE, ".yaml", ".yml", ".toml", ".md")
        return {root / name for name in self.tracked if not name.endswith(dull) and not Path(name).name.startswith(".")}


@dataclass(frozen=True)
class Found:
    """The values of a suite's own metrics, and the files of the repository that they were made of (path from its top -> sha256)."""

    values: Values
    made_of: Mapping[str, str]


def here(job: Job, env: Mapping[str, str]) -> Place:
    """The work tree."""
    git = job.world.git
    return Place(job.loaded.folder, job.world.root, env, frozenset(git.names("ls-files", "-z", "--full-name", ":/") if git else ()))


def asked(suite: Suite) -> list[MetricRequest]:
    """A suite's own metrics."""
    return [request for request in suite.metrics if request.own]


def whole(suite: Suite, seeds: int) -> str | None:
    """What of a suite, of a run with so many seeds, can only be done with all predictions in memory."""
    if own := asked(suite):
        return f"a metric of your own ({own[0].name})"
    return "evaluating several seeds" if seeds > 1 else None


def full_name(suite_name: str, request: MetricRequest) -> str:
    return f"{suite_name}/{request.name}" if suite_name else request.name


def slices_of(table: Table, suite: Suite) -> Slices:
    return list(masks(table.frame, suite.slices)) if suite.slices else []


def with_own(
    scored: Scored, job: Job, suite_name: str, table: Table, *, run_dir: Path, env: Mapping[str, str], data: str
) -> tuple[Scored, Mapping[str, str]]:
    """The suite's numbers with those of its own functions, and what these are made of. data: the digest of ids and targets.

    CommandFailed `own-metric-failed` names file, function and group; `time-limit` and the like as for every command.
    """
    suite = job.suites[suite_name]
    wanted = asked(suite)
    if not wanted:
        return scored, {}
    slices, place = slices_of(table, suite), here(job, env)
    found = computed(job, suite_name, wanted, (table, slices), place, run_dir=run_dir, data=data)

    def at(label: str) -> dict[str, MetricValue]:
        return {full_name(suite_name, one): found.values[one.name][label] for one in wanted}

    return replace(
        scored,
        metrics={**scored.metrics, **at("")},
        slices={**scored.slices, **{label: {**scored.slices.get(label, {}), **at(label)} for label, _ in slices}},
        units={**scored.units, **{full_name(suite_name, one): one.unit or "" for one in wanted}},
    ), found.made_of


def computed(
    job: Job, suite_name: str, wanted: Sequence[MetricRequest], rows: tuple[Table, Slices], place: Place, *, run_dir: Path, data: str
) -> Found:
    """What the functions of `place` give for these rows. Raises as `with_own` does."""
    table, slices = rows
    groups = {request.name: grouped(table, request.groups, data) for request in wanted}
    found = _run(job, suite_name, wanted, table, groups, slices, run_dir, place)
    made_of = _made_of(found["files"], place.root)

    def value(request: MetricRequest, label: str, n: int) -> MetricValue:
        one = found["values"][request.name][label]
        left = tuple(one["left"])
        return MetricValue(
            one["value"],
            n,
            signature(request, made_of),
            request.better or "higher",
            jackknife.error(left),
            "ok" if one["value"] is not None else "undefined",
            left,
            groups[request.name].digest,
        )

    sizes = [("", table.n), *((label, int(mask.sum())) for label, mask in slices)]
    return Found({one.name: {label: value(one, label, n) for label, n in sizes} for one in wanted}, made_of)


def grouped(table: Table, most: int | None, data: str) -> Groups:
    """The groups of a table's rows: at most `most`, of whole clusters or single ids, as even as can be.

    most: None where nobody said. Then twice the root of how many units there are, at least 20 and at most 100: a median or a percentile
    that is computed without one example or two hardly moves, and a quarter of its intervals left the truth out; without √n it does.
    """
    keys = (table.frame["cluster"] if "cluster" in table.columns else table.frame["id"]).cast(str).to_list()
    order = sorted({key: hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest() for key in keys}.items(), key=lambda item: item[1])
    count = min(len(order), most or min(GROUPS, max(FEWEST_GROUPS, round(2 * math.sqrt(len(order))))))
    place = {key: rank % count for rank, (key, _) in enumerate(order)}
    digest = hashlib.sha256(b"".join(hashed for _, hashed in order) + data.encode()).hexdigest()[:16]
    return Groups([place[key] for key in keys], count, f"{count}:{digest}")


def signature(request: MetricRequest, made_of: Mapping[str, str]) -> str:
    """The function's name, and a digest of every file of the repository that it was made of."""
    text = "".join(f"{file} {digest}\n" for file, digest in sorted(made_of.items()))
    return f"python:{request.argument}@{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _made_of(files: Sequence[str], root: Path) -> dict[str, str]:
    top, found = root.resolve(), {}
    for file in files:
        path = Path(file)
        if path.is_relative_to(top) and path.is_file():
            found[path.relative_to(top).as_posix()] = sha256(path)
    return found


def _run(
    job: Job,
    suite_name: str,
    wanted: Sequence[MetricRequest],
    table: Table,
    groups: Mapping[str, Groups],
    slices: Slices,
    run_dir: Path,
    place: Place,
) -> dict[str, Any]:
    suite, what = job.suites[suite_name], job.place(suite_name, "metrics")
    programs = user_python.candidates(suite.run or "", place.env, job.loaded.folder)
    if not programs:
        raise EnvironmentFailure("no-python", "there is no Python on PATH to run metrics of your own with", where=job.loaded.at(what))
    room = run_dir / "own"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    try:
        plan, out, log = room / "plan.json", room / "out.json", run_dir / LOG
        plan.write_text(json.dumps(_plan(place, wanted, table, groups, slices)), encoding="utf-8")
        command = f"exec {shlex.join([programs[0], own_script.__file__, str(plan), str(out)])}"
        limit = suite.timeout.seconds if suite.timeout else LIMIT
        # A library in another language reads files that the interpreter never hears of: there the kernel is asked.
        with watching(sorted({path.parent for path in place.data})) as opened:
            ended = supervise.run(command, cwd=place.folder, env=place.env, log=log, timeout_seconds=limit)
            seen = opened.look() or frozenset()
        names = ", ".join(request.argument or request.name for request in wanted)
        if error := supervise.trouble(ended, what=f"computing {names}", log=Path(job.shown(log)), where=job.loaded.at(what)):
            if error.name == "time-limit":
                hint = "the function is asked once for every group of examples: `groups: 20` asks less often, `timeout:` gives it longer"
                error.hint = f"{hint}\n{error.hint}"
            raise error
        found = _checked(_read(out, names), job.loaded.at(what), groups, {"", *(label for label, _ in slices)})
        return {**found, "files": sorted({*found["files"], *map(str, place.data & seen)})}
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _plan(place: Place, wanted: Sequence[MetricRequest], table: Table, groups: Mapping[str, Groups], slices: Slices) -> dict[str, Any]:
    metrics = {}
    for request in wanted:
        file, _, function = (request.argument or "").rpartition(":")
        one = groups[request.name]
        metrics[request.name] = {
            "file": str(place.folder / file),
            "shown": file,
            "function": function,
            "groups": list(one.of_row),
            "count": one.count,
        }
    columns = {name: table.frame[name].to_list() for name in table.columns if not table.frame[name].dtype.is_nested()}
    return {
        "folder": str(place.folder),
        "root": str(place.root),
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
