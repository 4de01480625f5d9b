"""Asking pip which wheels serve a model on another machine's Python, and bringing them: proven by hash, from the user's own index."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.image.requirements import Asked, Locked, normal, processor, without_gpu
from mlops_toolkit.image.target import Target
from mlops_toolkit.image.wanted import Package
from mlops_toolkit.image.wheel import SPOILT, distribution
from mlops_toolkit.system import proc

# pip judges the markers of requirements by the interpreter that runs it, whatever --platform says; here by the one of the image.
_PIP = """
import json, runpy, sys
from pip._vendor.packaging import markers
told = json.loads(sys.argv.pop(1))
own = markers.default_environment
markers.default_environment = lambda: {**own(), **told}
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
# pip needs these of ours, and nothing else: no token of a forge or a cloud.
_KEEP = re.compile(
    r"(?i)PIP_.*|PATH|HOME|LANG|LC_.*|TMPDIR|XDG_.*|NETRC|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(https?|no|all)_proxy"
)
# … but not what would take the choice away from us
_DROP = re.compile(
    r"(?i)PIP_(USER|TARGET|PREFIX|ROOT|SRC|PLATFORM|ABI|IMPLEMENTATION|PYTHON|PYTHON_VERSION|NO_DEPS|NO_BINARY|ONLY_BINARY|.*REQUIRE.*|CONSTRAINT|DRY_RUN|REPORT|LOG|QUIET|VERBOSE)"
)
_SECONDS = 1800.0
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+")


