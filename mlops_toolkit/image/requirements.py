"""Which Python packages serve a model: what it was saved with, what our server needs, what the user adds; pinned before pip is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops_toolkit.errors import InvalidFile, UsageError

# What `mlops_toolkit.serve` imports beside the model's own packages: the extra `serve` of pyproject.toml without ONNX Runtime.
SERVER = ("httptools", "uvloop", "orjson", "prometheus-client", "python-multipart")
# The build of a package that uses the processor alone: another name, or the same with a local version, where the user's index has it.
PROCESSOR = {"xgboost": "xgboost-cpu=={}", "tensorflow": "tensorflow-cpu=={}", "torch": "torch=={}+cpu"}
# A package works without these where there is no GPU, but asks for them all the same.
GPU_ONLY = {"xgboost": re.compile(r"nvidia-.*")}
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PIN = re.compile(rf"({_NAME})(\[[A-Za-z0-9._, -]*\])?\s*==\s*([A-Za-z0-9][A-Za-z0-9.!_-]*(?:\+[A-Za-z0-9.]+)?)")
_LOCKED = re.compile(rf"^({_NAME})==(\S+)\s*(;[^\\\n]*)?((?:\\\n\s+--hash=sha256:[0-9a-f]{{64}}\s*)+)", re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """A line of our own lock: marker as written (with its `;`) or empty, sha256 of every file that may be it."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    @property
    def pin(self) -> str:
        """As pip is asked for it."""
        return f"{self.name}=={self.version} {self.marker}".strip()


@dataclass(frozen=True)
class Asked:
    """What pip is asked for.

    roots        packages that must be there, one a line
    constraints  versions for whatever else is needed: the ones of the training, then our lock's
    careful      the same without the training's versions, for where those contradict what the server needs
    """

    roots: tuple[str, ...]
    constraints: tuple[str, ...]
    careful: tuple[str, ...]


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(text: str) -> list[Locked]:
    """The entries of a hash-locked requirements file."""
    return [
        Locked(normal(name), version, (marker or "").strip(), frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
        for name, version, marker, hashes in _LOCKED.findall(re.sub(r" \\\n", "\\\n", text))
    ]


def pinned(words: Iterable[str], *, where: str, hostile: bool) -> dict[str, str]:
    """`name==version` by normal name. hostile: out of a model's folder (InvalidFile `bad-model`), else out of mlops.yaml (UsageError `bad-package`)."""
    found = {}
    for word in words:
        match = _PIN.fullmatch(word.strip())
        if match is None:
            said = f"{ascii(word)[:200]} is not one package at one version"
            if hostile:
                raise InvalidFile("bad-model", said, where=where, hint="save the model again: mlops.save(model, FOLDER, example=x)")
            raise UsageError("bad-package", said, where=where, hint="write NAME==VERSION, as `pip freeze` does")
        found[normal(match[1])] = f"{match[1]}{match[2] or ''}=={match[3]}"
    return found


def environment(text: str) -> dict[str, str]:
    """Versions of what was installed where the model was trained; lines that are no plain pin are passed over. Without local parts (`+cu121`)."""
    found = {}
    for line in text.splitlines():
        match = _PIN.fullmatch(line.strip())
        if match and not match[2]:
            found[normal(match[1])] = match[3].partition("+")[0]
    return found


def asked(runtime: Mapping[str, str], own: Mapping[str, str], trained: Mapping[str, str], ours: Iterable[Locked]) -> Asked:
    """runtime: what the model's manifest pins; own: what the user adds, which wins; trained: `environment`; ours: our lock."""
    ours = list(ours)
    roots = {name: pin.partition("+")[0] for name, pin in runtime.items()} | dict(own)
    server = {*SERVER, "numpy"} - set(roots)
    versions = [one for one in ours if one.name in server and not (one.name == "numpy" and "numpy" in trained)]
    lines = [*roots.values(), *(one.pin for one in versions)]
    if "numpy" in server and "numpy" in trained:
        lines.append(f"numpy=={trained['numpy']}")
    fixed = {*roots, *server}
    after = [one for one in ours if one.name not in fixed]
    before = [f"{name}=={version}" for name, version in trained.items() if name not in fixed]
    rest = [one.pin for one in after if one.name not in trained]
    return Asked(tuple(sorted(set(lines))), tuple(sorted({*before, *rest})), tuple(sorted({one.pin for one in after})))


def processor(root: str) -> str | None:
    """The same package for the processor alone, None where there is no such build."""
    match = _PIN.fullmatch(root)
    form = PROCESSOR.get(normal(match[1])) if match and not match[2] else None
    return form.format(match[3]) if form and match else None


def without_gpu(names: Iterable[str], roots: Iterable[str]) -> set[str]:
    """Which of the resolved packages are of no use without a GPU: those that only packages ask for which work without them."""
    wanted = {normal(match[1]) for match in map(_PIN.match, roots) if match}
    names = {normal(name) for name in names}
    if "torch" in names and not any("+cpu" in root for root in roots):
        return set()  # its build for GPUs does not start without them
    return {name for name in names if any(root in wanted and pattern.fullmatch(name) for root, pattern in GPU_ONLY.items())}
