"""What a GitHub runner takes from a step without any request: commands in its log, and the files for outputs and the summary."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from mlops_toolkit.forge.base import Annotation, Posted

SHOWN = 10  # of each level, for all of a composite action's step
MESSAGE_LIMIT = 4_096
SUMMARY_LIMIT = 1_048_576  # bytes; a longer summary is replaced by an error on the job's page
OUTPUTS_LIMIT = 1_000_000  # bytes here; the runner counts UTF-16 over all outputs of a job
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def command(annotation: Annotation) -> str:
    """The workflow command of an annotation: one line, whatever its text holds."""
    properties = {"title": annotation.title, "file": annotation.file, "line": str(annotation.line) if annotation.line else None}
    listed = ",".join(f"{key}={_property(_shorten(value, 200))}" for key, value in properties.items() if value)
    message = _data(_shorten(annotation.message, MESSAGE_LIMIT)) or " "
    return f"::{annotation.level}{' ' + listed if listed else ''}::{message}"


def within_limits(annotations: Iterable[Annotation]) -> list[Annotation]:
    """The first of each level up to what is shown; where more were given, the last place says how many are not shown."""
    shown: list[Annotation] = []
    for level in ("error", "warning", "notice"):
        of_level = [a for a in annotations if a.level == level]
        if len(of_level) > SHOWN:
            rest = len(of_level) - SHOWN + 1
            of_level = [*of_level[: SHOWN - 1], Annotation(of_level[0].level, f"{rest} more are in the report", title="and more")]
        shown += of_level
    return shown


def annotate(annotations: Iterable[Annotation], err: TextIO) -> None:
    """Write the commands; at most ten of each level."""
    for annotation in within_limits(tuple(annotations)):
        err.write(command(annotation) + "\n")
    err.flush()


def mask(token: str, err: TextIO) -> None:
    """Ask the runner to blank `token` in the log. Short values are left: masking "1" would blank every output that holds a 1."""
    if len(token) >= 8:
        err.write(f"::add-mask::{_data(token)}\n")
        err.flush()


def summary(markdown: str, env: Mapping[str, str]) -> Posted:
    """Append to the job's summary page as much as it may hold, cut where a line ends."""
    path = env.get("GITHUB_STEP_SUMMARY")
    if not path:
        return Posted(reason="there is no job summary here")
    note = b"\n\n_The rest is left out here: a summary may hold 1 MiB. Everything is in report.html._\n"
    raw = markdown.encode("utf-8", "replace") + b"\n"
    try:
        file = Path(path)
        room = SUMMARY_LIMIT - (file.stat().st_size if file.exists() else 0)
        if len(raw) > room:
            cut = raw[: max(room - len(note), 0)]
            raw = cut[: cut.rfind(b"\n") + 1] + note if room > len(note) else b""
        _append(file, raw)
    except OSError as error:
        return Posted(reason=f"the job summary could not be written: {error}")
    return Posted()


def outputs(values: Mapping[str, str], env: Mapping[str, str]) -> list[str]:
    """Set the step's outputs in one write; gives back the names of those too long to be set (they are set empty)."""
    path = env.get("GITHUB_OUTPUT")
    text, left_out = "", []
    for name, value in values.items():
        if not NAME.fullmatch(name):
            raise ValueError(f'"{name}" cannot be the name of an output')
        value = value.encode("utf-8", "replace").decode()
        if len(text.encode()) + len(value.encode()) > OUTPUTS_LIMIT:
            left_out.append(name)
            value = ""
        end = f"mlops_{secrets.token_hex(16)}"  # random: no value can hold the line that ends it
        text += f"{name}<<{end}\n{value}\n{end}\n"
    if path:
        _append(Path(path), text.encode())
    return left_out


def _append(path: Path, raw: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        view = memoryview(raw)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
