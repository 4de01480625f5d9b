"""The two sides of a comparison: what a word on the command line means, and loading what it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.gate.loaded import Answers, Loaded, scalars
from mlops_toolkit.history.local import file_below
from mlops_toolkit.predictions.sized import answers
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records import run as run_record
from mlops_toolkit.records.run import Artifact, Run
from mlops_toolkit.system.files import sha256, state

Kind = Literal["predictions", "metrics", "record", "name"]


def kind_of(word: str, *, cwd: Path) -> Kind:
    """What a word is: an existing file by its content, the folder of an MLflow run, else the name of a run, commit or branch."""
    path = cwd / word
    run = path.parent if path.name == "metrics" else path
    if path.is_dir() and (run / "metrics").is_dir() and (run / "meta.yaml").is_file():
        return "metrics"
    if not path.is_file():
        if path.suffix in (".csv", ".parquet", ".jsonl", ".json", ".yaml", ".yml", ".toml"):
            raise UsageError(
                "no-such-file",
                f"there is no file {word}",
                hint="give a predictions file, a metrics file, a run.json, a run id, a commit or a branch",
            )
        return "name"
    with path.open("rb") as source:
        start = source.read(1 << 16)
    if start.startswith(b"PAR1"):
        return "predictions"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"["):
        return "predictions"
    if text.startswith(b"{"):
        return _object(path, text)
    return "metrics" if path.suffix in (".yaml", ".yml", ".toml") else "predictions"


def _object(path: Path, text: bytes) -> Kind:
    """A JSON object on the first line alone is a row of JSON lines if it looks like one; else the whole file is one object."""
    first = text.split(b"\n", 1)[0]
    try:
        row = json.loads(first)
    except ValueError:
        row = None
    if isinstance(row, dict) and "id" in row and ("prediction" in row or "target" in row):
        return "predictions"
    if path.stat().st_size > 64 << 20:
        return "predictions"
    try:
        whole = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "metrics" if row is None else "predictions"  # read again by whoever is meant, with its own clear error
    if isinstance(whole, dict) and "schema" in whole and "id" in whole and "model" in whole:
        return "record"
    return "metrics"


def both(load: Callable[[str], Loaded], words: tuple[str, str]) -> tuple[Loaded, Loaded]:
    """What two words name, loaded side by side: reading a file of a million rows is work for one core. The first one's error comes first."""
    from mlops_toolkit.predictions.read import read  # noqa: F401  # here, so that no two threads import it

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(load, word) for word in words]
        return found[0].result(), found[1].result()


def from_predictions(path: Path, *, label: str, task: str | None, positive: str | None) -> Loaded:
    """A bare predictions file."""
    return Loaded(label=label, tables={"": answers(path, task=task, positive=positive, name=label)})


def from_metrics(path: Path | None, content: bytes | None, *, label: str, name: str) -> Loaded:
    """A metrics file: on disk, or its bytes at a commit."""
    from mlops_toolkit.predictions.metrics_file import read_metrics

    values = read_metrics(path if content is None else content, name)  # type: ignore[arg-type]
    return Loaded(label=label, scalars=scalars(values))


def from_record(path: Path, *, label: str) -> Loaded:
    """A run.json with the predictions beside it."""
    run = run_record.loads(path.read_bytes(), where=str(path))
    folder = path.parent / "runs" / run.id
    if not folder.is_dir():
        folder = path.parent

    def file(_: str, name: str) -> Path | None:
        return file_below(folder, name)  # a record may come from anywhere: it names files of its own folder only

    return from_run(run, label=label, file=file)


def from_run(run: Run, *, label: str, file: Callable[[str, str], Path | None]) -> Loaded:
    """A run record and its files; predictions that were not kept leave the run with its numbers alone, and a note."""
    tables, notes, hashed = dict[str, Answers](), [], set[str]()
    for suite, evaluation in run.evaluations.items():
        if evaluation.predictions is None:
            continue
        path = file(run.id, evaluation.predictions.path)
        if path is None:
            notes.append(f"the predictions of {label} were not kept: compared by numbers alone")
            continue
        task = evaluation.data.task if evaluation.data else None
        since = _intact(path, evaluation.predictions, f"the predictions of run {run.id}")
        where = f"{label}: {evaluation.predictions.path}"
        try:
            tables[suite] = answers(path, task=task, positive=evaluation.positive, name=where, since=since)
        except InvalidFile as error:
            raise InvalidFile(
                error.name, f"the predictions of run {run.id} cannot be read: {error.message}", where=error.where, hint=error.hint
            ) from error
        if path.name.endswith(".hashed.parquet"):
            hashed.add(suite)
    small = {suite: table for suite, table in tables.items() if isinstance(table, Table)}
    made, lost = _seeds(run, small, label, file) if small or not tables else ({}, [])
    notes += lost
    if len(run.seeds) > 1 and len(small) < len(tables):
        notes.append(_one_seed(label, [suite for suite in tables if suite not in small], len(run.seeds)))
    # n is 0 where a number came from a metrics file: no predictions are behind it, though the suite may have some.
    bare = {name: value for name, value in run.metrics.items() if value.n == 0 or name.rpartition("/")[0] not in tables}
    found = Loaded(label=label, run=run, tables=tables, hashed=frozenset(hashed), scalars=bare, measures=run.measures, notes=tuple(notes))
    return replace(found, seeds=made, first=run.seeds[0].seed if run.seeds else run.seed or 0)


