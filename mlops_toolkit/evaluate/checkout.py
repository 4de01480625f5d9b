"""A commit's files in a folder of ours, and this run's evaluation laid over them. The user's clone, index and work tree are only read."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.base import History
from mlops_toolkit.models import tree as model_tree
from mlops_toolkit.models.prints import LFS_POINTER, LFS_POINTER_SIZE
from mlops_toolkit.models.worktree import SUBMODULE
from mlops_toolkit.system.files import sha256
from mlops_toolkit.system.git import Git

# Git LFS would fetch what is missing, gigabytes of training data too, and fail where it may not.
WITHOUT_LFS = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)


@dataclass
class Checkout:
    """A commit of `git` below `top`/tree, for the configuration `loaded`.

    absent   what of it is not to be had here, as clauses
    carried  this run's files that took the place of the commit's, from the repository's top
    """

    top: Path
    git: Git
    loaded: Loaded
    absent: list[str] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)

    @property
    def tree(self) -> Path:
        return self.top / "tree"

    @property
    def folder(self) -> Path:
        """Of the mlops.yaml in the checkout."""
        return self.tree / self.loaded.folder.resolve().relative_to(self.git.root.resolve())

    def fill(self, commit: str, history: History) -> None:
        """Write the commit's files; from its remote where the clone lacks it. EnvironmentFailure `no-checkout`."""
        self.tree.mkdir(parents=True)
        found, why = self.git.commit(commit), f"commit {commit[:7]} is not in this clone"
        if found is not None:
            try:
                self._write(self.git, found.sha, self.tree)
            except EnvironmentFailure as error:  # a clone that has not all files
                why = error.message
                shutil.rmtree(self.tree)
                self.tree.mkdir()
                found = None
        if found is None and not history.export(commit, self.tree):
            hint = "fetch-depth: 0 at actions/checkout brings it"
            raise EnvironmentFailure("no-checkout", f"{why}, and its remote did not give it", hint=hint)
        self._large_files()

    def _write(self, git: Git, commit: str, to: Path) -> None:
        ours = Git(git.root, {**git.env, "GIT_INDEX_FILE": str(self.top / f"index-{os.urandom(4).hex()}")})
        ours("read-tree", commit)
        ours(*WITHOUT_LFS, "checkout-index", "--all", "--force", f"--prefix={to}/")
        for line in ours.names("ls-files", "-s", "-z"):
            entry, _, path = line.partition("\t")
            if entry.startswith(SUBMODULE):
                self._submodule(git.root / path, entry.split()[1], to / path)

    def _submodule(self, at: Path, commit: str, to: Path) -> None:
        inner = Git(at, self.git.env)
        to.mkdir(parents=True, exist_ok=True)
        if (at / ".git").exists() and inner.commit(commit) is not None:
            self._write(inner, commit, to)
        else:
            to.rmdir()  # what reads it fails, and does not find it empty
            self.absent.append(f"the submodule {to.relative_to(self.tree).as_posix()} at {commit[:7]} is not here")

    def _large_files(self) -> None:
        """The content of files that Git LFS keeps, where this machine has it; a pointer in its place would be read as if it were that."""
        if not any(b"filter=lfs" in path.read_bytes() for path in self.tree.rglob(".gitattributes") if path.is_file()):
            return
        store = Path(self.git("rev-parse", "--git-common-dir").text)
        objects = (store if store.is_absolute() else self.git.root / store) / "lfs" / "objects"
        for path in [p for p in self.tree.rglob("*") if not p.is_symlink() and p.is_file() and p.stat().st_size < LFS_POINTER_SIZE]:
            raw = path.read_bytes()
            oid = _OID.search(raw) if raw.startswith(LFS_POINTER) else None
            if oid is None:
                continue
            name, wanted = path.relative_to(self.tree), oid[1].decode()
            here = [objects / wanted[:2] / wanted[2:4] / wanted, self.git.root / name]
            source = next((one for one in here if one.is_file() and sha256(one) == wanted), None)
            path.unlink()
            if source is None:
                self.absent.append(f"{name.as_posix()} is in Git LFS, and its content at that commit is not here")
            else:
                shutil.copy(source, path)

    def inside(self, path: Path) -> bool:
        """Whether writing at `path` stays in the checkout: a link above it may lead to the user's own files."""
        return path.parent.resolve().is_relative_to(self.tree.resolve())

    def link(self, items: Sequence[str]) -> None:
        """This run's data (paths and globs from the configuration's folder) in place of the old; gigabytes are not copied."""
        here = self.loaded.folder
        for item in (item for item in items if "://" not in item and not item.startswith("/")):
            for source in here.glob(item) if any(c in item for c in "*?[") else [here / item]:
                if source.exists():
                    self._link(source.relative_to(here) if source.is_relative_to(here) else Path(item))

    def _link(self, name: Path) -> None:
        """A link to the user's file; where a link of the old commit stands above it, that one gives way."""
        parts = Path(os.path.normpath(self.folder / name)).relative_to(self.tree).parts
        above = Path(os.path.normpath(self.loaded.folder / name)).parents[len(parts) - 1]
        for depth in range(1, len(parts) + 1):
            to, source = self.tree.joinpath(*parts[:depth]), above.joinpath(*parts[:depth])
            if depth < len(parts) and not to.is_symlink():
                if to.exists() and not to.is_dir():
                    to.unlink()
                to.mkdir(exist_ok=True)
                continue
            self._clear(to)
            to.symlink_to(source.resolve(), target_is_directory=source.is_dir())
            return

    def carry(self, paths: Iterable[str]) -> None:
        """Files of this run (from the repository's top) in place of the old; one that is gone goes. Copies: a program's own folder is
        where its file really lies, and from there it imports."""
        for name in paths:
            source, to = self.git.root / name, self.tree / name
            for parent in reversed(to.relative_to(self.tree).parents[:-1]):
                if (self.tree / parent).is_symlink() or (self.tree / parent).is_file():
                    (self.tree / parent).unlink()
            self._clear(to)
            if source.is_symlink():
                to.parent.mkdir(parents=True, exist_ok=True)
                to.symlink_to(source.readlink())
            elif source.is_dir():
                shutil.copytree(source, to, symlinks=True, ignore=shutil.ignore_patterns(".git"))
            elif source.is_file():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, to)
            self.carried.add(name)

    def _clear(self, to: Path) -> None:
        if not self.inside(to):
            raise EnvironmentFailure("no-checkout", f"{to.relative_to(self.tree).as_posix()} leads out of the repository")
        model_tree.remove(to)

    def room(self, name: str) -> Path:
        """Where the model of this checkout stands (from the configuration's folder): its own place, whatever link the commit has there."""
        place = Path(os.path.normpath(self.folder / name))
        if not place.is_relative_to(self.tree) or not self.inside(place):
            raise EnvironmentFailure("no-checkout", f"{name} leads out of the repository")
        if place.is_symlink():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def imports(self) -> list[str]:
        """Where packages are looked for first: one that is installed in place (`pip install -e .`) is otherwise this work tree's."""
        places = (self.folder, self.tree, self.folder / "src", self.tree / "src")
        return list(dict.fromkeys(str(place) for place in places if place.is_dir()))
