"""A run as others may see it: its record and predictions as the history keeps them, without what is private."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.config import requests
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.models.open import for_model
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.predictions.slices import columns as slice_columns
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Artifact, Run
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

# Above this the history would grow too fast: the predictions of a run go to the models store.
MOST_IN_HISTORY = 5_000_000
HASHED, PLAIN = ".hashed.parquet", ".plain.parquet"


def of(run: Run, tables: Mapping[str, Table], config: Config, history: History, state: Path, world: World) -> tuple[Run, dict[str, bytes]]:
    """The record as the history keeps it, and its predictions: ids hashed, only the columns that a gate or metric needs.

    Predictions that came from the history, and so are hashed already, stay as they are.
    """
    options = config.history
    files: dict[str, bytes] = {}
    evaluations = {name: replace(evaluation, baseline_predictions=None, also={}) for name, evaluation in run.evaluations.items()}
    for suite, table in tables.items():
        if suite not in evaluations:
            continue
        if options.predictions == "none":
            evaluations[suite] = replace(evaluations[suite], predictions=None)
            continue
        before = evaluations[suite].predictions
        hashed = before is not None and before.path.endswith(HASHED)
        salt = history.salt() if options.ids == "hashed" and not hashed else None
        data = anonymise(table, salt, _needed(config, suite, table))
        name = f"predictions/{suite or 'main'}{HASHED if salt or hashed else PLAIN}"
        artifact = Artifact(name, hashlib.sha256(data).hexdigest(), len(data))
        if options.predictions == "models" or len(data) > MOST_IN_HISTORY:
            address = _store(config, f"{key_of(run.config, run.model, run.matrix)}|{suite}", state, data, artifact, world)
            evaluations[suite] = replace(
                evaluations[suite], predictions=replace(artifact, path=f"{address}#{Path(name).name}") if address else None
            )
        else:
            files[name] = data
            evaluations[suite] = replace(evaluations[suite], predictions=artifact)
    return replace(run, evaluations=evaluations), files


def _needed(config: Config, suite: str, table: Table) -> tuple[str, ...]:
    """The columns that slices, gaps and metrics of means read."""
    evaluate = config.evaluate
    configured = (evaluate.suites.get(suite, Suite()) if suite else evaluate) if evaluate else Suite()
    apart = sorted(requests.apart(config, suite))
    return (*slice_columns(configured.slices, table.frame), *apart, *requests.columns(config, suite, configured))


def _store(config: Config, key: str, state: Path, data: bytes, artifact: Artifact, world: World) -> str | None:
    """Predictions too large for the history, in the models store; its address, None (and said) where there is none."""
    path = state / "cache" / "predictions" / Path(artifact.path).name
    try:
        write_atomic(path, data)
        return for_model(world.models(config.models.store), f"predictions|{key}").put(path, f"sha256:{artifact.sha256}")
    except MlopsError as error:
        print(f"mlops: the predictions ({artifact.size / 1e6:,.0f} MB) are not kept: {error}", file=world.err)
        return None
    finally:
        path.unlink(missing_ok=True)
