"""Whether git keeps what it should leave, and leaves what a fingerprint needs: .mlops, the model, predictions, inputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.system.git import Git

MAGIC = "*?["


def check(patient: Patient) -> Iterator[Finding]:
    """What is tracked by mistake, what is neither tracked nor ignored, and what is ignored although it is named as an input."""
    git = patient.world.git
    if git is None:
        return
    tracked = git.lines("ls-files", "--", ":(glob)**/.mlops/**")
    if tracked:
        yield Finding(
            "problem",
            f"{len(tracked)} files of .mlops are committed ({tracked[0]}): every run would change them",
            f"git rm -r --cached --quiet {_state(tracked[0])} && git commit -m 'Runs are not code'",
        )
    for loaded in patient.configs:
        for key, path in written(loaded):
            yield from _output(git, loaded, key, path)
        for key, paths in loaded.watched.items():
            if key.endswith("inputs"):
                yield from _inputs(git, loaded, key, paths)


def written(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """(dotted key, path) of what the commands write."""
    if loaded.config.train:
        yield "train.output", loaded.config.train.output
    for where, suite in loaded.suites.items():
        for key, path in (("predictions", suite.predictions), ("measures", suite.measures), ("metrics-file", suite.metrics_file)):
            if path:
                yield f"{where}.{key}", path


def _output(git: Git, loaded: Loaded, key: str, path: str) -> Iterator[Finding]:
    place = os.path.normpath(loaded.folder / path)
    if not Path(place).is_relative_to(git.root):
        return
    inside = Path(place).relative_to(git.root).as_posix()
    if git.lines("ls-files", "--", f":(literal){inside}"):
        yield Finding(
            "note" if key != "train.output" else "problem",
            f"{path} is committed, and each run writes it anew: the next one has uncommitted changes, and is no baseline",
            f"git rm -r --cached --quiet {inside} && echo '/{inside}' >> .gitignore",
            where=loaded.at(key),
        )
    elif git("check-ignore", "-q", "--", place, check=False).status == 1 and os.path.lexists(place):
        yield Finding(
            "note",
            f"{path} is neither committed nor ignored: it counts as an uncommitted change",
            f"echo '/{inside}' >> .gitignore",
            where=loaded.at(key),
        )


def _inputs(git: Git, loaded: Loaded, key: str, paths: tuple[str, ...]) -> Iterator[Finding]:
    """An input that git ignores is in nobody else's checkout, and in no fingerprint."""
    for number, path in enumerate(paths):
        if path.startswith("!") or any(c in path for c in MAGIC):
            continue
        place = os.path.normpath(loaded.folder / path)
        if not Path(place).is_relative_to(git.root) or git.lines(
            "ls-files", "--", f":(literal){Path(place).relative_to(git.root).as_posix()}"
        ):
            continue
        # Where it is not here, as in a CI's checkout, git cannot see that it would be a folder.
        ignored = git("check-ignore", "-v", "--", *((place,) if os.path.lexists(place) else (place, f"{place}/")), check=False)
        if ignored.status == 0:
            rule = ignored.text.partition("\t")[0].splitlines()[0]
            yield Finding(
                "problem",
                f"{path} is ignored by git ({rule}): it is in no other checkout, and no change of it is seen",
                f"git add --force {path}   # if it is code\nor name it under `data:`, which is watched by content",
                code=2,
                where=loaded.at(f"{key}[{number}]"),
            )


def _state(tracked: str) -> str:
    """The .mlops folder that a path lies in."""
    before, _, _ = f"/{tracked}".partition("/.mlops/")
    return f"{before}/.mlops".lstrip("/")
