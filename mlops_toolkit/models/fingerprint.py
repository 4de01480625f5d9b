"""Fingerprints: one digest over everything that decides whether a command must run again, and its parts, to say what changed.

file:src/net.py   the blob id git has, or would have, for what stands in the work tree; a submodule's commit; of a declared link
                  also what it leads to
data:data/a.csv   the content's digest; a remote address' version
lock:uv.lock, params:params.yaml, command, seed, and what the caller adds
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.errors import UsageError
from mlops_toolkit.models.base import redacted
from mlops_toolkit.models.digest import Cache
from mlops_toolkit.models.patterns import Pattern, compile_patterns, select
from mlops_toolkit.models.watched import ADDRESS, watch
from mlops_toolkit.models.worktree import WorkTree, read_folder, read_git
from mlops_toolkit.system.git import Git

DOCUMENTS = ("*.md", "*.rst", "docs/", "LICENSE*")
CI = (".github/", ".gitlab-ci.yml", ".circleci/", "Jenkinsfile", ".travis.yml")
OURS = ("mlops.yaml", ".mlops/", ".gitignore")
LOCKS = (
    "requirements*.txt",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "conda-lock.yml",
    "environment.yml",
    "environment.yaml",
    "pixi.lock",
)
# What nobody has added yet but a tracked file may import; other untracked files are more likely left by an earlier run.
CODE = (
    "*.py",
    "*.pyx",
    "*.pyi",
    "*.ipynb",
    "*.sh",
    "*.c",
    "*.cc",
    "*.cpp",
    "*.cu",
    "*.h",
    "*.hpp",
    "*.r",
    "*.R",
    "*.jl",
    "*.rs",
    "*.go",
    "*.sql",
)


@dataclass(frozen=True)
class Fingerprint:
    """`sha256:…` over its parts, by name."""

    digest: str
    parts: Mapping[str, str]

    def of_locks(self) -> str | None:
        """The digest of the lock files among them, None where there is none."""
        names = select([name.partition(":")[2] for name in self.parts], compile_patterns(LOCKS))
        found = sorted((name, value) for name, value in self.parts.items() if name.partition(":")[2] in names)
        return f"sha256:{hashlib.sha256(json.dumps(found).encode()).hexdigest()}" if found else None


def fingerprint(
    *,
    git: Git | None,
    folder: Path,
    inputs: Sequence[str] = (),
    data: Sequence[str] = (),
    command: str,
    params: str | None = None,
    lock: Sequence[str] = LOCKS,
    seed: int | None = None,
    extra: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    cache: Cache | None = None,
    place: Callable[[str], str] = lambda key: f"mlops.yaml ({key})",
    by_git: bool = False,
) -> Fingerprint:
    """The fingerprint of a command whose configuration stands in `folder`.

    inputs     gitignore patterns relative to `folder`; none: all tracked files of the repository but documentation and CI
               files, and untracked code
    data       paths, globs and addresses; params: a file's path; lock: patterns of lock files, counted where tracked
    exclude    patterns that never count: what the command itself writes
    place      where a key of the configuration stands, for errors: `place("data[1]")`
    by_git     count what git tracks alone: data, inputs and params that it does not know are named, never looked for

    UsageError `missing-input` for an input, data path or params file that is not there; EnvironmentFailure
    `data-unreachable` for an address that does not answer.
    """
    tree = read_git(git, folder) if git else read_folder(folder, cache)
    never = compile_patterns(exclude, base=tree.base)
    if by_git:
        tree = replace(tree, untracked=())
    chosen = _inputs(tree, inputs, place, by_git) if inputs else _usual(tree)
    excluded = set(select(chosen, never))
    links = {path: _behind(tree, path, never, by_git) for path in chosen if path not in excluded} if inputs else {}
    locks = select(tree.tracked, compile_patterns([p for one in lock for p in ("/" + one, *_above(one, tree.base))], base=tree.base))
    parts = {f"file:{path}": value for path, value in tree.values([p for p in chosen if p not in excluded]).items()}
    for path, value in _contents(tree, links).items():
        parts[f"file:{path}"] = f"{parts.get(f'file:{path}', '')} {value}"
    parts |= {f"lock:{path}": value for path, value in tree.values(locks).items() if f"file:{path}" not in parts}

    def watched(item: str, key: str) -> dict[str, str]:
        return known(item, tree) if by_git else watch(item, folder=folder, cache=cache, where=place(key))

    for i, item in enumerate(data):
        parts |= {f"data:{name}": value for name, value in watched(item, f"data[{i}]").items()}
    if params is not None:
        parts |= {f"params:{name}": value for name, value in watched(params, "params").items()}
    parts["command"] = hashlib.sha256(command.encode("utf-8", "surrogateescape")).hexdigest()
    parts["seed"] = "" if seed is None else str(seed)
    parts |= extra or {}
    return of_parts(parts)


def of_parts(parts: Mapping[str, str]) -> Fingerprint:
    """The fingerprint over these."""
    text = json.dumps(sorted(parts.items()), ensure_ascii=True, separators=(",", ":"))
    return Fingerprint(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", dict(sorted(parts.items())))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What differs, as clauses: `src/net.py changed`, `data/new.csv added`, `the command changed`."""

    def said(name: str) -> str:
        kind, _, path = name.partition(":")
        return path if path and kind in ("file", "lock", "data", "params") else f"the {name}"

    found = [f"{said(k)} {'changed' if k in before else 'added'}" for k, v in sorted(after.items()) if before.get(k) != v]
    # A file may be an input and the parameters too: it is named once.
    return tuple(dict.fromkeys(found + [f"{said(k)} removed" for k in sorted(before) if k not in after]))


