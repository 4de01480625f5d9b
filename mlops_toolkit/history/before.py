"""The recorded run that compare will compare a run with, for verbs that need its model or its answers earlier."""

from __future__ import annotations

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history import baseline, lineage
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.git import Git


def baseline_of(record: Run, git: Git | None, context: Context, history: History) -> Run | None:
    """None where there is none, or none that can be had from here: compare meets that too, and says so."""
    question = baseline.Question(
        key=key_of(record.config, record.model, record.matrix), head=record.commit, run=record.id, ci_run=record.ci.run
    )
    try:
        choice = lineage.choose(git, context, history, question)
        return history.run(choice.entry.id) if choice.entry else None
    except MlopsError:
        return None
