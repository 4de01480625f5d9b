"""Whether the actions could make their own environment here, and whether the folders that everything is kept in can be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mlops_toolkit.doctor.checks.workflow import read
from mlops_toolkit.doctor.finding import Finding, Level, Patient
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc

ASK = "import sys\nprint('%d.%d' % sys.version_info[:2])\ntry:\n    import ensurepip, venv\n    print('whole')\nexcept ImportError as error:\n    print(error.name)"
LEAST = (3, 10)
# What it is for, the variable, and the folder below HOME where the variable is not set: as actions/environment.py and models/ look for them.
FOLDERS = (
    ("the models' store", "XDG_DATA_HOME", ".local/share"),
    ("caches", "XDG_CACHE_HOME", ".cache"),
    ("the actions' environment", "RUNNER_TOOL_CACHE", None),
    ("temporary files", "TMPDIR", None),
)


def check(patient: Patient) -> Iterator[Finding]:
    """The Python that each step of the workflows names, then the folders."""
    flows, _ = read(patient.world.root)
    named = {
        step.given.get("python") or "python3": f"{job.where}:{step.line}"
        for flow in flows
        for job in flow.ours
        for step in job.steps
        if step.action
    }
    for program, where in sorted(named.items() or [("python3", "")]):
        if "${{" not in program:
            yield from python(patient, program, where or None)
    yield from folders(patient)


def python(patient: Patient, program: str, where: str | None) -> Iterator[Finding]:
    """Whether a Python can make a virtual environment; a laptop's need not, since no action runs there."""
    world = patient.world
    level: Level = "problem" if world.context.ci or world.env.get("RUNNER_TOOL_CACHE") else "note"
    found = shutil.which(program, path=world.env.get("PATH"))
    if found is None:
        hint = "install Python 3.10 or newer, or name one with the input `python`"
        yield Finding(level, f"there is no {program}: the actions could not run on this machine", hint, where=where)
        return
    try:
        done = proc.run([found, "-I", "-c", ASK], env=world.env, timeout_seconds=30)
    except EnvironmentFailure as error:
        yield Finding(level, f"{found} does not answer: {error.message}", where=where)
        return
    version, _, whole = done.text.partition("\n")
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    if done.status != 0 or len(numbers) != 2:
        yield Finding(level, f"{found} does not run Python: {done.trouble}", "name one with the input `python`", where=where)
    elif numbers < LEAST:
        yield Finding(
            level,
            f"{found} is Python {version}; the actions need 3.10 or newer",
            "name a newer one with the input `python`; your commands keep their own",
            where=where,
        )
    elif whole != "whole":
        hint = f"apt-get install python3-venv   # Debian, Ubuntu; of another version than the system's: python{version}-venv"
        yield Finding(
            level, f"{found} has no module {whole}: the actions could not make their environment on this machine", hint, where=where
        )
    else:
        yield Finding("fine", f"the actions can make their environment with {found} (Python {version})")


def folders(patient: Patient) -> Iterator[Finding]:
    """Each folder that a variable names, or that lies in HOME: made where it is not there yet, so what counts is who may make it."""
    env = patient.world.env
    home = env.get("HOME")
    if not home:
        yield Finding("note", "HOME is not set: programs that keep a cache there may fail", "env: {HOME: ${{ runner.temp }}}")
    elif reason := unwritable(Path(home)):
        yield Finding("note", f"HOME is {home}, {reason}: programs that keep a cache there may fail", "env: {HOME: ${{ runner.temp }}}")
    for use, variable, below in FOLDERS:
        named = env.get(variable) or (f"{home}/{below}" if home and below else None)
        reason = unwritable(Path(named)) if named else None
        if reason:
            level: Level = "problem" if env.get(variable) or below else "note"
            yield Finding(level, f"{use} would be kept in {named}, {reason}", f"{variable}: name a folder that this user may write to")
    tools = env.get("RUNNER_TOOL_CACHE")
    if tools and Path(tools).is_dir() and os.statvfs(tools).f_flag & os.ST_NOEXEC:
        hint = "mount -o remount,exec, or RUNNER_TOOL_CACHE on another disk"
        yield Finding("problem", f"RUNNER_TOOL_CACHE is {tools}, from where nothing may be started (noexec)", hint)


def unwritable(path: Path) -> str | None:
    """Why nothing can be kept in a folder, as the end of a sentence; None where it is there and writable, or could be made."""
    there = next(folder for folder in (path, *path.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir():
        return f"and {there} is no folder" if there != path else "which is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return "which this user may not write to" if there == path else f"and this user may not write to {there}"
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return "which is mounted read-only"
    return None
