"""A run as others may see it: its record and predictions as the history keeps them, without what is private."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config import requests
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.models.open import for_model
from mlops_toolkit.predictions.anonymous import with_seeds
from mlops_toolkit.predictions.slices import columns as slice_columns
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Artifact, Run
from mlops_toolkit.system.files import sha256, write_atomic
from mlops_toolkit.world import World

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream

# Above this the history would grow too fast: the predictions of a run go to the models store.
MOST_IN_HISTORY = 5_000_000
HASHED, PLAIN, ANSWERS = ".hashed.parquet", ".plain.parquet", ".answers.parquet"


def of(
    run: Run,
    tables: Mapping[str, Table | Stream],
    config: Config,
    history: History,
    state: Path,
    world: World,
    seeds: Mapping[int, Mapping[str, Table]] | None = None,
) -> tuple[Run, dict[str, bytes]]:
    """The record as the history keeps it, and its predictions: ids hashed, only the columns that a gate or metric needs.

    seeds: the predictions of further seeds, rows as in `tables`; of those the answers alone are kept, in the order of the first one's rows.

    Predictions that came from the history, and so are hashed already, stay as they are.
    """
    options = config.history
    files: dict[str, bytes] = {}
    evaluations = {
        name: replace(evaluation, baseline_predictions=None, also={}, rescored={}) for name, evaluation in run.evaluations.items()
    }
    runs = {one.seed: dict[str, Artifact]() for one in run.seeds}

    def kept(data: bytes, name: str, key: str) -> Artifact | None:
        """In the history, or where the models are; None where nowhere."""
        artifact = Artifact(name, hashlib.sha256(data).hexdigest(), len(data))
        if options.predictions == "models" or len(data) > MOST_IN_HISTORY:
            path = state / "cache" / "predictions" / Path(name).name
            write_atomic(path, data)
            return _store(config, f"{key_of(run.config, run.model, run.matrix)}|{key}", path, artifact, world)
        files[name] = data
        return artifact

    for suite, table in tables.items():
        if suite not in evaluations:
            continue
        if options.predictions == "none":
            evaluations[suite] = replace(evaluations[suite], predictions=None)
            continue
        before = evaluations[suite].predictions
        hashed = before is not None and before.path.endswith(HASHED)
        salt = history.salt() if options.ids == "hashed" and not hashed else None
        name = f"predictions/{suite or 'main'}{HASHED if salt or hashed else PLAIN}"
        if not isinstance(table, Table):
            key = f"{key_of(run.config, run.model, run.matrix)}|{suite}"
            evaluations[suite] = replace(evaluations[suite], predictions=_of_blocks(table, salt, name, key, config, state, world))
            continue
        others = {seed: one[suite] for seed, one in (seeds or {}).items() if seed in runs and suite in one}
        data, answers = with_seeds(table, salt, _needed(config, suite, table.columns), others, _measured(config, suite))
        evaluations[suite] = replace(evaluations[suite], predictions=kept(data, name, suite))
        for seed, their in answers.items():
            artifact = kept(their, f"predictions/seed-{seed}/{suite or 'main'}{ANSWERS}", f"{suite}|seed {seed}")
            if artifact is not None:
                runs[seed][suite] = artifact
    kept_seeds = tuple(replace(one, predictions=runs[one.seed]) for one in run.seeds)
    return replace(run, evaluations=evaluations, seeds=kept_seeds), files


def _needed(config: Config, suite: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that slices, gaps and metrics of means read."""
    apart = sorted(requests.apart(config, suite))
    return (*slice_columns(_suite(config, suite).slices, columns), *apart, *_measured(config, suite))


def _measured(config: Config, suite: str) -> tuple[str, ...]:
    """Those that metrics of means read: the model's own doing."""
    return tuple(requests.columns(config, suite, _suite(config, suite)))


def _suite(config: Config, suite: str) -> Suite:
    evaluate = config.evaluate
    return (evaluate.suites.get(suite, Suite()) if suite else evaluate) if evaluate else Suite()


def _of_blocks(side: Stream, salt: str | None, name: str, key: str, config: Config, state: Path, world: World) -> Artifact | None:
    """Predictions of a size that is only ever read in blocks, in the models store."""
    from mlops_toolkit.predictions.stream.anonymous import anonymise as written

    suite, path = key.rpartition("|")[2], state / "cache" / "predictions" / Path(name).name
    written(side, salt, _needed(config, suite, side.columns), path)
    return _store(config, key, path, Artifact(name, sha256(path), path.stat().st_size), world)


def _store(config: Config, key: str, path: Path, artifact: Artifact, world: World) -> Artifact | None:
    """Predictions too large for the history, in the models store; where they are, None (and said) where there is no place for them."""
    try:
        address = for_model(world.models(config.models.store), f"predictions|{key}").put(path, f"sha256:{artifact.sha256}")
    except MlopsError as error:
        print(f"mlops: the predictions ({artifact.size / 1e6:,.0f} MB) are not kept: {error}", file=world.err)
        return None
    finally:
        path.unlink(missing_ok=True)
    return replace(artifact, path=f"{address}#{Path(artifact.path).name}") if address else None
