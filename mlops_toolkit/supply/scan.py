"""The user's own scanner, run against the image by its digest before any tag points at it: its exit status decides."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.system import supervise

TIMEOUT_SECONDS = 1800.0
MOST_LINES, LONGEST = 200, 500
# What a scanner needs of our environment; everything else may hold somebody's secret.
_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|NO_COLOR|TMPDIR|TEMP|TMP|XDG_\w+|DOCKER_CONFIG|REGISTRY_AUTH_FILE"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?i:https?_proxy|no_proxy|all_proxy)|(TRIVY|GRYPE|SYFT)_\w+"
)
_SECRET = re.compile(r"TOKEN|PASSW|SECRET|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)


@dataclass(frozen=True)
class Scanned:
    """What a scanner said: the last of it, each line fit to be printed."""

    seconds: float
    lines: tuple[str, ...]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What the scanner is given: where things are, the docker login that it reads the image with, and no secret of ours."""
    return {name: value for name, value in env.items() if _KEPT.fullmatch(name) and not _SECRET.search(name)}


def command(text: str, image: str) -> str:
    """The command with `{image}` put in, quoted for the shell. CommandFailed `no-image-in-scan` where it has no place for it."""
    if "{image}" not in text:
        hint = "write {image} where it takes the image: trivy image --exit-code 1 {image}"
        raise CommandFailed("no-image-in-scan", "the scan command does not say where the image goes", where="publish.scan", hint=hint)
    return text.replace("{image}", shlex.quote(image))


def scan(text: str, image: str, *, env: Mapping[str, str], cwd: Path, log: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> Scanned:
    """Run it; CommandFailed `scan-refused` where its exit status is not 0, `time-limit`, `command-not-found`; Cancelled.

    text: `publish.scan`, with {image}; image: host/repository@digest; log: where all of its output goes.
    """
    ended = supervise.run(command(text, image), cwd=cwd, env=environment(env), log=log, timeout_seconds=timeout_seconds)
    lines = tuple(_visible(line) for line in ended.tail.splitlines()[-MOST_LINES:])
    if ended.ended == "failed" and ended.exit not in (126, 127):
        said = "\n".join(line for line in lines if line)
        how = f"exit status {ended.exit}" if ended.exit is not None else f"signal {ended.signal}"
        hint = f"it said last:\n{said[-2000:]}\nno tag was moved; all of its output is in {log}"
        raise CommandFailed("scan-refused", f"the scanner refuses the image ({how})", where="publish.scan", hint=hint)
    if error := supervise.trouble(ended, what="publish.scan", log=log, where="publish.scan"):
        raise error
    return Scanned(ended.seconds, lines)


def _visible(line: str) -> str:
    """One line without what a terminal or a CI's log would obey."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", line)[:LONGEST]
    shown = "".join(
        char if char == "\t" or not unicodedata.category(char).startswith("C") else "\N{REPLACEMENT CHARACTER}" for char in text
    )
    return shown.replace("::", ": :") if shown.lstrip().startswith(("::", "##[")) else shown