def _one_seed(label: str, large: list[str], many: int) -> str:
    """That of suites too large for memory the first seed alone is compared; how far seeds lie apart is told by the records, where they know."""
    which = f" of {', '.join(large)}" if any(large) else ""
    return (
        f"the predictions{which} of {label} do not fit into memory: of its {many} seeds the first one's are compared, "
        "and how far seeds lie apart is taken from the records, where they say so"
    )


def _seeds(
    run: Run, tables: Mapping[str, Table], label: str, file: Callable[[str, str], Path | None]
) -> tuple[dict[int, dict[str, Table]], list[str]]:
    """The predictions of further seeds, of those that have them of every suite, and of how many they were not kept."""
    from mlops_toolkit.predictions.read import read
    from mlops_toolkit.predictions.spread import answered, ordered

    found: dict[int, dict[str, Table]] = {}
    lost = []
    for one in run.seeds[1:]:
        paths = {suite: file(run.id, one.predictions[suite].path) if suite in one.predictions else None for suite in tables}
        if not tables or any(path is None for path in paths.values()):
            lost.append(str(one.seed))
            continue
        for suite, path in paths.items():
            assert path is not None  # noqa: S101  # looked at just now
            first, where = tables[suite], f"{label}, seed {one.seed}: {one.predictions[suite].path}"
            _intact(path, one.predictions[suite], f"the predictions of run {run.id} with seed {one.seed}")
            if path.name.endswith(".answers.parquet"):
                table = answered(_frame(path, where), first, where)
            else:
                table = ordered(read(path, task=first.task, positive=first.positive, name=where), first, one.seed)
            found.setdefault(one.seed, {})[suite] = table
    return found, [f"the predictions of {label} with seed {', '.join(lost)} were not kept: the first seed's are compared"] if lost else []


def _frame(path: Path, where: str) -> Any:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidFile("not-predictions", "it is no whole Parquet file", where=where, hint="run `mlops evaluate` again") from error


def _intact(path: Path, artifact: Artifact, what: str) -> tuple[int, ...]:
    """The state that the file was in when it was found to be what its record names."""
    before = state(path)
    if sha256(path) != artifact.sha256:
        raise InvalidFile(
            "changed-file",
            f"{what} are not those that its record names: the sha256 differs",
            where=artifact.path,
            hint="run `mlops evaluate` again",
        )
    return before


def renewed(baseline: Loaded, head: Run, *, file: Callable[[str, str], Path | None]) -> Loaded:
    """The baseline with the answers that `evaluate` got from its stored model, where the test set or the evaluation changed."""
    tables, hashed, done = dict(baseline.tables), set(baseline.hashed), set[str]()
    for suite, evaluation in head.evaluations.items():
        again = evaluation.again(baseline.run.id).predictions if baseline.run else None
        if again is None:
            continue
        path = file(head.id, again.path)
        if path is None:
            continue
        since = _intact(path, again, f"the predictions of {baseline.label} in run {head.id}")
        tables[suite] = answers(
            path,
            task=evaluation.data.task if evaluation.data else None,
            positive=evaluation.positive,
            name=f"{baseline.label}, evaluated again",
            since=since,
        )
        (hashed.add if path.name.endswith(".hashed.parquet") else hashed.discard)(suite)
        done.add(suite)
    seeds = {seed: {suite: table for suite, table in one.items() if suite not in done} for seed, one in baseline.seeds.items()}
    return replace(baseline, tables=tables, hashed=frozenset(hashed), seeds=seeds, again=frozenset(done))


def hashed_like(baseline: Loaded, head: Loaded, salt: str) -> Loaded:
    """The baseline with its ids (and clusters) hashed where the head's are: a head that was taken from the history has no others."""
    from mlops_toolkit.predictions.anonymous import hash_ids

    tables = dict(baseline.tables)
    suites = [suite for suite in tables if suite in head.hashed - baseline.hashed]
    for suite in suites:
        table = tables[suite]
        if not isinstance(table, Table):
            from mlops_toolkit.predictions.stream.anonymous import hashed

            tables[suite] = hashed(table, salt)
            continue
        named = [column for column in ("id", "cluster") if column in table.columns]
        tables[suite] = replace(table, frame=table.frame.with_columns([hash_ids(table.frame[column], salt) for column in named]))
    return replace(baseline, tables=tables, hashed=baseline.hashed | frozenset(suites))