@dataclass(frozen=True)
class Wheels:
    """What pip brought. files: in the order of the packages' names; notes: what a person should know."""

    files: tuple[Path, ...]
    packages: tuple[Package, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """Which packages it will be, with the hash of each wheel (hex)."""

    packages: tuple[Package, ...]
    notes: tuple[str, ...] = ()


def resolve(asked: Asked, target: Target, ours: Sequence[Locked], *, gpu: bool) -> Resolved:
    """What pip would install there. UsageError `no-packages` where it cannot, EnvironmentFailure `package-differs`.

    The versions of the training are tried first; where they contradict what the server needs, without them. gpu: keep builds for GPUs.
    """
    roots, notes = list(asked.roots), []
    if not gpu:
        for place, root in enumerate(roots):
            other = processor(root)
            if other is None:
                continue
            if _report([other], (), target, dependencies=False)[0] is not None:
                roots[place] = other
                notes.append(f"{root} as its build for the processor alone, {other}")
            elif normal(root.partition("==")[0]) == "torch":
                notes.append(f"{root} comes with its libraries for GPUs: your package index has no {other}")
    found, said = _report(roots, asked.constraints, target)
    if found is None:
        found, later = _report(roots, asked.careful, target)
        if found is None:
            raise UsageError(
                "no-packages",
                f"pip finds no packages that serve it on Python {target.python.text} for {target.platform}: {later or said}",
                where="publish.packages",
                hint="another base image (publish.base) with another Python may have them; pip's index is your own, as pip is configured here",
            )
    packages = tuple(sorted(map(_package, found), key=lambda one: normal(one.name)))
    useless = set() if gpu else without_gpu([one.name for one in packages], roots)
    packages = tuple(one for one in packages if normal(one.name) not in useless)
    _checked(packages, ours)
    if useless:
        notes.append(f"without {', '.join(sorted(useless))}, which only a GPU needs")
    return Resolved(packages, tuple(notes))


def fetch(resolved: Resolved, target: Target, to: Path) -> Wheels:
    """Bring the wheels into an empty folder; pip refuses one whose hash is another. EnvironmentFailure `packages-unreachable`."""
    lines = [f"{one.name}=={one.version} --hash=sha256:{one.sha256}" for one in resolved.packages]
    with tempfile.TemporaryDirectory(prefix="mlops-pip-") as temporary:
        wanted = Path(temporary) / "wanted.txt"
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        words = ["download", "--no-deps", "--require-hashes", "--dest", str(to), "--requirement", str(wanted), *target.pip]
        done = _pip(words, target.markers)
    files = {distribution(path): path for path in sorted(to.glob("*.whl"))}
    missing = [one.name for one in resolved.packages if normal(one.name) not in files]
    if done.status or missing:
        said = _trouble(done) or f"{', '.join(missing)} did not come"
        raise EnvironmentFailure("packages-unreachable", f"pip could not bring the packages: {said}", hint="try again; is the index there?")
    there = tuple(files[normal(one.name)] for one in resolved.packages)
    packages = tuple(replace(one, licence=one.licence or _expression(path)) for one, path in zip(resolved.packages, there, strict=True))
    return Wheels(there, packages, resolved.notes)


def _expression(wheel: Path) -> str | None:
    """The licence expression in a wheel's metadata, which older versions of pip do not report."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next((name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
            if name is None:
                return None
            with archive.open(name) as metadata:
                text = metadata.read(1 << 20).decode("utf-8", "replace")
    except SPOILT:
        return None  # unpacking it tells
    found = re.search(r"^License-Expression: (.{1,100})$", text.partition("\n\n")[0], re.MULTILINE)
    return found[1].strip() if found else None


def _report(roots: Sequence[str], constraints: Sequence[str], target: Target, *, dependencies: bool = True) -> tuple[list[Any] | None, str]:
    """pip's report of what it would install, None where it cannot; and its last word."""
    with tempfile.TemporaryDirectory(prefix="mlops-pip-") as temporary:
        wanted, limits, report = (Path(temporary) / name for name in ("wanted.txt", "limits.txt", "report.json"))
        wanted.write_text("".join(f"{line}\n" for line in roots), encoding="utf-8")
        limits.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        words = ["install", "--dry-run", "--ignore-installed", "--target", str(Path(temporary) / "lib"), "--report", str(report)]
        words += ["--requirement", str(wanted), "--constraint", str(limits), *target.pip, *([] if dependencies else ["--no-deps"])]
        done = _pip(words, target.markers)
        if done.status != 0:
            return None, _trouble(done)
        try:
            return list(json.loads(report.read_bytes())["install"]), ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentFailure(
                "packages-unreachable", f"pip's report cannot be read: {error}", hint="pip 23 or newer is needed"
            ) from error


def _pip(words: Sequence[str], markers: Mapping[str, str]) -> proc.Completed:
    env = {name: value for name, value in os.environ.items() if _KEEP.fullmatch(name) and not _DROP.fullmatch(name)}
    options = ["--no-input", "--disable-pip-version-check", "--no-color", "--quiet"]
    return proc.run(
        [sys.executable, "-I", "-c", _PIP, json.dumps(dict(markers)), words[0], *options, *words[1:]],
        env=env,
        timeout_seconds=_SECONDS,
        whole=True,
    )


def _trouble(done: proc.Completed) -> str:
    """What pip complains of, in a line; without addresses, which may hold a password."""
    lines = [line.partition("ERROR:")[2].strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if "ERROR:" in line]
    return " ".join(_ADDRESS.sub("…", "; ".join(lines) or (done.trouble if done.status else "")).split())[:600]


def _package(said: Any) -> Package:
    try:
        metadata, origin = said["metadata"], said["download_info"]
        sha = bytes.fromhex(origin["archive_info"]["hashes"]["sha256"]).hex()
        return Package(str(metadata["name"]), str(metadata["version"]), sha, _licence(metadata))
    except (KeyError, TypeError, ValueError) as error:
        raise EnvironmentFailure(
            "packages-unreachable", f"pip's report cannot be read: {error}", hint="pip 23 or newer is needed"
        ) from error


def _licence(metadata: Mapping[str, Any]) -> str | None:
    """As the package says it in a few words: an expression, a short text, a classifier."""
    classifiers: Callable[[], list[str]] = lambda: [
        str(one).rpartition("::")[2].strip() for one in metadata.get("classifier") or () if str(one).startswith("License ::")
    ]
    for said in (metadata.get("license_expression"), metadata.get("license"), *classifiers()):
        if isinstance(said, str) and 0 < len(said.strip()) <= 100 and "\n" not in said.strip():
            return said.strip()
    return None


def _checked(packages: Sequence[Package], ours: Sequence[Locked]) -> None:
    known = {(one.name, one.version): one.hashes for one in ours}
    for one in packages:
        hashes = known.get((normal(one.name), one.version))
        if hashes is not None and one.sha256 not in hashes:
            raise EnvironmentFailure(
                "package-differs",
                f"{one.name} {one.version} came from your package index with a hash that our lock does not know ({one.sha256})",
                hint="somebody changed that file: ask the index's owner",
            )