def _usual(tree: WorkTree) -> list[str]:
    skip = compile_patterns((*DOCUMENTS, *CI, *OURS))
    code = select(tree.untracked, compile_patterns(CODE))
    out = set(select([*tree.tracked, *code], skip))
    return [path for path in (*tree.tracked, *code) if path not in out]


def known(item: str, tree: WorkTree) -> dict[str, str]:
    """What git knows of data: the tracked files that the path or glob means, a submodule that it lies in, DVC's file beside it.

    The name alone stands for what lies elsewhere or is not tracked.
    """
    named = {redacted(item): ""}
    if ADDRESS.match(item) or item.startswith("/"):
        return named
    path = posixpath.normpath(posixpath.join(tree.base, item))
    meant = {*select(tree.tracked, compile_patterns([f"/{item}"], base=tree.base)), *_around([item], tree), path, f"{path}.dvc"}
    found = [one for one in tree.tracked if one in meant]
    through = {f"{path} ->": value for path, value in _contents(tree, {path: _behind(tree, path, (), True) for path in found}).items()}
    return named | tree.values(found) | through


def _around(items: Sequence[str], tree: WorkTree) -> list[str]:
    """The submodules, or links to a folder, that these paths lie in: git knows nothing of what is behind them."""
    paths = [posixpath.normpath(posixpath.join(tree.base, item.lstrip("/"))) for item in items]
    return [one for one in tree.tracked if any(path.startswith(f"{one}/") for path in paths)]


def _inputs(tree: WorkTree, inputs: Sequence[str], place: Callable[[str], str], by_git: bool) -> list[str]:
    patterns = compile_patterns(inputs, base=tree.base)
    everything = [*tree.tracked, *tree.untracked]
    if by_git:
        return [*dict.fromkeys([*select(everything, patterns), *_around(inputs, tree)])]
    for i, pattern in enumerate(patterns):
        if pattern.excludes or any(pattern.matches(path) for path in everything):
            continue
        ignored = tree.ignored(pattern.text)
        if not ignored:
            hint = "paths are relative to the configuration file; patterns are those of .gitignore"
            raise UsageError("missing-input", f'the input "{pattern.text}" matches no file', where=place(f"inputs[{i}]"), hint=hint)
        everything += ignored
    return select(dict.fromkeys(everything), patterns)


def _behind(tree: WorkTree, path: str, never: Sequence[Pattern], by_git: bool) -> list[str]:
    """What a link leads to, as far as it counts."""
    found = tree.behind(path)
    out = set(select(found, never))
    tracked = set(tree.tracked) if by_git and found else ()
    return [one for one in found if one not in out and (not by_git or one in tracked)]


def _contents(tree: WorkTree, links: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """link -> a digest of the files behind it; for links with such alone."""
    found = {path: tree.values(files) for path, files in links.items() if files}
    return {path: hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest() for path, values in found.items()}


def _above(pattern: str, base: str) -> list[str]:
    """A lock file counts in the folder of the configuration and in those above it."""
    depth = len(base.split("/")) if base else 0
    return [os.path.join(*[".."] * up, pattern) for up in range(1, depth + 1)]  # noqa: PTH118 -- text of a pattern
