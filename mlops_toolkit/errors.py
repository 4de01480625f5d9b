"""Every way the toolkit can end that is not a verdict, each with a name and an exit code.

    MlopsError
    ├── UsageError            2    the command line, an input or mlops.yaml says something that cannot be meant
    │   └── ConfigErrors      2    several of them at once, each with its place
    ├── EnvironmentFailure    4    network, disk, permission, a missing program: not what the user wrote
    ├── CommandFailed         5    the user's command failed
    │   └── InvalidFile       5    … or wrote a file that cannot be read as what it should be; an image that is not what it should be
    ├── Defect               70    ours
    └── Cancelled       130/143    a signal asked us to stop

A verdict is not an error: `compare` returns 1 (failed) or 3 (undecided and the policy asks) without raising.
`name` is a stable kebab-case word (`duplicate-id`) that scripts may test; docs/reference/errors.md lists them all,
generated from the places that raise.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterable
from typing import NamedTuple

PASSED, GATE_FAILED, USAGE, UNDECIDED, ENVIRONMENT, COMMAND, DEFECT = 0, 1, 2, 3, 4, 5, 70
PRECEDENCE = (143, 130, DEFECT, ENVIRONMENT, USAGE, COMMAND, GATE_FAILED, UNDECIDED, PASSED)  # of several models' codes the first counts


class MlopsError(Exception):
    """What happened, where the value came from, what to do.

    name     stable kebab-case word
    message  one sentence: what happened, with the value
    where    where the value came from: `mlops.yaml:12`, `input config`, `preds.csv row 7, column target`
    hint     what to do about it; may be several lines (YAML to paste)
    """

    code = DEFECT

    def __init__(self, name: str, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.name, self.message, self.where, self.hint = name, message, where, hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint.replace(chr(10), chr(10) + '  ')}" if self.hint else text


class UsageError(MlopsError):
    """The command line, an action input or mlops.yaml says something that cannot be meant."""

    code = USAGE


class Problem(NamedTuple):
    """One thing wrong in what the user wrote: name, sentence, place, way out (as in MlopsError)."""

    name: str
    message: str
    where: str | None = None
    hint: str | None = None


class ConfigErrors(UsageError):
    """Everything wrong with the configuration at once; its name is the first problem's."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.name, first.message, where=first.where, hint=first.hint)

    def __str__(self) -> str:
        return "\n".join(str(UsageError(p.name, p.message, where=p.where, hint=p.hint)) for p in self.problems)


class EnvironmentFailure(MlopsError):
    """Network, disk, permission, a missing program or device."""

    code = ENVIRONMENT


class CommandFailed(MlopsError):
    """The user's command failed."""

    code = COMMAND


class InvalidFile(CommandFailed):
    """A file the user's command wrote (or named) cannot be read as what it should be."""


class Defect(MlopsError):
    """A defect of ours; the message asks for a report."""


class Cancelled(MlopsError):
    """A signal asked us to stop; the code is the shell's: 128 + the signal's number."""

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__("cancelled", f"stopped by {signal.Signals(signum).name}")
        self.code = 128 + signum


# What the system says no to is never a defect of ours, wherever it is met: space, rights, a disk that fails, too many open files, a file
# in a folder's place.
REFUSED = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    }
)


def of_system(error: OSError) -> EnvironmentFailure | None:
    """What the system refused, in words; None where it is a defect of ours."""
    if error.errno not in REFUSED:
        return None
    hint = "make room, or give this user leave to write there, and run it again"
    where = str(error.filename) if error.filename else None
    return EnvironmentFailure("system-refused", f"the system refuses: {error.strerror}", where=where, hint=hint)
