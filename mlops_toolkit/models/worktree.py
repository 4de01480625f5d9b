"""What stands in a work tree, file by file, as git identifies it; or by content where there is no git."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.models.digest import Cache, each
from mlops_toolkit.system.git import Git, split

LINK, SUBMODULE = "120000", "160000"
MOST_LINKS = 40  # on the way to a file, as the kernel follows them


@dataclass(frozen=True)
class WorkTree:
    """Paths relative to the top, POSIX style. base: the configuration's folder, "" at the top.

    values    path -> what identifies its content now; a path that is gone has none
    link      the text of a link, None for what is none
    ignored   the files below a literal path that git does not list (named on purpose, they count)
    """

    top: Path
    base: str
    tracked: Sequence[str]
    untracked: Sequence[str]
    values: Callable[[Iterable[str]], dict[str, str]]
    link: Callable[[str], str | None] = lambda path: None

    def ignored(self, path: str) -> list[str]:
        place = Path(os.path.normpath(self.top / self.base / path.lstrip("/")))
        if not place.is_relative_to(self.top):
            return []
        found = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else []
        return [p.relative_to(self.top).as_posix() for p in found]

    def behind(self, path: str) -> list[str]:
        """The files that git lists where a link leads: the file, a folder's, or the submodule that it lies in. Where git lists none, the
        one file that is there (an absolute path outside of the repository). [] for what is no link."""
        if self.link(path) is None:
            return []
        name = self._end(path)
        found = [one for one in (*self.tracked, *self.untracked) if name is not None and _leads(name, one)]
        place = Path(os.path.realpath(self.top / path))
        if found or not place.is_file():
            return found
        return [place.relative_to(self.top).as_posix() if place.is_relative_to(self.top) else str(place)]

    def _end(self, path: str) -> str | None:
        """Where a path leads through every link, as text: the files need not be here. None: out of the repository, or in a circle."""
        for _ in range(MOST_LINKS):
            parts = path.split("/")
            tops = ("/".join(parts[: i + 1]) for i in range(len(parts)))
            link = next((one for one in tops if self.link(one) is not None), None)
            if link is None:
                return path
            path = os.path.normpath(f"{Path(link).parent / (self.link(link) or '.')}{path.removeprefix(link)}")
            if path == ".." or path.startswith(("../", "/")):
                return None
        return None


def _leads(name: str, path: str) -> bool:
    return name in (".", path) or path.startswith(f"{name}/") or name.startswith(f"{path}/")


def read_git(git: Git, folder: Path) -> WorkTree:
    """The work tree of a repository, seen from `folder`: three git processes however many files there are."""
    modes, ids = {}, {}
    for line in git.names("ls-files", "-s", "-z", "--full-name", ":/"):
        entry, _, path = line.partition("\t")
        mode, blob, _stage = entry.split()
        modes[path], ids[path] = mode, blob
    compared = git("diff-files", "-z", "--name-only", "--no-ext-diff", "--ignore-submodules=none", check=False)
    # It fails where a filter it needs is not installed (git-lfs): then every file is looked at.
    changed = set(split(compared.stdout)) if compared.status == 0 else set(ids)
    untracked = git.names("ls-files", "-o", "-z", "--exclude-standard", "--full-name", ":/")

    def values(paths: Iterable[str]) -> dict[str, str]:
        found, to_hash = {}, []
        for path in paths:
            if path in ids and path not in changed:
                found[path] = _marked(ids[path], modes[path] == "100755")
            elif modes.get(path) == SUBMODULE:
                found[path] = _submodule(git, path, ids[path])
            elif (git.root / path).is_symlink():
                target = os.fsencode((git.root / path).readlink())
                found[path] = git("hash-object", "--stdin", "--no-filters", data=target).text
            elif (git.root / path).is_file():
                to_hash.append(path)
        return found | _hashed(git, to_hash)

    @functools.cache
    def link(path: str) -> str | None:
        place = git.root / path
        if place.is_symlink():
            return os.fsdecode(place.readlink())
        if modes.get(path) != LINK or path in changed:
            return None
        found = git("cat-file", "blob", ids[path], check=False)  # no file is here, or none that may be a link
        return os.fsdecode(found.stdout) if found.status == 0 else None

    return WorkTree(git.root, base_of(git.root, folder), sorted(ids), sorted(untracked), values, link)


def read_folder(folder: Path, cache: Cache | None) -> WorkTree:
    """A folder without git: every file in it counts as tracked, but hidden ones and what Python leaves behind."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in ("__pycache__", "node_modules", "venv"))
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in files if not name.startswith(".")]

    def values(paths: Iterable[str]) -> dict[str, str]:
        return each({path: folder / path for path in paths if (folder / path).is_file()}, cache=cache)

    return WorkTree(folder, "", sorted(found), (), values)


def base_of(top: Path, folder: Path) -> str:
    """The configuration's folder from the repository's top, "" at the top."""
    relative = os.path.relpath(folder.resolve(), top.resolve())
    return "" if relative == "." else Path(relative).as_posix()


def _marked(blob: str, executable: bool) -> str:
    return f"{blob} x" if executable else blob


def _hashed(git: Git, paths: Sequence[str]) -> dict[str, str]:
    """Blob ids as `git add` would give them, .gitattributes and their filters applied."""
    if not paths:
        return {}
    data = b"\n".join(_quoted(path) for path in paths) + b"\n"
    done = git("hash-object", "--stdin-paths", data=data, check=False)
    if done.status != 0:  # a filter that is not installed (git-lfs): the bytes as they are
        done = git("hash-object", "--no-filters", "--stdin-paths", data=data)
    blobs = done.stdout.decode("ascii").split()
    return {path: _marked(blob, os.access(git.root / path, os.X_OK)) for path, blob in zip(paths, blobs, strict=True)}


def _quoted(path: str) -> bytes:
    raw = os.fsencode(path)
    if not any(byte < 32 or byte in b'"\\' for byte in raw):
        return raw
    return b'"' + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in raw) + b'"'


def _submodule(git: Git, path: str, recorded: str) -> str:
    """The commit that is checked out in a submodule, and what was changed in it since."""
    inner = Git(git.root / path, git.env)
    if not (git.root / path / ".git").exists():
        return recorded
    head = inner("rev-parse", "HEAD", check=False).text or recorded
    state = inner("status", "--porcelain=v1", "-z", "--untracked-files=all", check=False).stdout
    if not state:
        return head
    difference = inner("diff", "--no-ext-diff", "--binary", "HEAD", check=False).stdout
    return f"{head}+{hashlib.sha256(state + difference).hexdigest()}"
