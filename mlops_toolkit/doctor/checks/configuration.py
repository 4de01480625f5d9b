"""Whether mlops.yaml says something that can be done."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.config import read
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import MlopsError


def check(patient: Patient) -> Iterator[Finding]:
    """All errors of all files, and what is missing to gate anything."""
    if patient.trouble is not None:
        yield Finding("problem", str(patient.trouble).split("\n  ")[0], patient.trouble.hint, patient.trouble.code)
        return
    for loaded in patient.configs:
        config = loaded.config
        if not config.gate:
            yield Finding(
                "note", f"{loaded.where}: nothing is gated", "`mlops compare` proposes a `gate:` block that this test set can decide"
            )
        else:
            yield Finding("fine", f"{loaded.where}: {config.name}, {len(config.gate)} gated")
        yield from _improvements(loaded, patient)
        if config.evaluate is None:
            yield Finding(
                "problem",
                f"{loaded.where}: there is no `evaluate:`",
                "evaluate:\n  run: python evaluate.py   # writes one row per example to $MLOPS_PREDICTIONS\n  metrics: [accuracy]",
                2,
            )


def _improvements(loaded: Loaded, patient: Patient) -> Iterator[Finding]:
    """`improve-by` is asked of every change for as long as it stands: merged, it stops the next one."""
    asked = [name for name, rule in loaded.config.gate.items() if rule.improve_by is not None]
    if not asked:
        return
    merged = [name for name in asked if name in _on_main(loaded, patient)]
    if merged:
        message = (
            f"`improve-by` of {', '.join(merged)} was merged: every change is asked for that improvement anew, and stops where it has none"
        )
        hint = (
            "where it was reached, write what is to be kept in its place (max-drop, or min), with\n"
            'accepted: [{check: gate, reason: "the improvement was made"}]   # since that asks less'
        )
    else:
        message = f"`improve-by` of {', '.join(asked)} is asked of every change for as long as it stands"
        hint = "before this is merged, write what is to be kept in its place: max-drop, or min"
    yield Finding("note", message, hint, where=loaded.where)


def _on_main(loaded: Loaded, patient: Patient) -> frozenset[str]:
    """The metrics that the default branch asks an improvement of, as far as it can be read here."""
    git, branch = patient.world.git, patient.world.default_branch()
    if git is None:
        return frozenset()
    commit = git.commit(f"refs/remotes/origin/{branch}") or git.commit(f"refs/heads/{branch}")
    shown = git("show", f"{commit.sha}:{loaded.where}", check=False) if commit is not None else None
    if shown is None or shown.status != 0:
        return frozenset()
    try:
        theirs = read.parse(shown.stdout, where=loaded.where, path=loaded.path, root=patient.world.root).config
    except MlopsError:
        return frozenset()
    return frozenset(name for name, rule in theirs.gate.items() if rule.improve_by is not None)
