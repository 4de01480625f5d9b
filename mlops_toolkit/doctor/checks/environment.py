"""Whether the actions could make their own environment here, and whether the folders that everything is kept in can be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlops_toolkit.doctor.checks.disk import local_store
from mlops_toolkit.doctor.finding import Finding, Level, Patient
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc

ASK = "import sys\nprint('%d.%d' % sys.version_info[:2])\ntry:\n    import ensurepip, venv\n    print('whole')\nexcept ImportError as error:\n    print(error.name)"
LEAST = (3, 10)
# As actions/environment.py looks for them: the variable, and a folder below it. The first that can be written is taken.
PLACES = (("RUNNER_TOOL_CACHE", ""), ("RUNNER_TEMP", ""), ("XDG_CACHE_HOME", ""), ("HOME", ".cache"))


def check(patient: Patient) -> Iterator[Finding]:
    """The Python that each step of the workflows names, then the folders."""
    flows, _ = patient.workflows
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
    """Each folder that something is kept in: made where it is not there yet, so what counts is who may make it."""
    env = patient.world.env
    home = env.get("HOME")
    if not home:
        yield Finding("note", "HOME is not set: programs that keep a cache there may fail", "env: {HOME: ${{ runner.temp }}}")
    elif reason := unwritable(Path(home)):
        yield Finding("note", f"HOME is {home}, {reason}: programs that keep a cache there may fail", "env: {HOME: ${{ runner.temp }}}")
    for root in sorted({store.root for loaded in patient.configs if (store := local_store(loaded, patient.world))}):
        if reason := unwritable(root):
            hint = "XDG_DATA_HOME (or `models: {store: file:/path}`): name a folder that this user may write to"
            yield Finding("problem", f"the models' store would be kept in {root}, {reason}", hint)
    if (named := env.get("TMPDIR")) and (reason := unwritable(Path(named))):
        yield Finding(
            "note",
            f"TMPDIR is {named}, {reason}: programs that need temporary files may fail",
            "TMPDIR: name a folder that this user may write to",
        )
    yield from _tools(env)


def _tools(env: Mapping[str, str]) -> Iterator[Finding]:
    """Where the actions keep their environment between jobs, and whether there is any place for it at all."""
    named = [(name, Path(env[name], below)) for name, below in PLACES if env.get(name)]
    refused = [(name, path, reason) for name, path in named if (reason := unwritable(path) or _noexec(path))]
    hint = "RUNNER_TOOL_CACHE: name a folder that this user may write to, and start programs from"
    if named and len(refused) == len(named):
        told = "; ".join(f"{name} is {path}, {reason}" for name, path, reason in refused)
        yield Finding("problem", f"there is no folder for the actions' environment: {told}", hint)
    elif refused and refused[0][0] == "RUNNER_TOOL_CACHE":
        _, path, reason = refused[0]
        yield Finding(
            "note", f"RUNNER_TOOL_CACHE is {path}, {reason}: the actions make their environment elsewhere, perhaps in each job anew", hint
        )


def _noexec(path: Path) -> str | None:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return "from where nothing may be started (noexec)" if os.statvfs(there).f_flag & getattr(os, "ST_NOEXEC", 0) else None


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
