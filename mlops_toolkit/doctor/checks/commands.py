"""Whether the programs that the commands start with exist."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

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
        config = loaded.config
        commands = [("train.run", config.train.run)] if config.train else []
        if config.evaluate:
            commands += [("evaluate.run", config.evaluate.run)] if config.evaluate.run else []
            commands += [(f"evaluate.suites.{name}.run", suite.run) for name, suite in config.evaluate.suites.items() if suite.run]
        for key, command in commands:
            word = first_word(command)
            if word is None or word in SHELL:
                continue
            there = shutil.which(word, path=patient.world.env.get("PATH")) if "/" not in word else (Path(loaded.folder) / word).exists()
            if not there:
                yield Finding(
                    "problem",
                    f"{loaded.at(key)}: there is no program {word}",
                    f"it is the first word of `{command.splitlines()[0][:80]}`",
                    5,
                )


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
