"""Whether git is there, new enough, and whether this checkout holds what a comparison needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.system import proc

# `--filter` with object ids and GIT_NO_LAZY_FETCH's behaviour are relied on from here.
LEAST = (2, 30)


def check(patient: Patient) -> Iterator[Finding]:
    """Version, repository, commit, remote, depth, uncommitted changes."""
    world = patient.world
    version = proc.run(["git", "--version"], env=world.env, timeout_seconds=30).text
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < LEAST:
        yield Finding("problem", f"{version} is too old", f"git {LEAST[0]}.{LEAST[1]} or newer is needed")
    git = world.git
    if git is None:
        yield Finding("note", "no git repository here: runs are kept on this machine, and only files can be compared")
        return
    if git.commit("HEAD") is None:
        yield Finding("problem", "there is no commit yet", 'git add -A && git commit -m "…"')
        return
    yield Finding("fine", f"{version}, {git.branch() or 'detached HEAD'}")
    if git.remote_url() is None:
        yield Finding("note", "there is no remote `origin`: the history stays on this machine")
    if git.shallow():
        yield Finding(
            "note",
            "a shallow clone: missing commits are fetched when a baseline is looked for",
            "fetch-depth: 0 in actions/checkout saves that",
        )
    if git.dirty():
        yield Finding("note", "there are uncommitted changes: runs made now are no baselines")
