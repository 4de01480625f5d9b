"""A run that a stranger's job handed over, as far as it may be believed: its answers to the baseline's examples, and its measures.

Everything that is computed comes from these answers and the baseline's own targets; what the record says of itself only picks the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from mlops_toolkit.ci import Context
from mlops_toolkit.config import measures as known
from mlops_toolkit.config.schema import Config, Evaluate, Suite
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.handed import Found, Handed
from mlops_toolkit.predictions.table import PROB, Table
from mlops_toolkit.records.run import Evaluation, Measure, Model, Run, SeedRun

MOST_BYTES = 256_000_000  # of a file of predictions
NOBODY = Loaded("this run")  # until the baseline is known, which says what is taken from a stranger
EVALUATE = "a maintainer's comment `/evaluate` on the pull request judges its model with what only your own jobs may see"


def whose(context: Context) -> str:
    """Who wrote the code, as the reader is told."""
    return "the fork" if context.fork else "the dependency's update"


def legs(found: Found, entries: Sequence[Entry], context: Context, *, config: str, model: str) -> dict[str | None, Handed | None]:
    """The run of each leg of a matrix that has to be judged; None where a leg that main has was not handed over.

    A leg that no run of ours ever had is nobody's: a stranger does not invent checks. Where none of ours is recorded, nothing can be judged,
    and one of theirs is told so.
    """
    ours = [e for e in entries if e.key.split("|")[:2] == [config, model] and not e.fork and e.metrics]
    recorded = {e.key.split("|", 2)[2] or None for e in ours}
    main = [e for e in ours if e.pull_request is None and e.branch == (context.base_branch or context.default_branch)]
    latest = {e.key.split("|", 2)[2] or None for e in main if e.commit == main[-1].commit}
    mine = [one for one in found.runs if (one.run.config, one.run.model) == (config, model)]
    mine = [one for one in mine if one.run.commit == context.head and one.run.ci.run == context.run]
    wanted = {context.matrix} if context.matrix is not None else latest | {one.run.matrix for one in mine if one.run.matrix in recorded}
    last = {one.run.matrix: one for one in sorted(mine, key=lambda one: (one.run.ci.attempt, one.run.id))}
    if not wanted:
        return {None: last.get(None) or next(iter(last.values()), None)}
    return {leg: last.get(leg) for leg in sorted(wanted, key=lambda leg: leg or "")}


def absent(model: str, found: Found, context: Context) -> UsageError:
    """The error where nothing of this head was handed over."""
    passed = f" ({'; '.join(found.refused[:3])})" if found.refused else ""
    text = f"no run of {model} at {(context.head or '')[:7]} was handed over by CI run {context.run}{passed}"
    return UsageError("no-run", printable(text), where="run", hint="does the job that trains upload .mlops, hidden files included?")


def printable(text: str) -> str:
    """A sentence that quotes a stranger, on one line."""
    return "".join(c if c.isprintable() else "?" for c in text)[:500]


def usable(handed: Handed) -> Handed:
    """The run, if it ended well. Its own words on why it did not stay where they are."""
    status = handed.run.status
    if status in ("succeeded", "reused"):
        return handed
    ended = {"running": "did not end", "interrupted": "was interrupted"}.get(status, "failed")
    raise UsageError("run-not-evaluated", f"the run that was handed over {ended}", where="run", hint="its job's log says why")


def judgeable(config: Config, baseline: Loaded | None, config_path: str) -> tuple[Config, tuple[str, ...]]:
    """The configuration without the numbers that only the stranger's own code computed, and what is left out, as sentences.

    UsageError `no-trusted-targets` where one of them is gated, or where nothing is left.
    """
    if baseline is None or not baseline.tables:
        raise _untrusted("no predictions of the baseline are to be had", config_path)
    recorded = baseline.run.evaluations if baseline.run else {}
    for suite, evaluation in recorded.items():
        if suite in _suites(config) and evaluation.data is not None and suite not in baseline.tables:
            raise _untrusted(f"the baseline's predictions{f' of {suite}' if suite else ''} are not to be had", config_path)
    for suite, table in baseline.tables.items():
        if not isinstance(table, Table):
            raise _untrusted(f"the baseline's predictions{f' of {suite}' if suite else ''} are too many to be held in memory", config_path)
        if not table.task_has_target:
            raise _untrusted(f"the baseline's predictions{f' of {suite}' if suite else ''} have no targets", config_path)
    evaluate, dropped = config.evaluate or Evaluate(), list[str]()
    suites = {name: _with_targets(suite, name, dropped) for name, suite in evaluate.suites.items()}
    top = _with_targets(evaluate, "", dropped)
    dropped += [name for name in baseline.scalars if name not in dropped]
    if gated := [name for name in dropped if name in config.gate]:
        raise _untrusted(f"{gated[0]} is computed by the pull request's own code alone, and gated", config_path)
    notes = (f"not shown, because only the pull request's own code computes it: {', '.join(dropped)}",) if dropped else ()
    return replace(config, evaluate=replace(evaluate, metrics=top.metrics, suites=suites)), notes


def _untrusted(why: str, where: str) -> UsageError:
    return UsageError("no-trusted-targets", f"there is nothing to judge this pull request's answers by: {why}", where=where, hint=EVALUATE)


def _suites(config: Config) -> tuple[str, ...]:
    return tuple(config.evaluate.suites) or ("",) if config.evaluate else ()


def _with_targets(suite: Suite, name: str, dropped: list[str]) -> Suite:
    """The suite without means and quantiles of columns and without metrics that are programs: what stands in those, the stranger wrote."""
    own = [m for m in suite.metrics if m.own or m.family in ("mean", "quantile")]
    dropped += [f"{name}/{m.name}" if name else m.name for m in own]
    return replace(suite, metrics=tuple(m for m in suite.metrics if m not in own))


def head(handed: Handed, baseline: Loaded, config: Config, *, salt: str | None, context: Context) -> Loaded:
    """The head's side: the baseline's examples with the stranger's answers, and the measures that the base branch knows.

    InvalidFile where an answer is missing, one too many, changed or no answer at all.
    """
    tables = {
        suite: _answers(handed, suite, table, salt if suite in baseline.hashed else None)
        for suite, table in baseline.tables.items()
        if isinstance(table, Table)  # `judgeable` refused others
    }
    measures = _measures(handed, baseline, config)
    notes = [
        f"the predictions come from {whose(context)}'s own code; the targets, weights and slices are the baseline's, and every number was "
        "computed here from those"
    ]
    if measures:
        notes.append(f"{', '.join(measures)}: as {whose(context)}'s own code reports, not measured here")
    first, seeds = _seeds(handed, baseline, config, salt)
    return Loaded("this run", tables=tables, hashed=baseline.hashed, measures=measures, notes=tuple(notes), first=first, seeds=seeds)


def _seeds(handed: Handed, baseline: Loaded, config: Config, salt: str | None) -> tuple[int, dict[int, dict[str, Table]]]:
    """The first seed, and the answers with the further ones: those that the base branch asks for and no others, all of them or none.

    Which seeds count is not for the stranger to choose.
    """
    asked = config.train.seeds if config.train else ()
    theirs = {one.seed: one for one in handed.run.seeds[1:]}
    if len(asked) < 2 or not all(set(baseline.tables) <= set(theirs[seed].predictions) for seed in asked[1:] if seed in theirs):
        return asked[0] if asked else 0, {}
    if not set(asked[1:]) <= set(theirs):
        return asked[0], {}
    return asked[0], {
        seed: {
            suite: _answers(handed, suite, table, salt if suite in baseline.hashed else None, theirs[seed])
            for suite, table in baseline.tables.items()
            if isinstance(table, Table)
        }
        for seed in asked[1:]
    }


def _answers(handed: Handed, suite: str, base: Table, salt: str | None, seed: SeedRun | None = None) -> Table:
    from mlops_toolkit.predictions import quarantine

    name = f"the predictions{f' of {suite}' if suite else ''}{f' with seed {seed.seed}' if seed else ''} that were handed over"
    evaluation = handed.run.evaluations.get(suite)
    artifact = seed.predictions.get(suite) if seed else evaluation.predictions if evaluation else None
    raw = handed.read(artifact, MOST_BYTES) if artifact is not None and "#" not in artifact.path else None
    if raw is None:
        raise InvalidFile("fork-data-changed", f"{name} are not there", where="run", hint=EVALUATE)
    return quarantine.answers(raw, base, salt=salt, name=name)


def look(run: Run, head: Loaded, baseline: Loaded) -> Run:
    """What is recorded of a stranger's run: that answers of this digest were judged by the baseline's examples. Nothing that it says itself.

    What its record calls its model is not asked: with the digest of another one this look would not count.
    """
    recorded = baseline.run.evaluations if baseline.run else {}
    data = {suite: Evaluation(data=recorded[suite].data) for suite in head.tables if suite in recorded}
    seen = hashlib.sha256()
    for seed, tables in ((head.first, head.tables), *sorted(head.seeds.items())):
        for suite, table in sorted(tables.items()):
            assert isinstance(table, Table)  # noqa: S101 -- `judgeable` refused others
            seen.update(f"{seed} {suite} {table.labels}\n".encode("utf-8", "surrogateescape"))
            own = sorted(c for c in table.frame.columns if c in ("prediction", "score") or c.startswith(PROB))
            seen.update(table.frame.select(own).write_csv().encode())
    model = Model(f"sha256:{seen.hexdigest()}", 0, "answers", reason="of a stranger's model only the answers are known")
    return replace(run, status="judged", tree=None, branch=None, evaluations=data, trained=model, ended=run.started)


def _measures(handed: Handed, baseline: Loaded, config: Config) -> dict[str, Measure]:
    """Those that the base branch knows, with what it says of them: which direction is better is not for the stranger to say."""
    found = {}
    gated = {name: one for name, one in handed.run.built_in.items() if name in config.gate}
    reported = {name: one for name, one in handed.run.measures.items() if name not in gated or name in baseline.measures}
    for name, measure in {**gated, **reported}.items():
        old = baseline.measures.get(name) or (baseline.run.built_in.get(name) if baseline.run else None)
        if old is None and name not in config.measures and name not in gated:
            continue  # nor may it stand in for a metric that is gated
        noisy = old.noisy if old else known.noisy(name)
        unit = old.unit if old else known.BUILT_IN[name][0] if name in gated else None
        found[name] = Measure(measure.values, old.better if old else None, noisy, unit)
    return found
