"""Whether the programs that the commands start with exist."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient

# Words that a shell understands by itself.
SHELL = frozenset(
    [
        "cd",
        "if",
        "for",
        "while",
        "case",
        "export",
        "set",
        "test",
        "[",
        "[[",
        "echo",
        "exec",
        "source",
        ".",
        "(",
        "{",
        "time",
        "true",
        "false",
        ":",
        "eval",
        "trap",
        "unset",
    ]
)


def check(patient: Patient) -> Iterator[Finding]:
    """The first word of each command, looked up as the shell would."""
    for loaded in patient.configs:
        for key, command in _commands(loaded):
            word = _missing(loaded, command, patient)
            if word is not None:
                hint = f"it is the first word of `{command.splitlines()[0][:80]}`"
                yield Finding("problem", f"there is no program {word}", hint, 5, where=loaded.at(key))


def later(patient: Patient) -> Iterator[Finding]:
    """The programs that only the evaluation starts: missed after hours, if not now. One named by its path may be made by the training."""
    for loaded in patient.configs:
        for key, command in _commands(loaded):
            word = _missing(loaded, command, patient) if key.startswith("evaluate") else None
            if word is not None and "/" not in word:
                yield Finding(
                    "problem", f"there is no program {word} yet, and the evaluation starts with it", None, 5, where=loaded.at(key)
                )


def _commands(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """(dotted key, command)"""
    if loaded.config.train:
        yield "train.run", loaded.config.train.run
    yield from ((f"{where}.run", suite.run) for where, suite in loaded.suites.items() if suite.run)


def _missing(loaded: Loaded, command: str, patient: Patient) -> str | None:
    """The program of a command, where it is known and not there."""
    word = first_word(command)
    if word is None or word in SHELL:
        return None
    there = shutil.which(word, path=patient.world.env.get("PATH")) if "/" not in word else (Path(loaded.folder) / word).exists()
    return None if there else word


def first_word(command: str) -> str | None:
    """The program of a command, past `NAME=value` settings; None where that takes a shell to know."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return None
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name.isidentifier():
            continue
        return None if any(c in word for c in "$`*?") else word
    return None
