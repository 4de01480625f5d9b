"""Whether git is there, new enough, and whether this checkout holds what a training and a comparison need."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import PurePosixPath

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.models.patterns import compile_patterns, select
from mlops_toolkit.system import proc
from mlops_toolkit.system.git import Git

LEAST = (2, 31)  # the first that takes settings, the remote's address among them, from its environment
POINTER = b"version https://git-lfs.github.com/spec/"
MOST_LOOKED_AT = 5_000
CHECKOUT = "      - uses: actions/checkout@v5   # or the commit that you pin\n        with:\n          "


def check(patient: Patient) -> Iterator[Finding]:
    """Version, repository, owner, commit, remote, depth, large files, submodules, uncommitted changes."""
    world = patient.world
    version = yield from program(patient)
    git = world.git
    if version is None:
        return
    if git is None:
        yield Finding("note", "no git repository here: runs are kept on this machine, and only files can be compared")
        return
    inside = git("rev-parse", "--git-dir", check=False)
    if inside.status != 0:
        yield Finding("problem", f"git cannot read the repository at {git.root}: {inside.trouble}")
        return
    yield from _owner(patient, git)
    if git.commit("HEAD") is None:
        yield Finding("problem", "there is no commit yet", 'git add -A && git commit -m "…"')
        return
    yield Finding("fine", f"{version}, {git.branch() or 'detached HEAD'}")
    if git.remote_url() is None:
        yield Finding("note", "there is no remote `origin`: the history stays on this machine")
    yield from _cut_off(git)
    yield from absent(patient, git)
    if git.dirty():
        yield Finding("note", "there are uncommitted changes: runs made now are no baselines")


def program(patient: Patient) -> Generator[Finding, None, str | None]:
    """What is wrong with git itself; the generator's value is its version, None where there is no git to ask."""
    world = patient.world
    try:
        version = proc.run(["git", "--version"], env=world.env, timeout_seconds=30).text
    except EnvironmentFailure as error:
        hint = "apt-get update && apt-get install -y git"
        if world.context.ci:
            hint += "   # in the container's image, or in a step before actions/checkout: without git it brings files and no repository"
        yield Finding("problem", error.message, hint)
        return None
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < LEAST:
        hint = f"git {LEAST[0]}.{LEAST[1]} or newer is needed; an older distribution has it in its backports, or take a newer image"
        yield Finding("problem", f"{version} is too old", hint, sure=True)
    return version


def _owner(patient: Patient, git: Git) -> Iterator[Finding]:
    """Git refuses another user's repository, as in a container job. We trust this one in our own processes; the user's commands do not."""
    if git.env.get("GIT_CONFIG_COUNT", "0") != patient.world.env.get("GIT_CONFIG_COUNT", "0"):
        yield Finding(
            "note",
            f"{git.root} belongs to another user: git refuses it to your own commands (dubious ownership)",
            'git config --global --add safe.directory "$GITHUB_WORKSPACE"   # in a step before, if they use git',
        )


def _cut_off(git: Git) -> Iterator[Finding]:
    if git.shallow():
        yield Finding(
            "note",
            "a shallow clone: missing commits are fetched when a baseline is looked for",
            "fetch-depth: 0 in actions/checkout saves that",
        )
    if git.partial():
        yield Finding(
            "note",
            "a partial clone: a file of an older commit that is not here counts as absent",
            "leave `filter:` out of actions/checkout, or name what you compare by its run",
        )


def absent(patient: Patient, git: Git) -> Iterator[Finding]:
    """Files of which only a stand-in is here: pointers of Git LFS, submodules that are empty folders."""
    listed = git("ls-files", "-z", "--", ":(attr:filter=lfs)", check=False)
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name][:MOST_LOOKED_AT] if listed.status == 0 else []
    pointers = [name for name in names if _begins(git, name)]
    if pointers:
        yield _stand_in(patient, git, pointers, "Git LFS's pointer", "git lfs pull", "lfs: true")
    listed = git("ls-files", "-s", "-z", check=False)
    entries = [entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry.startswith(b"160000 ")]
    empty = [name for name in (os.fsdecode(path) for _, _, path in entries) if not (git.root / name / ".git").exists()]
    if empty:
        yield _stand_in(
            patient, git, empty, "an empty folder, a submodule", "git submodule update --init --recursive", "submodules: recursive"
        )


def _stand_in(patient: Patient, git: Git, names: Sequence[str], what: str, command: str, option: str) -> Finding:
    """A problem where a configuration's inputs or data name one of them, else a note."""
    some = f"{names[0]} is" if len(names) == 1 else f"{len(names)} paths, {names[0]} among them, are each"
    used = _used(patient, git, names)
    message = f"{some} {what}, and not what it stands for" + (f"; {used[0]} names {used[1]}" if used else "")
    return Finding("problem" if used else "note", message, f"{command}\nin a workflow:\n{CHECKOUT}{option}")


def _used(patient: Patient, git: Git, names: Sequence[str]) -> tuple[str, str] | None:
    """(place, path) of the first path that a configuration watches."""
    for loaded in patient.configs:
        base = PurePosixPath(loaded.where).parent.as_posix()
        for key, listed in loaded.watched.items():
            patterns = compile_patterns([text for text in listed if "://" not in text], base="" if base == "." else base)
            # A submodule is named by what lies in it, too, none of which is there to be matched.
            within = [posixpath.normpath(f"{base}/{text}/") for text in listed if not text.startswith("!")]
            for name in names:
                if select([name, f"{name}/-"], patterns) or any(path.startswith(f"{name}/") for path in within):
                    return loaded.at(key), name
    return None


def _begins(git: Git, name: str) -> bool:
    try:
        path = git.root / name
        if path.is_symlink() or path.stat().st_size > 1024:
            return False
        with path.open("rb") as source:
            return source.read(len(POINTER)) == POINTER
    except OSError:
        return False
